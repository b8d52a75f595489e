"""Fixtures of the distribution tests; the two CPU devices are those of tests/conftest.py."""

import keras
import pytest

from srm_keras.training.distribution import tensorflow_strategies


@pytest.fixture
def mirrored():
    """A MirroredStrategy over two CPU devices, the one of this process."""
    return tensorflow_strategies.mirrored().strategy


@pytest.fixture
def float64():
    """Float64 everywhere: what differs by more than rounding shows."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
