"""Trained networks that commands name, and runs that an analysis sets side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ml_collections import ConfigDict

from srm_keras import data
from srm_keras.analysis.gates.reading import last_blocks, select_blocks
from srm_keras.cli.paper_records import expanded, pass_over
from srm_keras.data.decode import file_pixels
from srm_keras.export.stylize import load_stylizer
from srm_keras.export.web.exporter import square_photos
from srm_keras.layers import spec_label
from srm_keras.support.foreign import first_line
from srm_keras.training import Run, load_run
from srm_keras.training.run_folder import is_of_stylizer, read_recipe


def analysed_runs(
    patterns: Sequence[str], checkpoint: str = "best", gates: bool = False
) -> dict[str, Run]:
    """Return runs on the same data by the name of their module, in the order of ``patterns``.

    Where several have the same module, the name of the folder is added: ``"srm (seed_1)"``.
    Folders of another kind, runs without weights and damaged ones are passed over with a word.

    Args:
        patterns: run folders of ``train``, or shell patterns of such.
        checkpoint: ``"best"`` or ``"last"``.
        gates: whether networks without recalibration modules are passed over too.

    Raises:
        ValueError: there is no such run, two cannot be told apart, or the runs do not read the
            same images in the same way.
    """
    found = {}
    for path in expanded(patterns):
        try:
            run = load_run(path, checkpoint)
            if gates:
                select_blocks(run.model)
            found[str(path)] = run
        except ValueError as error:
            pass_over(path, error)
    if not found:
        raise ValueError(
            "`runs` must hold a run folder of train with weights"
            f"{' of a network with modules' if gates else ''}. Received: {', '.join(patterns)}"
        )
    folders, runs = list(found), list(found.values())
    for folder, run in found.items():
        _check_same_data(folders[0], runs[0], folder, run)
    modules = [spec_label(run.recipe.to_dict()["recalibration"]) for run in runs]
    shared = Counter(modules)
    labels = [
        module if shared[module] == 1 else f"{module} ({Path(folder).name})"
        for module, folder in zip(modules, folders, strict=True)
    ]
    if len(set(labels)) < len(labels):
        raise ValueError(
            f"Run folders of the same module must differ in name. Received: {', '.join(folders)}"
        )
    return dict(zip(labels, runs, strict=True))


def drawn_blocks(runs: Mapping[str, Run], blocks: Sequence[str]) -> list[str]:
    """Return the names of ``blocks``, which every network must have, as pictures have them.

    Args:
        runs: what ``analysed_runs`` returns.
        blocks: names of blocks or of their recalibration layers; with none, the last block of
            every stage.

    Raises:
        ValueError: a network has no gates, or no such block; the message says which.
    """
    chosen = list(blocks)
    for label, run in runs.items():
        try:
            chosen = list(select_blocks(run.model, chosen or last_blocks(run.model)))
        except ValueError as error:
            raise ValueError(f"Run {label}: {error}") from None
    return chosen


def _check_same_data(folder: str, run: Run, other_folder: str, other: Run) -> None:
    mine, its = run.recipe.data.to_dict(), other.recipe.data.to_dict()
    differing = [
        name for name in sorted(mine.keys() | its.keys()) if mine.get(name) != its.get(name)
    ]
    if differing:
        name = differing[0]
        raise ValueError(
            f"All runs must read the same data. Received: data.{name}={mine.get(name)} in {folder} "
            f"and {its.get(name)} in {other_folder}"
        )


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
    """Whether ``folder`` is a run folder of train_stylizer."""
    if not (Path(folder) / "recipe.json").is_file():
        return False
    return is_of_stylizer(read_recipe(folder))


def load_stylizer_run(folder: str | Path) -> StylizerRun:
    """Return what a run folder of train_stylizer holds.

    Raises:
        ValueError: the run has no network yet, one that cannot be loaded, or one for any style.
    """
    recipe = ConfigDict(read_recipe(folder))
    if recipe.method != "feed_forward":
        raise ValueError(
            "`--model` must be a classifier's or that of a network for one style "
            f"(method='feed_forward'). Received: --model={folder}, with method={recipe.method!r}"
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
    contents: Any = files or _held_out(run)
    count = min(count, len(contents))
    chosen = [k * len(contents) // count for k in range(count)]
    images = (
        [file_pixels(files[k]) for k in chosen]
        if files
        else [image for image, _ in contents.subset(chosen).dataset().as_numpy_iterator()]
    )
    prepare = square_photos(image_size).evaluation
    return np.stack([prepare(image).numpy() for image in images])


def _held_out(run: StylizerRun) -> Any:
    content = run.recipe.content
    try:
        return data.load_examples(content.name, content.eval_split, **content.options)
    except ValueError as error:
        raise ValueError(
            f"`--images` is needed: the photos of the run cannot be had ({first_line(error)})"
        ) from error
