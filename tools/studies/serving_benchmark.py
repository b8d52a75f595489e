"""Times a server of exported SavedModels; needs ``pip install starlette uvicorn``.

    python -m tools.studies.serving_benchmark --model=exports/texture_shapes_srm/saved_model

Starts ``srm-keras serve``, asks it for one image at a time as float array, raw array and JPEG file,
by one client and by four at once, and writes serving.json and serving.md to --out. SavedModels must
have been exported with their preprocessing. docs/serving.md says what the columns are.
"""

import base64
import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.data import Preprocessing
from srm_keras.export.runners import SIGNATURE, load_saved_model
from srm_keras.export.serving.saved_model import PREPROCESSING
from srm_keras.export.serving.signatures import JPEG, UINT8
from srm_keras.support.files import read_json
from srm_keras.support.tables import markdown_table
from srm_keras.support.timing import environment

CLIENTS = (1, 4)
WARM_UP = 5
COLUMNS = (
    "images",
    "clients",
    "body",
    "median",
    "95 %",
    "requests/s",
    "without HTTP",
)


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_multi_string(
        "model", [], "Folder of a SavedModel; repeatable.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "out", "runs/benchmark", "Folder for serving.json and serving.md.", flag_values=flags
    )
    absl_flags.DEFINE_float(
        "seconds", 10, "Time for each measurement.", lower_bound=0.1, flag_values=flags
    )


@dataclass(frozen=True)
class Row:
    """One kind of request, one image each, from some clients at the same time.

    Attributes:
        images: The form in which they are sent.
        clients: How many ask at the same time, each waiting for its answer.
        body_bytes: Of one request.
        median_ms: Time from sending a request to having its answer.
        p95_ms: 95 % of all answers took no longer.
        per_second: Answers to all clients together.
        direct_ms: Median of calling the signature in this process, one image, with arrays made
            already.
    """

    images: str
    clients: int
    body_bytes: int
    median_ms: float
    p95_ms: float
    per_second: float
    direct_ms: float

    def cells(self) -> tuple[str, ...]:
        """The row as text under ``COLUMNS``."""
        return (
            self.images,
            str(self.clients),
            f"{self.body_bytes / 1000:,.1f} kB",
            f"{self.median_ms:.1f} ms",
            f"{self.p95_ms:.1f} ms",
            f"{self.per_second:.1f}",
            f"{self.direct_ms:.1f} ms",
        )


def measure(saved_model: Path, host: str, port: int, path: str, seconds: float) -> list[Row]:
    """Ask a server for float arrays, raw arrays and JPEG files, by 1 and by 4 clients.

    Args:
        saved_model: What the server serves, with the signatures for raw images.
        host: Of the server.
        port: Of the server.
        path: Where requests are sent to.
        seconds: How long each kind of request is measured.

    Raises:
        ValueError: The SavedModel was exported without preprocessing, or the server does not answer
            with status 200.
    """
    image, preprocessing = _made_up_image(saved_model)
    loaded = load_saved_model(saved_model)
    rows = []
    for name, (signature, instance, tensor) in _forms(image, preprocessing).items():
        body = json.dumps({"signature_name": signature, "instances": [instance]}).encode()
        direct = _direct_ms(loaded.signatures[signature], tensor, seconds)
        for clients in CLIENTS:
            times = _ask(host, port, path, body, clients, seconds)
            rows.append(
                Row(
                    images=name,
                    clients=clients,
                    body_bytes=len(body),
                    median_ms=1000 * statistics.median(times),
                    p95_ms=1000 * float(np.quantile(times, 0.95)),
                    per_second=len(times) / seconds,
                    direct_ms=direct,
                )
            )
    return rows


