"""Two logical CPU devices, for the strategies that need two.

TensorFlow takes this only before it is used for the first time, so it is asked for when pytest
loads this file, which is before it runs any test.
"""

import keras
import pytest
import tensorflow as tf

from srm_keras.training.distribution import tensorflow_strategies

(CPU,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


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
