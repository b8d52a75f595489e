"""A training in a process of its own that is killed, again and again, until it is done.

`python -m tests.support.fault_injection WORKDIR REPLICAS POLICY STEPS [UPDATES DELAY]` trains the
tiny network for STEPS; DELAY seconds after the process has done UPDATES of them, it kills itself
with SIGKILL, wherever it is then: in an update, an evaluation, or writing a checkpoint.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

from srm_keras.training import callbacks
from tests.support.tiny_training import tiny_recipe, train_tiny

ROOT = Path(__file__).parents[2]


def recipe(replicas, policy, steps):
    strategy = "mirrored" if replicas > 1 else "one_device"
    return tiny_recipe(
        steps=steps, eval_every=8, checkpoint_every=3, strategy=strategy, dtype_policy=policy
    )


def run(workdir, steps, replicas=1, policy="float32", death=None, timeout=240):
    """Runs the training in a process; `death` = (updates, seconds). Returns its exit status."""
    words = [workdir, replicas, policy, steps, *(death or ())]
    command = [sys.executable, "-m", "tests.support.fault_injection", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    if done.returncode not in (0, -signal.SIGKILL):
        raise AssertionError(done.stderr[-3000:])
    return done.returncode


def main(workdir, replicas, policy, steps, updates=None, delay=None):
    if int(replicas) > 1:
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        devices = [tf.config.LogicalDeviceConfiguration()] * int(replicas)
        tf.config.set_logical_device_configuration(cpu, devices)
    dying = die_after(int(updates), float(delay)) if updates else contextlib.nullcontext()
    with dying:
        train_tiny(recipe(int(replicas), policy, int(steps)), workdir)


def die_after(updates, delay):
    keep = callbacks.StateKeeper.on_train_batch_end
    done = 0

    def counted(keeper, batch, logs=None):
        nonlocal done
        done += 1
        if done == updates:
            kill = (os.getpid(), signal.SIGKILL)
            threading.Timer(delay, os.kill, kill).start()
        keep(keeper, batch, logs)

    return mock.patch.object(callbacks.StateKeeper, "on_train_batch_end", counted)


if __name__ == "__main__":
    main(*sys.argv[1:])
