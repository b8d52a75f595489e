"""What leaves out parts of a network in training: dropout, and stochastic depth."""

from typing import Any

import keras
from keras import ops

from srm_keras.support.validation import as_float


def drop_rate(name: str, value: Any) -> float:
    """Return ``value`` as a ``float`` if it is a number in [0, 1), else raise ``ValueError``."""
    number = as_float(value)
    if number is None or not 0 <= number < 1:
        raise ValueError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r}")
    return number


@keras.saving.register_keras_serializable(package="srm_keras")
class Dropout(keras.layers.Layer):
    """Sets each number of its input to zero with probability ``rate``, in training alone.

    The others are divided by 1 - ``rate``. Unlike ``keras.layers.Dropout`` it draws from a
    generator of its own on every backend, and on TensorFlow's replicas each takes its part of
    what is drawn for the whole batch: several devices drop what one would.

    Args:
        rate: In [0, 1).
        seed: Of the generator, an integer; None takes one from Python's ``random``, which
            ``keras.utils.set_random_seed`` seeds.

    Input shape:
        (N, …).

    Output shape:
        That of the input.

    Raises:
        ValueError: ``rate`` is not in [0, 1).

    Reference:
        Srivastava et al., *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*,
        JMLR 2014.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = drop_rate("rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed, name=f"{self.name}_seed")
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        kept = ops.cast(self._draws(inputs) >= self.rate, inputs.dtype)
        return inputs * (kept / (1 - self.rate))

    def _draws(self, inputs):
        """Uniform in [0, 1), the rows of this replica of those of the whole batch."""
        replica, replicas = _replica()
        count = ops.shape(inputs)[0]
        shape = (count * replicas, *self._drawn_shape(inputs))
        draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return draws if replicas == 1 else draws[replica * count : (replica + 1) * count]

    def _drawn_shape(self, inputs) -> tuple:
        """The shape of what is drawn for an example."""
        return tuple(ops.shape(inputs)[1:])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="srm_keras")
class StochasticDepth(Dropout):
    """Leaves out a residual branch, of each example by itself, in training alone.

    It stands at the end of the branch: with probability ``rate`` all that an example has there
    becomes zero, so that its shortcut remains, and what is kept is divided by 1 - ``rate``.

    Args:
        rate: In [0, 1); one minus the paper's survival probability.
        seed: As for ``Dropout``.

    Input shape:
        (N, …).

    Output shape:
        That of the input.

    Raises:
        ValueError: ``rate`` is not in [0, 1).

    Reference:
        Huang et al., *Deep Networks with Stochastic Depth*, ECCV 2016, section 3. There a branch is
        dropped for the whole batch, and scaled at inference; a decision for each example, scaled in
        training, is that of EfficientNet's code and of timm (``drop_path``).
    """

    def _drawn_shape(self, inputs) -> tuple:
        return (1,) * (len(inputs.shape) - 1)


def _replica() -> tuple[Any, int]:
    """The number of this replica among those that share a batch, and how many they are."""
    if keras.config.backend() != "tensorflow":
        return 0, 1  # JAX draws for the whole batch, whatever the devices; torch has one.
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync
