"""Runs of train.stylize, for the tools that export their networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from ml_collections import ConfigDict

from srm_keras import data
from srm_keras.data.image_folder.decode import file_pixels
from srm_keras.export.foreign import first_line
from srm_keras.export.stylize import load_stylizer
from srm_keras.export.web.stylizer import square_photos
from srm_keras.training.records import is_of_stylizer, read_recipe


@dataclass(frozen=True)
class StylizerRun:
    """A trained stylization network and what it was trained on.

    Attributes:
        model: from RGB images of 0 to 255 to such images.
        recipe: the resolved recipe.
    """

    model: keras.Model
    recipe: ConfigDict


def is_stylizer_run(folder: str | Path) -> bool:
    """Whether ``folder`` is a run folder of train.stylize."""
    if not (Path(folder) / "recipe.json").is_file():
        return False
    return is_of_stylizer(read_recipe(folder))


def load_stylizer_run(folder: str | Path) -> StylizerRun:
    """Return what a run folder of train.stylize holds.

    Raises:
        ValueError: the run has no network yet, one that cannot be loaded, or one for any style.
    """
    recipe = ConfigDict(read_recipe(folder))
    if recipe.method != "feed_forward":
        raise ValueError(
            "`--run` must be a classifier's or that of a network for one style "
            f"(method='feed_forward'). Received: --run={folder}, with method={recipe.method!r}"
        )
    return StylizerRun(load_stylizer(folder).model, recipe)


def photo_samples(
    run: StylizerRun, count: int, image_size: int, files: Sequence[Path] = ()
) -> np.ndarray:
    """Return the middles of photos, float32 (N, image_size, image_size, 3), 0 to 255.

    Args:
        run: of whose held-out contents they are taken, unless there are ``files``.
        count: how many, from all over the photos; all where there are fewer.
        image_size: to which the shorter side is resized before the middle is cut out.
        files: image files.

    Raises:
        ValueError: a file cannot be decoded, or the contents of the run are not there.
    """
    contents = files or _held_out(run)
    count = min(count, len(contents))
    chosen = [k * len(contents) // count for k in range(count)]
    images = (
        [file_pixels(files[k]) for k in chosen]
        if files
        else [image for image, _ in contents.subset(chosen).dataset().as_numpy_iterator()]
    )
    prepare = square_photos(image_size).evaluation
    return np.stack([prepare(image).numpy() for image in images])


def _held_out(run: StylizerRun) -> data.Examples:
    content = run.recipe.content
    try:
        return data.load_examples(content.name, content.eval_split, **content.options)
    except ValueError as error:
        raise ValueError(
            f"`--images` is needed: the photos of the run cannot be had ({first_line(error)})"
        ) from error
