"""The distributions of the TensorFlow backend.

Each strategy is made once a process: two of them would hand out the same keys for their
collective operations, and the second would fail on the first's.
"""

import functools
import json
import os

import tensorflow as tf

from srm_keras.training.distribution.devices import Distribution, MirroredDevices
from srm_keras.training.distribution.multi_worker import MultiWorker

TASK_TYPES = ("chief", "worker")
EXAMPLE = (
    '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def auto() -> str:
    """``"multi_worker"`` if TF_CONFIG names several workers, ``"mirrored"`` on several GPUs."""
    if "TF_CONFIG" in os.environ and sum(map(len, _cluster().values())) > 1:
        return "multi_worker"
    return "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one_device"


def devices() -> list[str]:
    """What ``"mirrored"`` trains on: the GPUs or, where there is none, the logical CPU devices."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


@functools.cache
def mirrored() -> Distribution:
    """A ``MirroredStrategy`` over ``devices()``."""
    return MirroredDevices("mirrored", tf.distribute.MirroredStrategy(devices()))


def worker_count() -> int:
    """The number of workers in TF_CONFIG, checked.

    Raises:
        ValueError: If TF_CONFIG is absent or is not what ``multi_worker`` needs.
    """
    cluster = _cluster()
    count = sum(map(len, cluster.values()))
    task = _tf_config().get("task", {})
    kind, index = task.get("type"), task.get("index")
    if not (kind in cluster and isinstance(index, int) and 0 <= index < len(cluster[kind])):
        raise _wrong_tf_config("a task of the cluster, such as " + EXAMPLE)
    if len(tf.config.list_physical_devices("GPU")) > 1:
        raise ValueError(
            "`strategy` 'multi_worker' runs one process a GPU: set CUDA_VISIBLE_DEVICES to one "
            "GPU and name a worker for each in TF_CONFIG. "
            f"Received: {len(tf.config.list_physical_devices('GPU'))} GPUs"
        )
    return count


@functools.cache
def multi_worker() -> Distribution:
    """A ``MultiWorkerMirroredStrategy`` over the workers of TF_CONFIG; waits for all of them.

    Raises:
        ValueError: If TensorFlow was used before: it takes a cluster only at its start.
    """
    workers = worker_count()
    task = _tf_config()["task"]
    chiefs = len(_cluster().get("chief", ()))
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            "`strategy` 'multi_worker' must be resolved before TensorFlow computes anything in "
            f"this process. Received: {str(error).splitlines()[0]}"
        ) from None
    worker = task["index"] + (chiefs if task["type"] == "worker" else 0)
    return MultiWorker(strategy, workers, worker)


@functools.cache
def tpu() -> Distribution:
    """A ``TPUStrategy`` over the TPU that the environment names, or that of this machine.

    Raises:
        ValueError: If there is none.
    """
    try:
        resolver = _tpu_resolver()
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            "`strategy` 'tpu' needs a TPU, and TensorFlow finds none: run on a TPU machine, or "
            f"set TPU_NAME. Received: {str(error).splitlines()[0][:80]}"
        ) from None
    return MirroredDevices("tpu", tf.distribute.TPUStrategy(resolver))


def _tpu_resolver() -> tf.distribute.cluster_resolver.TPUClusterResolver:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver("")
    except ValueError:  # the environment names none
        return tf.distribute.cluster_resolver.TPUClusterResolver("local")
    tf.config.experimental_connect_to_cluster(resolver)
    return resolver


def _tf_config() -> dict:
    try:
        config = json.loads(os.environ.get("TF_CONFIG", ""))
    except ValueError:
        raise _wrong_tf_config("JSON such as " + EXAMPLE) from None
    return config if isinstance(config, dict) else {}


def _cluster() -> dict[str, list[str]]:
    cluster = _tf_config().get("cluster")
    if not isinstance(cluster, dict) or not cluster or not set(cluster) <= set(TASK_TYPES):
        raise _wrong_tf_config(f"a cluster of tasks {TASK_TYPES}, such as " + EXAMPLE)
    return cluster


def _wrong_tf_config(expected: str) -> ValueError:
    return ValueError(
        "`strategy` 'multi_worker' needs the environment variable TF_CONFIG, which must be "
        f"{expected}. Received: TF_CONFIG={os.environ.get('TF_CONFIG')!r}"
    )
