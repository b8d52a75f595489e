"""The ends of a network: its input and its classifier."""

import keras
from keras import layers, ops

from srm_keras.layers.data_format import channel_axis, spatial_axes
from srm_keras.validation import boolean, one_of, positive_int

POOLINGS = (None, "avg", "max")


def image_input(input_tensor, input_shape, side: int | None, data_format: str, minimum: int):
    """Return the input tensor: ``input_tensor`` or a new one of ``input_shape`` (no batch axis).

    Where neither is given, it is an RGB image of ``side`` × ``side`` pixels, of any size for None.

    Raises:
        ValueError: not three entries, unknown channels, a side under ``minimum`` pixels, or both
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
    check_image_shape(input_shape, data_format, minimum)
    if input_tensor is None:
        return layers.Input(tuple(input_shape), name="image")
    return input_tensor


def check_image_shape(input_shape, data_format: str, minimum: int) -> None:
    """Raise ``ValueError`` unless ``input_shape`` is an image shape with known channels."""
    valid = isinstance(input_shape, list | tuple) and len(input_shape) == 3
    if valid:
        shape = (None, *input_shape)
        sides = [shape[axis] for axis in spatial_axes(data_format)]
        valid = shape[channel_axis(data_format)] is not None
        valid = valid and all(side is None or side >= minimum for side in sides)
    if not valid:
        raise ValueError(
            "`input_shape` must have three entries, known channels and sides of at least "
            f"{minimum} pixels or None ({data_format}). Received: input_shape={input_shape!r}"
        )


def check_head(include_top, pooling, classes) -> None:
    """Raise ``ValueError`` for a classifier that cannot be built."""
    boolean("include_top", include_top)
    one_of("pooling", pooling, POOLINGS)
    positive_int("classes", classes)
    if include_top and pooling is not None:
        raise ValueError(
            f"`pooling` must be None where include_top=True. Received: pooling={pooling!r}"
        )


def head(x, include_top: bool, pooling, classes: int, activation, data_format: str):
    """Global average pool and dense classifier, or the bare (pooled) features."""
    if include_top:
        x = layers.GlobalAveragePooling2D(data_format=data_format, name="pool")(x)
        x = layers.Dense(classes, name="logits")(x)
        # The softmax of a mixed-precision network is computed in float32.
        return layers.Activation(activation, dtype="float32", name="predictions")(x)
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(data_format=data_format, name="pool")(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(data_format=data_format, name="pool")(x)
    return x


def load_weights(model: keras.Model, weights) -> keras.Model:
    """Load a ``.weights.h5`` or ``.keras`` file into ``model``, where one is given."""
    if weights is None:
        return model
    if not str(weights).endswith((".weights.h5", ".keras")):
        raise ValueError(
            "`weights` must be None or a path to a .weights.h5 or .keras file; this package "
            f"publishes no pretrained weights. Received: weights={weights!r}"
        )
    model.load_weights(weights)
    check_finite(model, f"`weights` {str(weights)!r}")
    return model


def check_finite(model: keras.Model, origin: str) -> None:
    """Raise ``ValueError`` that names the first weight with a NaN or an infinity in it."""
    for variable in model.weights:
        if not bool(ops.all(ops.isfinite(variable))):
            raise ValueError(
                f"{origin} must have finite weights. Received: NaN or infinity in {variable.path!r}"
            )
