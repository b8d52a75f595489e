"""A trained stylization network as a function from picture to picture."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

import srm_keras.models.adain
import srm_keras.models.stylization  # noqa: F401  for networks saved with their layers
from srm_keras.export.stylize.pictures import largest_size, resized
from srm_keras.models.functional import check_functional, twin
from srm_keras.models.keras_files import read_keras_file
from srm_keras.validation import positive_int

LAST = "last.keras"
STYLE_SIZE = 512
"""Longest side of the style image of an AdaIN network; larger ones are reduced."""

MAX_PIXELS = 2048 * 2048
"""The largest image that is painted, unless the caller says otherwise.

A `StylizationNet` of 32 filters takes 850 bytes a pixel, so 3.6 GB for an image of that size.
"""


class Stylizer:
    """Paints pictures with a network.

    Args:
        model: a functional model, from float RGB images (N, H, W, 3) of values 0 to 255 to the
            same, not necessarily clipped; or an ``AdaINStylizer``, whose inputs are called
            content, style and strength. It is not changed.
        style: uint8 (H, W, 3), the painting of an AdaIN network; None for other networks.
        strength: of the style, 0 to 1; 1 for other networks.
        max_pixels: the network takes memory in proportion to the pixels of an image, and larger
            images are refused.

    Raises:
        ValueError: the model has other inputs or outputs, ``style`` is missing or given to a
            network that has learned its style, or ``strength`` is out of range.

    Example:
        >>> stylizer = srm_keras.export.load_stylizer("runs/my_run")
        >>> painted = stylizer(photograph)
    """

    def __init__(
        self,
        model: keras.Model,
        style: np.ndarray | None = None,
        strength: float = 1.0,
        max_pixels: int = MAX_PIXELS,
    ):
        _check_model(model)
        _check_style(model, style, strength)
        self.model = model
        self.max_pixels = positive_int("max_pixels", max_pixels)
        self._constants: dict[str, np.ndarray] = {}
        if style is not None:
            style = resized(_checked(style, "style"), STYLE_SIZE)
            self._constants["style"] = style[None].astype("float32")
            self._constants["strength"] = np.array([strength], "float32")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return ``image`` painted, of the same size.

        Args:
            image: uint8 RGB (H, W, 3), of ``max_pixels`` at most.

        Returns:
            uint8 (H, W, 3), clipped and rounded.

        Raises:
            ValueError: ``image`` is no such picture, or the network makes another size of it.
        """
        _check_pixels(_checked(image, "image"), self.max_pixels)
        named = {**self._constants, self._image: image[None].astype("float32")}
        painted = np.asarray(self._run(keras.tree.map_structure(named.get, self._names)))[0]
        if painted.shape != image.shape:
            raise ValueError(
                "`model` must make an image of the size of its input. "
                f"Received: {image.shape} became {painted.shape}"
            )
        return np.rint(np.clip(painted, 0, 255)).astype("uint8")

    @cached_property
    def _names(self) -> Any:
        return input_names(self.model)

    @cached_property
    def _image(self) -> str:
        names = keras.tree.flatten(self._names)
        return "content" if "content" in names else names[0]

    @cached_property
    def _run(self) -> Callable[[Any], Any]:
        """Inference, made ready once for images of all sizes."""
        model = twin(self.model)
        if keras.config.backend() == "tensorflow":
            return _graph(model)
        model.compile(jit_compile=keras.config.backend() == "jax")
        return model.predict_on_batch


def load_stylizer(
    path: str | os.PathLike, style: np.ndarray | None = None, strength: float = 1.0
) -> Stylizer:
    """Return the stylizer of a run folder of ``train.stylize`` or of a ``.keras`` file.

    Files are read as presets are: none that names other classes than stock layers and those of
    this package.

    Args:
        path: the folder, of which ``last.keras`` is taken, or the file.
        style: as for ``Stylizer``.
        strength: as for ``Stylizer``.

    Raises:
        ValueError: there is no such file, it cannot be loaded, or it is no stylization network.
    """
    return Stylizer(load_network(path), style, strength)


def load_network(path: str | os.PathLike) -> keras.Model:
    """Return the network that ``load_stylizer`` would use, unchecked; raises as that does."""
    return read_keras_file(network_file(path))


def network_file(path: str | os.PathLike) -> Path:
    """Return the file that ``load_stylizer`` reads; raises ``ValueError`` if there is none."""
    given = Path(path)
    file = given / LAST if given.is_dir() else given
    if not file.is_file() or file.suffix != ".keras":
        raise ValueError(
            f"`path` must be a run folder with {LAST}, or a file *.keras. "
            f"Received: path={str(path)!r}"
        )
    return file


def input_names(model: keras.Model) -> Any:
    """The names of the input layers, in the structure of ``model.input``."""
    inputs = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in inputs}
    return keras.tree.map_structure(lambda x: names[id(x)], model.input)


def _graph(model: keras.Model) -> Callable[[Any], Any]:
    """One graph for all sizes: `predict_on_batch` would trace a new one for each."""
    import tensorflow as tf

    signature = keras.tree.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype, name=x.name), model.input
    )
    return tf.function(lambda x: model(x, training=False), input_signature=[signature])


def _check_model(model: keras.Model) -> None:
    check_functional(model)
    names = keras.tree.flatten(input_names(model))
    images = [x for x, name in zip(model.inputs, names, strict=True) if name != "strength"]
    shapes = [tuple(tensor.shape) for tensor in (*images, *model.outputs)]
    known = len(names) == 1 or sorted(names) == ["content", "strength", "style"]
    if not known or len(model.outputs) != 1 or any(len(s) != 4 or s[-1] != 3 for s in shapes):
        raise ValueError(
            "`model` must map images (N, H, W, 3), or content, style and strength, to images. "
            f"Received: {model.name!r} with inputs {names} and shapes {shapes}"
        )


def _check_style(model: keras.Model, style: np.ndarray | None, strength: float) -> None:
    learned = len(model.inputs) == 1
    if learned and (style is not None or strength != 1):
        raise ValueError(
            "`style` and `strength` are for AdaIN networks. "
            f"Received: both or one of them for {model.name!r}, which has learned one style"
        )
    if not learned and style is None:
        raise ValueError(f"`style` is needed: {model.name!r} is an AdaIN network. Received: None")
    if isinstance(strength, bool) or not 0 <= strength <= 1:
        raise ValueError(f"`strength` must be from 0 to 1. Received: strength={strength!r}")


def _checked(image: np.ndarray, name: str) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(
            f"`{name}` must be uint8 RGB (H, W, 3). Received: {image.dtype} {image.shape}"
        )
    return image


def _check_pixels(image: np.ndarray, limit: int) -> None:
    height, width, _ = image.shape
    if height * width <= limit:
        return
    size = largest_size(height, width, limit)
    raise ValueError(
        f"`image` must have at most {limit:,} pixels; with the longest side reduced to {size} "
        f"(--size={size}) it fits. Received: {width}×{height}, {height * width:,} pixels"
    )
