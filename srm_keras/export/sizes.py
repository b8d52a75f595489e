"""Networks for images of any size, made into networks for images of one size."""

from collections.abc import Sequence
from typing import Any

import keras

from srm_keras.models.flatten import flatten
from srm_keras.models.functional import copied


def with_input_shape(model: keras.Model, input_shape: Sequence[int]) -> keras.Model:
    """Return a copy of ``model`` that reads images of one size.

    Args:
        model: a functional model with one input, (H, W, C), sides of which may be unknown; not
            changed.
        input_shape: the sides and channels that the copy reads.

    Raises:
        ValueError: ``input_shape`` does not fit what ``model`` reads, or is too small for it.
    """
    shape = _checked(input_shape, model)
    flat = flatten(model)
    (old,) = flat.inputs
    image = keras.Input(shape, dtype=old.dtype, name=old.name)
    try:
        return copied(flat, inputs=keras.tree.map_structure(lambda _: image, flat.input))
    except ValueError as error:
        raise ValueError(
            f"`input_shape` must be one that {model.name!r} can read ({error}). "
            f"Received: input_shape={shape}"
        ) from error


def _checked(input_shape: Any, model: keras.Model) -> tuple[int, ...]:
    expected = tuple(model.inputs[0].shape)[1:]
    shape = tuple(input_shape) if isinstance(input_shape, list | tuple) else ()
    fits = len(shape) == len(expected) and all(
        isinstance(side, int) and side > 0 and known in (None, side)
        for side, known in zip(shape, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"`input_shape` must be positive integers that fit what the model reads, {expected}. "
            f"Received: input_shape={input_shape!r}"
        )
    return shape
