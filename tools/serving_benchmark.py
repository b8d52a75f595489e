r"""Times a server of exported SavedModels; needs `pip install starlette uvicorn`.

    python -m tools.serving_benchmark --saved_model=exports/texture_shapes_srm/saved_model

Starts tools.serve, asks it for one image at a time as float array, raw array and JPEG file, by one
client and by four at once, and writes serving.json and serving.md to --out. SavedModels must have
been exported with their preprocessing. docs/serving.md says what the columns are.
"""

import contextlib
import dataclasses
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

SAVED_MODELS = flags.DEFINE_multi_string("saved_model", [], "Folder of a SavedModel; repeatable.")
OUT = flags.DEFINE_string("out", "runs/benchmark", "Folder for serving.json and serving.md.")
SECONDS = flags.DEFINE_float("seconds", 10, "Time for each measurement.", lower_bound=0.1)

HOST = "127.0.0.1"
START_SECONDS = 120


def main(argv: Sequence[str]) -> None:
    """Serve and time the SavedModels that the flags name."""
    check_flags(argv, SAVED_MODELS)
    _benchmark()


def _benchmark() -> None:
    from srm_keras.export.report import environment
    from srm_keras.export.serving.benchmark import measure, to_markdown
    from srm_keras.export.serving.requests import check_saved_model
    from srm_keras.files import write_json, write_text

    for path in SAVED_MODELS.value:
        check_saved_model(path)
    models = []
    for path in SAVED_MODELS.value:
        with _server(path) as port:
            rows = measure(Path(path), HOST, port, "/v1/models/model:predict", SECONDS.value)
        models.append({"saved_model": path, "rows": [dataclasses.asdict(row) for row in rows]})
        results = {"environment": environment(), "load": os.getloadavg(), "models": models}
        write_json(Path(OUT.value) / "serving.json", results)
        write_text(Path(OUT.value) / "serving.md", to_markdown(results))
        print(f"Timed {path}", flush=True)
    print(f"Wrote serving.json and serving.md to {OUT.value}")


@contextlib.contextmanager
def _server(path: str) -> Iterator[int]:
    """Run ``tools.serve`` on a free port."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tools.serve", f"--saved_model={path}", f"--port={port}"]
    process = subprocess.Popen(command)
    try:
        _wait_until_ready(process, port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_until_ready(process: subprocess.Popen, port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ValueError("The server did not start; it says why above")
        connection = http.client.HTTPConnection(HOST, port)
        try:
            connection.request("GET", "/v1/models/model")
            return
        except ConnectionRefusedError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise ValueError(f"The server was not ready after {START_SECONDS} seconds")


if __name__ == "__main__":
    start(main)
