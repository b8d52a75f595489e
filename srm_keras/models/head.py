"""The ends of a network: its input and its classifier."""

import os
from pathlib import Path

import keras
from keras import layers, ops

from srm_keras.layers.conventions import channel_axis, spatial_axes
from srm_keras.layers.dropping import Dropout, drop_rate
from srm_keras.support.validation import as_int, boolean, one_of, positive_int

POOLINGS = (None, "avg", "max")


def image_input(input_tensor, input_shape, side: int | None, data_format: str, minimum: int):
    """Return the input tensor: ``input_tensor`` or a new one of ``input_shape`` (no batch axis).

    Where neither is given, it is an RGB image of ``side`` × ``side`` pixels, of any size for None.

    Raises:
        ValueError: Not three entries, unknown channels, a side under ``minimum`` pixels, or both
            arguments given with different shapes.
    """
    if input_tensor is not None:
        shape = tuple(input_tensor.shape)[1:]
        if input_shape is not None and tuple(input_shape) != shape:
            raise ValueError(
                "`input_shape` must be that of `input_tensor` or None. "
                f"Received: input_shape={tuple(input_shape)}, input_tensor of shape {shape}"
            )
        input_shape = shape
    elif input_shape is None:
        input_shape = (side, side, 3) if data_format == "channels_last" else (3, side, side)
    shape = check_image_shape(input_shape, data_format, minimum)
    if input_tensor is None:
        return layers.Input(shape, name="image")
    return input_tensor


def image_shape(side: int | None, channels: int = 3) -> tuple[int | None, ...]:
    """Shape of a square image in Keras' global data format."""
    if keras.config.image_data_format() == "channels_last":
        return (side, side, channels)
    return (channels, side, side)


def check_image_shape(input_shape, data_format: str, minimum: int) -> tuple[int | None, ...]:
    """Return an image shape with known channels as a tuple, else raise ``ValueError``."""
    valid = isinstance(input_shape, list | tuple) and len(input_shape) == 3
    shape = tuple(map(as_int, input_shape)) if valid else (None,) * 3
    if valid:
        known = [side for side in input_shape if side is not None]
        whole = all((as_int(side) or 0) > 0 for side in known)
        sides = [(None, *shape)[axis] for axis in spatial_axes(data_format)]
        valid = whole and (None, *shape)[channel_axis(data_format)] is not None
        valid = valid and all(side is None or side >= minimum for side in sides)
    if not valid:
        raise ValueError(
            "`input_shape` must have three entries, known channels and sides of at least "
            f"{minimum} pixels or None ({data_format}). Received: input_shape={input_shape!r}"
        )
    return shape


def check_head(include_top, pooling, classes, dropout: float = 0.0) -> int:
    """Return the number of classes; raise ``ValueError`` for a head that cannot be built."""
    boolean("include_top", include_top)
    one_of("pooling", pooling, POOLINGS)
    classes = positive_int("classes", classes)
    if include_top and pooling is not None:
        raise ValueError(
            f"`pooling` must be None where include_top=True. Received: pooling={pooling!r}"
        )
    if drop_rate("dropout", dropout) and not include_top:
        raise ValueError(
            f"`dropout` must be 0 where include_top=False. Received: dropout={dropout!r}"
        )
    return classes


