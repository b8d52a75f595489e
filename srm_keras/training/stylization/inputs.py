"""The images of a stylization run: contents, and one style or a set of paintings."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ml_collections import config_dict
from PIL import Image

from srm_keras import data
from srm_keras.training.inputs import Examples, naming_source, stream

_PAINTINGS = 1  # added to the seed, so that contents and paintings are shuffled independently


@dataclass(frozen=True)
class StylizationInputs:
    """What a stylization run trains on and is evaluated on.

    Attributes:
        recipe: The resolved recipe.
        contents: The training contents.
        held_out: The contents for evaluation.
        paintings: For AdaIN the training styles, else None.
        style: For a feed-forward network the style, uint8 (H, W, 3), else None.
    """

    recipe: config_dict.ConfigDict
    contents: Examples
    held_out: Examples
    paintings: Examples | None
    style: np.ndarray | None

    @property
    def preprocessing(self) -> data.Preprocessing:
        """How contents and paintings are made ready: RGB of 0 to 255, square."""
        content = self.recipe.content
        return data.Preprocessing(
            content.image_size,
            resize=content.resize,
            flip=content.flip,
            mean=(0.0,),
            std=(1 / 255,),
        )

    @property
    def style_digest(self) -> str | None:
        """SHA-256 of the style's pixels."""
        return None if self.style is None else hashlib.sha256(self.style.tobytes()).hexdigest()

    @property
    def splits(self) -> dict[str, Examples]:
        """All examples, by what they are."""
        known = {"train": self.contents, "held_out": self.held_out, "style": self.paintings}
        return {name: examples for name, examples in known.items() if examples is not None}

    def train(self, start_step: int = 0, shard: tuple[int, int] = (0, 1)) -> Any:
        """Endless batches of (images, labels of no meaning), from ``start_step`` on.

        For AdaIN the images are (contents, paintings).
        """
        size, seed = self.recipe.batch_size, self.recipe.seed
        options: dict[str, Any] = {"start_step": start_step, "shard": shard}
        contents = self._stream(self.contents, size, True, seed, **options)
        if self.paintings is None:
            return contents
        return _pairs(
            contents, self._stream(self.paintings, size, True, seed + _PAINTINGS, **options)
        )

    def validation(self) -> Any:
        """The held-out contents, once through and in order; for AdaIN each with one painting."""
        return self._evaluation(self.held_out)

    def samples(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The first held-out contents, prepared, and for AdaIN their paintings."""
        count = min(self.recipe.samples, len(self.held_out))
        batches = [images for images, _ in self._evaluation(self.held_out.subset(range(count)))]
        if self.paintings is None:
            return _joined(batches), None
        return tuple(_joined(images) for images in zip(*batches, strict=True))  # type: ignore[return-value]

    def _evaluation(self, contents: Examples) -> Any:
        size = self.recipe.eval_batch_size
        images = self._stream(contents, size, False, 0)
        if self.paintings is None:
            return images
        turn = [k % len(self.paintings) for k in range(len(contents))]
        return _pairs(images, self._stream(self.paintings.subset(turn), size, False, 0))

    def _stream(
        self,
        examples: Examples,
        size: int,
        training: bool,
        seed: int,
        start_step: int = 0,
        shard: tuple[int, int] = (0, 1),
    ) -> Any:
        """Batches of one kind for all, so that contents and paintings can be paired."""
        given = (examples, self.preprocessing, size, training, seed)
        shared: dict[str, Any] = {
            "cache": self.recipe.content.cache,
            "shard": shard,
            "start_step": start_step,
        }
        if all(each.in_memory for each in (self.contents, self.held_out, self.paintings) if each):
            return stream(*given, **shared)
        return data.batches(*given, **shared)


class PairedBatches(keras.utils.PyDataset):
    """((contents, paintings), labels) of two ``ArrayBatches``."""

    def __init__(self, contents: data.ArrayBatches, paintings: data.ArrayBatches):
        super().__init__()
        self.contents = contents
        self.paintings = paintings

    @property
    def num_batches(self) -> int | None:
        """As many as there are, None where there is no end."""
        return self.contents.num_batches

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Batch number ``index``, from the first one on."""
        (contents, labels), (paintings, _) = self.contents[index], self.paintings[index]
        return (contents, paintings), labels

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The batches from the first one on."""
        index = 0
        while self.num_batches is None or index < self.num_batches:
            yield self[index]
            index += 1


def check_stylization_inputs(recipe: config_dict.ConfigDict) -> None:
    """Checks what a resolved recipe says of its images, before any but the style's file is read.

    Raises:
        ValueError: As ``load_stylization_inputs``, for what can be known without data.
    """
    content, style = recipe.content, recipe.style
    with naming_source("content", content.name, content.options):
        splits = (content.train_split, content.eval_split)
        data.check_source(content.name, splits, content.options.to_dict())
    if recipe.method == "feed_forward" and style.image is not None:
        _opened(Path(style.image))
        return
    try:
        with naming_source("style", style.name, style.options):
            data.check_source(style.name, (style.split,), style.options.to_dict())
    except ValueError as error:
        if recipe.method == "adain":
            raise
        raise ValueError(
            "`style.image` must be an image file (--config.style.image=FILE), or `style` a data "
            f"set that has the style: {error}"
        ) from error


def load_stylization_inputs(recipe: config_dict.ConfigDict) -> StylizationInputs:
    """Loads the images that a resolved recipe names.

    Raises:
        ValueError: If a data set, a split, an option or the style image is wrong, or there are
            fewer images than a batch.
    """
    content = recipe.content
    with naming_source("content", content.name, content.options):
        contents, held_out = (
            data.load_examples(content.name, split, **content.options)
            for split in (content.train_split, content.eval_split)
        )
    held_out = held_out.subset(range(min(content.eval_images, len(held_out))))
    paintings = _paintings(recipe) if recipe.method == "adain" else None
    for name, examples in (("content", contents), ("style", paintings)):
        if examples is not None and len(examples) < recipe.batch_size:
            raise ValueError(
                f"`batch_size` must be at most the number of training images of `{name}`, "
                f"{len(examples)}. Received: batch_size={recipe.batch_size}"
            )
    style = None if recipe.method == "adain" else _style(recipe)
    return StylizationInputs(recipe, contents, held_out, paintings, style)


def _paintings(recipe: config_dict.ConfigDict) -> Examples:
    style = recipe.style
    with naming_source("style", style.name, style.options):
        return data.load_examples(style.name, style.split, **style.options)


def _style(recipe: config_dict.ConfigDict) -> np.ndarray:
    """The style image, uint8 (H, W, 3): a file, or an example of a data set."""
    style = recipe.style
    if style.image is not None:
        image = _opened(Path(style.image))
    else:
        paintings = _paintings(recipe)
        if style.index >= len(paintings):
            raise ValueError(
                f"`style.index` must be below the number of examples, {len(paintings)}. "
                f"Received: style.index={style.index}"
            )
        image = _example(paintings.subset([style.index]))
    if style.image_size:
        scale = style.image_size / min(image.size)
        image = image.resize(
            tuple(max(1, round(side * scale)) for side in image.size), Image.Resampling.BILINEAR
        )
    return np.asarray(image)


def _example(chosen: Examples) -> Image.Image:
    if isinstance(chosen, data.Examples):
        image = chosen.images[0]
        return _opened(image) if isinstance(image, Path) else _of_pixels(image)
    return _of_pixels(next(iter(chosen.dataset()))[0].numpy())


def _of_pixels(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.squeeze()).convert("RGB")


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise ValueError(
            f"`style.image` must be an image file. Received: {str(path)!r} ({error})"
        ) from None


def _joined(batches: Any) -> np.ndarray:
    return np.concatenate([keras.ops.convert_to_numpy(images) for images in batches])


def _pairs(contents: Any, paintings: Any) -> Any:
    """Batches of ((contents, paintings), labels)."""
    if isinstance(contents, data.ArrayBatches):
        return PairedBatches(contents, paintings)
    import tensorflow as tf

    both = tf.data.Dataset.zip((contents, paintings))
    return both.map(lambda content, painting: ((content[0], painting[0]), content[1]))
