"""RandAugment as a pure function of an image and a seed."""

from typing import Any

import keras
import tensorflow as tf


class StatelessSeeds(keras.random.SeedGenerator):
    """A source of seeds for Keras' random functions that has no state to keep or to restore.

    The n-th seed that it gives out is a function of (seed, n).

    Args:
        seed: (2,) integers; may be symbolic.
    """

    def __init__(self, seed: tf.Tensor) -> None:
        # Without the base class's __init__, which makes the variable that this does without.
        self._seed = seed
        self._given = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """The next seed, (2,)."""
        del ordered
        self._given += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._given)


class RandAugment:
    """RandAugment (Cubuk et al. 2020) with the operations of `keras.layers.RandAugment`.

    That layer computes all eleven operations for each place in the chain and takes its choice and
    numbers from a generator with state. Here the operations are the same `keras.layers`, but only
    the chosen one is computed, and everything random is a function of the seed.

    Args:
        operations: Number of operations applied one after the other.
        magnitude: Their strength in [0, 1].

    Raises:
        ValueError: If Keras' backend is not TensorFlow.
    """

    def __init__(self, operations: int, magnitude: float) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "`rand_augment` needs Keras' TensorFlow backend. "
                f"Received: {keras.backend.backend()!r}"
            )
        self.operations = operations
        self.layers = _layers(magnitude)

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The image (H, W, C) of values in [0, 255], augmented; float32."""
        image = tf.cast(image, tf.float32)
        for place in range(self.operations):
            own = tf.random.experimental.stateless_fold_in(seed, place)
            choice = tf.random.stateless_uniform(
                (), own, maxval=len(self.layers), dtype=tf.int32, alg="philox"
            )
            branches = [_applied(layer, image, own) for layer in self.layers]
            image = tf.ensure_shape(tf.switch_case(choice, branches), image.shape)
        return image


def _layers(magnitude: float) -> list[Any]:
    layers, colours = keras.layers, {"value_range": (0, 255)}
    return [
        layers.RandomShear(magnitude, magnitude),
        layers.RandomTranslation(magnitude, magnitude),
        layers.RandomRotation(magnitude),
        layers.RandomBrightness(magnitude, **colours),
        layers.RandomColorDegeneration(magnitude, **colours),
        layers.RandomContrast(magnitude, **colours),
        layers.RandomSharpness(magnitude, **colours),
        layers.RandomPosterization(max(1, int(8 * magnitude)), **colours),
        layers.Solarization(magnitude, magnitude, **colours),
        layers.AutoContrast(**colours),
        layers.Equalization(**colours),
    ]


def _applied(layer: Any, image: tf.Tensor, seed: tf.Tensor) -> Any:
    def branch() -> tf.Tensor:
        images = image[None]
        numbers = layer.get_random_transformation(images, training=True, seed=StatelessSeeds(seed))
        return tf.ensure_shape(layer.transform_images(images, numbers, True)[0], image.shape)

    return branch
