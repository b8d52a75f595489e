"""A training in a process of its own that is killed, again and again, until it is done.

`python -m tests.support.fault_injection WORKDIR STRATEGY POLICY STEPS PATIENCE [UPDATES DELAY]`
trains the tiny network for STEPS or, with a PATIENCE, until so many evaluations after the first
(none is better enough); DELAY seconds after the process has done UPDATES of them, it kills itself
with SIGKILL, wherever it is then: in an update, an evaluation, or writing a checkpoint.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.tiny_training import after_every_update, tiny_recipe, train_tiny

ROOT = Path(__file__).parents[2]


def recipe(strategy, policy, steps, patience):
    fields = {"steps": steps, "eval_every": 8, "checkpoint_every": 3}
    fields |= {"early_stopping.patience": patience, "early_stopping.min_delta": 1}
    return tiny_recipe(**fields, strategy=strategy, dtype_policy=policy)


def start(
    workdir,
    steps,
    strategy="one_device",
    policy="float32",
    patience=0,
    death=None,
    **environment,
):
    """Starts the training in a process; `death` = (updates, seconds)."""
    words = [workdir, strategy, policy, steps, patience, *(death or ())]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.fault_injection", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout=240):
    """Waits for it; returns whether it was killed, and fails if it ended in an error."""
    try:
        _, told = process.communicate(timeout=timeout)
    finally:
        process.kill()
    if process.returncode not in (0, -signal.SIGKILL):
        raise AssertionError(told[-3000:])
    return process.returncode != 0


def run(*arguments, **options):
    """Runs the training in a process; returns whether it was killed."""
    return finish(start(*arguments, **options))


def run_workers(workdir, steps, death=None, **options):
    """Runs it in two workers; with `death` the second dies of it, and then the first is killed."""
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    workers = []
    for index, end in enumerate((None, death)):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        given = {"strategy": "multi_worker", "death": end, "TF_CONFIG": config}
        workers.append(start(workdir, steps, **options, **given))
    killed = finish(workers[1])
    if killed:
        workers[0].kill()
    finish(workers[0])
    return killed


def main(workdir, strategy, policy, steps, patience, updates=None, delay=None):
    if strategy == "mirrored":
        import tensorflow as tf

        tf.config.threading.set_inter_op_parallelism_threads(8)
        (cpu,) = tf.config.list_physical_devices("CPU")
        devices = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, devices)
    dying = die_after(int(updates), float(delay)) if updates else contextlib.nullcontext()
    with dying:
        train_tiny(recipe(strategy, policy, int(steps), int(patience)), workdir)


def die_after(updates, delay):
    done = 0

    def count(keeper):
        nonlocal done
        done += 1
        if done == updates:
            kill = (os.getpid(), signal.SIGKILL)
            threading.Timer(delay, os.kill, kill).start()

    return after_every_update(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
