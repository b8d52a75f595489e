"""Set-up shared by all tests: quiet TensorFlow on two devices, float64 on JAX, one seed a test."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import pytest
from hypothesis import settings

BACKEND = keras.config.backend()

if BACKEND == "jax":
    import jax

    jax.config.update("jax_enable_x64", True)

if BACKEND == "tensorflow":
    import tensorflow as tf

    # For the strategies that need two devices; TensorFlow takes it only before its first operation.
    # Two replicas that wait for each other on a pool of two threads can stall for minutes.
    tf.config.threading.set_inter_op_parallelism_threads(8)
    (_CPU,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

# The first example of a shape compiles kernels; a deadline would fail on that alone.
settings.register_profile("default", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("default")

# Each of these runs on any backend; everything else here is TensorFlow's.
BACKEND_AGNOSTIC = ("layers", "backends")


def pytest_ignore_collect(collection_path, config):
    """On other backends than TensorFlow, collect only what is backend-agnostic."""
    root = config.rootpath / "tests"
    if root not in collection_path.parents:
        return None
    folder = collection_path.relative_to(root).parts[0]
    if BACKEND == "tensorflow":
        return True if folder == "backends" else None
    return None if folder in (*BACKEND_AGNOSTIC, "conftest.py", "support") else True


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)
