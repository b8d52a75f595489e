"""The unit of counting, the work of the layers that networks consist of, and each of their calls.

Every layer reads its inputs and its weights from memory once and writes its output once. What
folds away at inference does not: a batch norm leaves nothing but an offset for each channel to the
layer before it, an activation nothing at all. Poolings, paddings, the residual additions, factors
and normalizations with statistics of their own move numbers and count no operation, as is usual.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from srm_keras.layers import ChannelMLP, ChannelwiseDense, Recalibration, StylePooling
from srm_keras.layers.channel_mlp import FloatDense
from srm_keras.layers.conventions import channel_axis
from srm_keras.layers.dropping import Dropout, StochasticDepth
from srm_keras.layers.gather_excite import DepthwiseConv2D
from srm_keras.layers.instance_norm import AdaptiveInstanceNormalization, InstanceNormalization
from srm_keras.layers.reflection import PadToMultiple, ReflectionConv2D, ReflectionPadding2D
from srm_keras.models.residual import IdentityShortcut
from srm_keras.models.stylization import CropToMatch
from srm_keras.models.surgery.functional import copied, inputs_of, is_functional

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Work:
    """What is done to one image at inference.

    Attributes:
        operations: multiply-adds, and additions, multiplications and comparisons that stand alone.
        read: Numbers read from memory, weights among them.
        written: Numbers written to memory.
    """

    operations: int = 0
    read: int = 0
    written: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.operations + other.operations,
            self.read + other.read,
            self.written + other.written,
        )


def elements(shape: Any) -> int:
    """How many numbers are in a tensor of static ``shape``, or in all of a list of shapes."""
    return sum(map(math.prod, shape)) if isinstance(shape, list) else math.prod(shape)


def stored(layer: Any) -> int:
    """How many numbers the weights of ``layer`` are."""
    return sum(math.prod(weight.shape) for weight in layer.weights)


def product(shape: Shape, gates: int) -> Work:
    """A feature map of ``shape`` times a tensor of ``gates`` numbers."""
    return Work(elements(shape), elements(shape) + gates, elements(shape))


def gated_product(layer: Recalibration, shape: Shape, gates: int) -> Work:
    """The product of the map with so many ``gates``, and theirs with the gain."""
    return gain_product(layer, gates) + product(shape, gates)


def gain_product(layer: Recalibration, gates: int) -> Work:
    """The product of so many ``gates`` with the gain, as deploy forms have it; none with 1."""
    return Work() if layer.gain == 1 else Work(gates, gates + 1, gates)


_MOVING = frozenset(
    {
        *(layers.Add, layers.Average, layers.Concatenate, layers.Maximum, layers.Minimum),
        *(layers.Multiply, layers.Subtract, layers.Permute, layers.RepeatVector),
        *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
        *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
        *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D),
        *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D),
        *(layers.GlobalAveragePooling3D, layers.GlobalMaxPooling3D),
        *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
        *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D, layers.CenterCrop),
        *(layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D, layers.Resizing),
        *(layers.Rescaling, layers.Normalization, layers.UnitNormalization),
        *(layers.LayerNormalization, layers.GroupNormalization, layers.RMSNormalization),
        *(AdaptiveInstanceNormalization, InstanceNormalization, ReflectionPadding2D),
        *(PadToMultiple, CropToMatch, IdentityShortcut),
    }
)
_VANISHING = frozenset(
    {
        *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU),
        *(layers.Softmax, layers.Identity, layers.Flatten, layers.Reshape, layers.Masking),
        *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D),
        *(layers.SpatialDropout3D, layers.AlphaDropout, layers.GaussianDropout),
        *(layers.GaussianNoise, layers.ActivityRegularization, Dropout, StochasticDepth),
        *(layers.RandomBrightness, layers.RandomContrast, layers.RandomFlip),
        *(layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom),
    }
)
# Layers of keras.applications that have no public class, by name.
_MOVING_BY_NAME, _VANISHING_BY_NAME = {"CustomScaleLayer", "LayerScale"}, {"StochasticDepth"}


def layer_work(layer: layers.Layer, input_shape: Any, output_shape: Any = None) -> Work:
    """Work of a built layer that is no recalibration module.

    Args:
        layer: Of a class that ``knows`` knows.
        input_shape: Static shape of its input, batch axis first; a list where it has several.
        output_shape: Likewise; by default what the layer computes from ``input_shape``.

    Raises:
        ValueError: It is not known what a layer of this class costs.
    """
    kind = type(layer)
    if _vanishes(layer):
        return Work()
    if kind is layers.BatchNormalization:
        return Work(read=input_shape[layer.axis])
    if kind in _SEVERAL_STEPS:
        return _SEVERAL_STEPS[kind](layer, input_shape)
    if not knows(layer):
        raise ValueError(
            f"It is not known how many operations a {kind.__name__} takes. "
            f"Received: layer {layer.name!r} of class {kind.__name__}"
        )
    written = elements(output_shape or layer.compute_output_shape(input_shape))
    operations = _WEIGHTED[kind](layer, input_shape) if kind in _WEIGHTED else 0
    return Work(operations, elements(input_shape) + stored(layer), written)


def knows(layer: layers.Layer) -> bool:
    """Whether ``layer_work`` counts layers of this class."""
    counted = {layers.BatchNormalization, *_MOVING, *_SEVERAL_STEPS, *_WEIGHTED}
    return _vanishes(layer) or type(layer) in counted or _is_theirs(layer, _MOVING_BY_NAME)


def _vanishes(layer: layers.Layer) -> bool:
    return type(layer) in _VANISHING or _is_theirs(layer, _VANISHING_BY_NAME)


def _is_theirs(layer: layers.Layer, names: set[str]) -> bool:
    """Whether this is one of Keras' own layers, of a class without public name."""
    return type(layer).__name__ in names and type(layer).__module__.startswith("keras.")


