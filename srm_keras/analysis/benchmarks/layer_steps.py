"""One forward or training step of each recalibration module, ready to be timed (TensorFlow)."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from srm_keras.analysis.benchmarks.benchmark import Step
from srm_keras.layers import ChannelwiseDense, Recalibration, list_recalibrations, recalibration
from srm_keras.layers.batch_norm import batch_norm
from srm_keras.layers.data_format import over_space, spatial_axes
from srm_keras.validation import one_of

MULTIPLY = "multiply"
AUTODIFF_SRM = "srm (autodiff)"
PASSES = ("forward", "forward+backward")


class AutodiffSRM(Recalibration):
    """SRM as one would write it down from the paper, its gradient left to the backend.

    Weights, values and gradients are those of ``SRM()``, without its hand-written gradient. It is
    here to be timed and compared, not to be used.
    """

    def build_gates(self, input_shape, channels: int) -> None:
        """Build the CFC and the batch norm of ``SRM``."""
        self.cfc = ChannelwiseDense(dtype=self.gate_dtype, name="cfc")
        self.cfc.build((None, channels, 2))
        self.bn = batch_norm("bn", dtype=self.gate_dtype)
        self.bn.build((None, channels))

    def gates(self, inputs, training: bool | None = None):
        """Return (N, 1, 1, C) gates: Lee et al. 2019, eqs. 1-8."""
        axes = spatial_axes(self.data_format)
        mean = ops.mean(inputs, axis=axes)
        deviation = inputs - over_space(mean, self.data_format)
        std = ops.sqrt(ops.mean(ops.square(deviation), axis=axes) + 1e-5)
        z = self.bn(self.cfc(ops.stack([mean, std], axis=-1)), training=training)
        return over_space(ops.sigmoid(z), self.data_format)


def modules() -> tuple[str, ...]:
    """Names of what can be timed: the bare product, every module, SRM by autodiff."""
    return (MULTIPLY, *list_recalibrations(), AUTODIFF_SRM)


def layer_steps(
    names: Iterable[str], shape: Sequence[int], direction: str, xla: bool
) -> dict[str, Step]:
    """Return functions that run one step of a module in training mode and wait for its end.

    Args:
        names: of ``modules()``. ``"multiply"`` is ``y = x·g`` with gates g that are an input, of
            which the gradient is taken as well.
        shape: (N, H, W, C) of x, float32.
        direction: ``"forward"``, or ``"forward+backward"``: the gradients with respect to x, g and
            all trainable weights, for a given gradient of y.
        xla: compile with XLA.

    Returns:
        By name, a function without arguments. It returns one element of y, or of each gradient,
        as a NumPy array: to have them on the host, the step must have finished.

    Raises:
        ValueError: a name or ``direction`` is not one of the above.
    """
    one_of("direction", direction, PASSES)
    random = np.random.default_rng(0)
    x, upstream = (tf.constant(random.standard_normal(shape, "float32")) for _ in range(2))
    gates = tf.constant(random.random((shape[0], 1, 1, shape[-1]), "float32"))
    steps: dict[str, Step] = {}
    for name in names:
        if one_of("names", name, modules()) == MULTIPLY:
            inputs, call, weights = [x, gates], ops.multiply, []
        else:
            layer = _built(name, shape, random)
            weights = [weight.value for weight in layer.trainable_weights]
            inputs, call = [x], functools.partial(layer, training=True)
        step = _forward(call) if direction == "forward" else _forward_backward(call, weights)
        steps[name] = _to_the_end(tf.function(step, jit_compile=xla), inputs, upstream)
    return steps


def _to_the_end(step: Callable[..., Any], inputs: list[Any], upstream: Any) -> Step:
    return lambda: step(inputs, upstream)[1].numpy()


def _built(name: str, shape: Sequence[int], random: np.random.Generator) -> keras.layers.Layer:
    """A module with random weights: at its initial zeros, some products would be trivial."""
    options: dict[str, Any] = {"data_format": "channels_last", "dtype": "float32"}
    layer: Any = (
        AutodiffSRM(**options) if name == AUTODIFF_SRM else recalibration({"name": name, **options})
    )
    layer.build(tuple(shape))
    for weight in layer.trainable_weights:
        weight.assign(0.1 * random.standard_normal(weight.shape))
    return layer


def _forward(call: Callable[..., Any]) -> Callable[..., Any]:
    def forward(inputs, upstream):
        y = call(*inputs)
        return [y], _one_of_each([y])

    return forward


def _forward_backward(call: Callable[..., Any], weights: list[tf.Variable]) -> Callable[..., Any]:
    def forward_backward(inputs, upstream):
        sources = [*inputs, *weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            y = call(*inputs)
        gradients = tape.gradient(y, sources, output_gradients=upstream)
        return gradients, _one_of_each(gradients)

    return forward_backward


def _one_of_each(tensors):
    return tf.concat([tf.reshape(tensor, [-1])[:1] for tensor in tensors], axis=0)