def head(
    x,
    include_top: bool,
    pooling,
    classes: int,
    activation,
    data_format: str,
    dropout: float = 0.0,
):
    """Global average pool, dropout and dense classifier, or the bare (pooled) features."""
    if include_top:
        x = layers.GlobalAveragePooling2D(data_format=data_format, name="pool")(x)
        if dropout:
            x = Dropout(dropout, name="dropout")(x)
        x = layers.Dense(classes, name="logits")(x)
        # The softmax of a mixed-precision network is computed in float32.
        return layers.Activation(activation, dtype="float32", name="predictions")(x)
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(data_format=data_format, name="pool")(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(data_format=data_format, name="pool")(x)
    return x


class WithoutActivation(keras.layers.Layer):
    """What a layer computes before its activation; the weights are that layer's own.

    Args:
        layer: With an attribute ``activation``; of any class.
    """

    def __init__(self, layer: layers.Layer, **kwargs):
        super().__init__(dtype=layer.dtype_policy, **kwargs)
        self.layer = layer

    def call(self, inputs):
        activation, self.layer.activation = self.layer.activation, keras.activations.linear
        try:
            return self.layer(inputs)
        finally:
            self.layer.activation = activation

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


def logits(model: keras.Model):
    """Return the symbolic logits of a classifier, from the layers of ``model`` itself.

    They are what goes into the softmax it ends in (a layer of its own or the activation of the
    last one), or its output where there is none. ``keras.Model(model.inputs, logits(model))`` has
    the variables of ``model``, in their order.

    Raises:
        ValueError: The output is not that of one call of a layer, or another activation's.
    """
    activation = getattr(_last_layer(model), "activation", None)
    if activation not in (None, keras.activations.linear, keras.activations.softmax):
        raise ValueError(
            "`model` must end in a softmax or in logits to be trained as a classifier. Received: "
            f"{model.name!r}, which ends in {keras.activations.serialize(activation)!r}"
        )
    return before_activation(model, (keras.activations.softmax,))


def before_activation(model: keras.Model, activations):
    """Return what goes into the activation that ``model`` ends in, from its own layers.

    Args:
        model: A functional model with one output.
        activations: Of ``keras.activations``; where ``model`` ends in none of them, its output is
            returned.

    Raises:
        ValueError: The output is not that of one call of a layer.
    """
    last = _last_layer(model)
    activation = getattr(last, "activation", None)
    if isinstance(last, layers.Softmax):
        activation = keras.activations.softmax
    if activation not in activations:
        return last.output
    if isinstance(last, layers.Softmax | layers.Activation):
        return last.input
    return WithoutActivation(last, name=f"{last.name}_logits")(last.input)


def _last_layer(model: keras.Model) -> layers.Layer:
    (output,) = model.outputs
    last = next((layer for layer in model.layers if output_of(layer) is output), None)
    if last is None or isinstance(last, keras.Model):
        raise ValueError(
            "`model` must end in a layer of its own, so that its logits can be told from "
            f"probabilities. Received: {model.name!r}, whose output comes from something else"
        )
    return last


def output_of(layer: layers.Layer):
    """What the only call of a layer returns; None where there is none, or more than one."""
    try:
        return layer.output
    except (AttributeError, ValueError):
        return None


_OF_SEVERAL = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract")


def weighted_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The layers of ``model`` that have weights, by their names, from the input to the output."""
    return {layer.name: layer for layer in model.layers if layer.weights}


def head_of(model: keras.Model) -> str | None:
    """Name of the classifier, None without one.

    It is the dense layer behind all others with weights, or a 1×1 convolution there with as many
    channels as the network has outputs (MobileNet); nothing behind it has two inputs.
    """
    found = weighted_layers(model)
    if not found:
        return None
    name, last = list(found.items())[-1]
    operations = [*model.operations]
    behind = operations[operations.index(last) :]
    if any(type(operation).__name__ in _OF_SEVERAL for operation in behind):
        return None
    if isinstance(last, layers.Dense):
        return name
    is_pointwise = isinstance(last, layers.Conv2D) and last.kernel_size == (1, 1)
    return name if is_pointwise and model.output_shape[1:] == (last.filters,) else None


def load_weights(model: keras.Model, weights) -> keras.Model:
    """Load a ``.weights.h5`` or ``.keras`` file of ``model`` itself, where one is given.

    Raises:
        ValueError: There is no such file, or it is of another network.
    """
    if weights is None:
        return model
    path = os.fspath(weights) if isinstance(weights, os.PathLike) else weights
    if not str(path).endswith((".weights.h5", ".keras")) or not Path(path).is_file():
        raise ValueError(
            "`weights` must be None or a .weights.h5 or .keras file that exists. "
            f"Received: weights={path!r}"
        )
    try:
        model.load_weights(path)
    except Exception as error:  # of damaged files h5py and Keras raise anything
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"`weights` must be of the network that is built, {model.name!r}. "
            f"Received: weights={path!r}, for which Keras says: {reason}"
        ) from None
    check_finite(model, f"`weights` {path!r}")
    return model


def check_finite(model: keras.Model, origin: str) -> None:
    """Raise ``ValueError`` that names the first weight with a NaN or an infinity in it."""
    for variable in model.weights:
        if not bool(ops.all(ops.isfinite(variable))):
            raise ValueError(
                f"{origin} must have finite weights. Received: NaN or infinity in {variable.path!r}"
            )