def _convolution(layer: Any, shape: Shape) -> int:
    """The kernel holds (*window, channels / groups, filters)."""
    return math.prod(layer.compute_output_shape(shape)[1:]) * math.prod(layer.kernel.shape[:-1])


def _depthwise(layer: Any, shape: Shape) -> int:
    return math.prod(layer.compute_output_shape(shape)[1:]) * math.prod(layer.kernel_size)


def _transposed(layer: Any, shape: Shape) -> int:
    """Each number of the input goes to a window of all outputs: (*window, filters, channels)."""
    return math.prod(shape[1:]) * math.prod(layer.kernel.shape[:-1])


def _separable(layer: Any, shape: Shape) -> int:
    """A depthwise convolution of (*window, channels, multiplier), then one of 1×1."""
    outputs = math.prod(layer.compute_output_shape(shape)[1:])
    depthwise = outputs // layer.filters * math.prod(layer.depthwise_kernel.shape)
    return depthwise + outputs * layer.pointwise_kernel.shape[-2]


def _dense(layer: Any, shape: Shape) -> int:
    return math.prod(shape[1:]) * layer.units


def _channelwise_dense(layer: ChannelwiseDense, shape: Shape) -> int:
    return math.prod(shape[1:])


def _mlp(layer: ChannelMLP, shape: Shape) -> Work:
    hidden = layer.reduce.compute_output_shape(shape)
    return layer_work(layer.reduce, shape) + layer_work(layer.expand, hidden)


def _style_pooling(layer: StylePooling, shape: Shape) -> Work:
    """Mean: 1 operation an element. Std: 2 (subtract the mean, square and add), after the mean."""
    size, channels = elements(shape), shape[channel_axis(layer.data_format)]
    one_pass = Work(size, size, channels)
    from_the_mean = Work(2 * size, size + channels, channels)
    with_its_mean = one_pass + from_the_mean
    std = from_the_mean if "avg" in layer.pooling else with_its_mean
    work = {"avg": one_pass, "max": one_pass, "std": std}
    return sum((work[name] for name in layer.pooling), Work())


_WEIGHTED: dict[type, Callable[[Any, Shape], int]] = {
    ChannelwiseDense: _channelwise_dense,
    FloatDense: _dense,
    **dict.fromkeys((layers.Conv1D, layers.Conv2D, layers.Conv3D, ReflectionConv2D), _convolution),
    **dict.fromkeys((layers.DepthwiseConv1D, layers.DepthwiseConv2D), _depthwise),
    **dict.fromkeys((layers.SeparableConv1D, layers.SeparableConv2D), _separable),
    **dict.fromkeys((layers.Conv1DTranspose, layers.Conv2DTranspose), _transposed),
    layers.Conv3DTranspose: _transposed,
    layers.Dense: _dense,
    DepthwiseConv2D: _depthwise,
}
_SEVERAL_STEPS: dict[type, Callable[[Any, Shape], Work]] = {
    ChannelMLP: _mlp,
    StylePooling: _style_pooling,
}


@dataclasses.dataclass(frozen=True)
class StaticCall:
    """One call of a layer or operation, all shapes of which are known.

    Attributes:
        path: Its name, behind the names of the inner models that it stands in.
        layer: The layer or operation.
        args: What it is called with by position, symbolic.
        inputs: Shapes of all tensors that it takes.
        outputs: Shapes of those that it gives.
    """

    path: str
    layer: Any
    args: tuple[Any, ...]
    inputs: list[Shape]
    outputs: list[Shape]


def static_calls(model: keras.Model, shapes: Sequence[Shape], path: str = "") -> list[StaticCall]:
    """Return every call within ``model``, those of inner models in their place, in order.

    Args:
        model: A functional or a built Sequential model.
        shapes: Of its inputs, batch axis first, without None.
        path: What stands before the names.

    Raises:
        ValueError: A layer cannot take its input of that shape.
    """
    calls: list[StaticCall] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        name, inputs = f"{path}{layer.name}", _shapes((args, kwargs))
        try:
            result = layer(*args, **kwargs)
        except ValueError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                "`input_shape` must be one that every layer can take. Received: inputs of "
                f"{inputs} for {name!r}, where Keras says: {reason}"
            ) from error
        if is_functional(layer):
            calls.extend(static_calls(layer, inputs, f"{name}/"))
        else:
            calls.append(StaticCall(name, layer, args, inputs, _shapes(result)))
        return result

    inputs = [
        keras.Input(batch_shape=shape, dtype=x.dtype, name=x.name)
        for shape, x in zip(shapes, model.inputs, strict=True)
    ]
    structure = keras.tree.pack_sequence_as(inputs_of(model), inputs)
    copied(model, lambda layer: layer, call, structure)
    return calls


def _shapes(tensors: Any) -> list[Shape]:
    leaves = filter(keras.utils.is_keras_tensor, keras.tree.flatten(tensors))
    return [tuple(leaf.shape) for leaf in leaves]