def to_markdown(results: Mapping[str, Any]) -> str:
    """A page of the results of several SavedModels.

    Args:
        results: ``environment``, as in reports of exports; ``load``, the machine's load averages
            of 1, 5 and 15 minutes at the end; ``models``, each with ``saved_model``, its path, and
            ``rows``, of ``Row`` as mappings.
    """
    found = results["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    load = " / ".join(f"{value:.1f}" for value in results["load"])
    parts = [
        "# Serving",
        "One image a request. `without HTTP` is the same signature called in the process of the "
        "clients, while the server rests; clients and server share the machine.",
        f"{found['platform']}, {found['processors']} processors, load average at the end {load} "
        f"(1 / 5 / 15 minutes); {packages}.",
    ]
    for model in results["models"]:
        cells = [Row(**row).cells() for row in model["rows"]]
        parts += [f"## {model['saved_model']}", markdown_table(COLUMNS, cells)]
    return "\n\n".join(parts) + "\n"


def _made_up_image(saved_model: Path) -> tuple[np.ndarray, Preprocessing]:
    """A smooth picture of the size to which the network's images are resized."""
    attributes = saved_model / "assets" / PREPROCESSING
    if not attributes.is_file():
        raise ValueError(
            "`saved_model` must have been exported with `preprocessing`. "
            f"Received: saved_model={str(saved_model)!r}, which lacks {attributes.name}"
        )
    preprocessing = Preprocessing.from_dict(read_json(attributes))
    side = preprocessing.resize or preprocessing.image_size
    coarse = np.random.default_rng(0).uniform(0, 255, (16, 16, preprocessing.channels))
    smooth = tf.image.resize(coarse, (side, side), method="bicubic")
    return tf.saturate_cast(smooth, tf.uint8).numpy(), preprocessing


def _forms(
    image: np.ndarray, preprocessing: Preprocessing
) -> dict[str, tuple[str, Any, tf.Tensor]]:
    """The image in each form: signature, instance of a request, input of the signature."""
    prepared = preprocessing.evaluation(image).numpy()
    file = tf.io.encode_jpeg(image, quality=90).numpy()
    encoded = {"b64": base64.b64encode(file).decode()}
    return {
        "float array": (SIGNATURE, prepared.tolist(), tf.constant(prepared[np.newaxis])),
        "uint8 array": (UINT8, image.tolist(), tf.constant(image[np.newaxis])),
        "JPEG": (JPEG, encoded, tf.constant([file])),
    }


def _direct_ms(function: Any, tensor: tf.Tensor, seconds: float) -> float:
    """Median time of calling a signature in this process."""
    (name,) = function.structured_input_signature[1]
    return 1000 * statistics.median(_timed(lambda: function(**{name: tensor}), seconds))


def _ask(host: str, port: int, path: str, body: bytes, clients: int, seconds: float) -> list[float]:
    """Times of all requests of all clients."""

    def client(_: int) -> list[float]:
        connection = http.client.HTTPConnection(host, port, timeout=60)

        def request() -> None:
            connection.request("POST", path, body)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise ValueError(f"The server answered {response.status}: {answer.decode()}")

        try:
            return _timed(request, seconds)
        finally:
            connection.close()

    with ThreadPoolExecutor(clients) as pool:
        return [value for values in pool.map(client, range(clients)) for value in values]


def _timed(call: Callable[[], Any], seconds: float) -> list[float]:
    """Times of calls repeated for so many seconds, at least once, after a warm-up."""
    for _ in range(WARM_UP):
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


HOST = "127.0.0.1"
START_SECONDS = 120


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Serve and time the SavedModels that the flags name."""
    shared.check(flags, arguments, "model")
    _benchmark(flags)


def _benchmark(flags: FlagValues) -> None:
    from srm_keras.export.serving.server import check_saved_model
    from srm_keras.support.files import write_json, write_text

    for path in flags.model:
        check_saved_model(path)
    models = []
    for path in flags.model:
        with _server(path) as port:
            rows = measure(Path(path), HOST, port, "/v1/models/model:predict", flags.seconds)
        models.append({"saved_model": path, "rows": [dataclasses.asdict(row) for row in rows]})
        results = {"environment": environment(), "load": os.getloadavg(), "models": models}
        write_json(Path(flags.out) / "serving.json", results)
        write_text(Path(flags.out) / "serving.md", to_markdown(results))
        print(f"Timed {path}", flush=True)
    print(f"Wrote serving.json and serving.md to {flags.out}")


@contextlib.contextmanager
def _server(path: str) -> Iterator[int]:
    """Run ``srm-keras serve`` on a free port."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "srm_keras", "serve", f"--model={path}", f"--port={port}"]
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
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.serving_benchmark"))
