"""Trainings in processes of their own."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[3]


def start(out, words=(), **environment):
    """Starts `tests.training.distribution.runs`; `finish` waits for it."""
    command = [sys.executable, "-m", "tests.training.distribution.runs", str(out), *words]
    inherited = {k: v for k, v in os.environ.items() if k not in ("TF_CONFIG", "XLA_FLAGS")}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**inherited, "CUDA_VISIBLE_DEVICES": "-1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(processes, outs, timeout=240):
    """The files that the processes wrote."""
    try:
        printed = [process.communicate(timeout=timeout)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, printed, strict=True):
        assert process.returncode == 0, text[-3000:]
    return [dict(np.load(out)) for out in outs]


def workers(folder, words=(), count=2):
    """Runs `count` workers on loopback and returns what each wrote."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    outs = [folder / f"worker{index}.npz" for index in range(count)]
    processes = []
    for index, out in enumerate(outs):
        task = {"type": "worker", "index": index}
        processes.append(
            start(out, words, TF_CONFIG=json.dumps({"cluster": cluster, "task": task}))
        )
    return finish(processes, outs)


def run_code(code, **environment):
    """The last line that `python -c code` prints."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.splitlines()[-1]
