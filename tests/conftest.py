"""Set-up shared by all tests: quiet TensorFlow on two devices, float64 on JAX, one seed a test."""

import functools
import gc
import os

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# JAX's programs run for a moment: little is done for their speed. (At level 0 CBAM's gradients are
# NaN.)
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true",
    )

gc.disable()  # Importing makes a million objects that stay: looking at them takes seconds.
import keras  # noqa: E402

BACKEND = keras.config.backend()

if BACKEND == "jax":
    import jax

    jax.config.update("jax_enable_x64", True)
    # Compiling takes nearly all of the time: no program is compiled twice (`_compiled_once`).
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

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
    return None if folder in (*BACKEND_AGNOSTIC, "conftest.py") else True


def pytest_collection_finish():
    """From here on objects come and go."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _little_to_look_through():
    """Set apart what earlier files have left: ``clear_session`` looks through all that is not."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory):
    """Let JAX keep what it compiled, for all workers of this run."""
    if BACKEND == "jax":
        folder = tmp_path_factory.getbasetemp()
        run = folder.parent if folder.name.startswith("popen-") else folder
        jax.config.update("jax_compilation_cache_dir", str(run / "jax"))


@pytest.fixture(scope="session", autouse=True)
def _timed_briefly():
    """An export is timed in two calls, not in twenty; `test_latency` looks at the real number."""
    if BACKEND != "tensorflow":
        yield
        return
    from srm_keras.export import pipeline

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "latencies", functools.partial(pipeline.latencies, repetitions=2))
        yield


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)
