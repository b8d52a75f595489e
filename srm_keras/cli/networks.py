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
from srm_keras.cli import flags as shared
from srm_keras.cli.paper_records import expanded, pass_over
from srm_keras.data.decode import file_pixels
from srm_keras.export.stylize import load_stylizer
from srm_keras.export.web.exporter import square_photos
from srm_keras.interop.trained import read_trained, trained_kind
from srm_keras.layers import spec_label
from srm_keras.support.foreign import first_line
from srm_keras.training import Run, load_run, run_folder
from srm_keras.training.run_folder import is_of_stylizer, read_recipe


def kind_of(model: str, kinds: Sequence[str]) -> str:
    """Return of which of the kinds in ``cli.flags.KINDS`` a trained network is.

    What tells it is the name, and what lies there; nothing is loaded.

    Args:
        model: A path, or ``hf://…``.
        kinds: Those that the command takes.

    Raises:
        ValueError: It is of no such kind; the message says which the command takes.
    """
    kind = _kind_of(model)
    if kind is not None and kind in kinds:
        return kind
    there = "of another kind" if Path(model).exists() else "which does not exist"
    raise ValueError(
        f"`--model` must be {shared.either(kinds)}. "
        f"Received: {str(model)!r}, {there if kind is None else shared.KINDS[kind]}"
    )


def _kind_of(model: str) -> str | None:
    path = Path(model)
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    if (path / run_folder.RECIPE).is_file():
        return "stylizer" if is_of_stylizer(read_recipe(path)) else "run"
    if (kind := trained_kind(model)) is not None:
        return kind
    if (path / run_folder.LAST).is_file():
        return "stylizer"
    return path.suffix[1:] if path.suffix in (".tflite", ".onnx") else None


def load_trained(model: str, checkpoint: str = "best") -> Run:
    """Return the classifier that ``--model`` names: a run folder, a preset, a file or a name.

    The recipe of a file is what lies beside it, that of any other but a run folder no more than
    what its card says of its data.

    Raises:
        ValueError: It is of another kind, damaged, names foreign classes, or does not say how its
            images are made or what its classes are.
        ImportError: A package that reads it is not installed.
    """
    kind = kind_of(model, shared.CLASSIFIERS)
    if kind == "run":
        return load_run(model, checkpoint)
    trained = read_trained(model, field="--model")
    if trained.preprocessing is None or trained.classes is None:
        raise ValueError(
            f"{shared.KINDS[kind].capitalize()} needs {run_folder.PREPROCESSING} and "
            f"{run_folder.CLASSES} beside it, as a run folder has them. Received: {model!r}"
        )
    there = kind in ("keras", "torch") and (Path(model).parent / run_folder.RECIPE).is_file()
    recipe = read_recipe(Path(model).parent) if there else {"data": trained.card.get("data")}
    return Run(trained.model, ConfigDict(recipe), trained.preprocessing, trained.classes)


def analysed_runs(
    patterns: Sequence[str], checkpoint: str = "best", gates: bool = False, files: bool = False
) -> dict[str, Run]:
    """Return networks on the same data by the name of their module, in the order of ``patterns``.

    Where several have the same module, the name of the folder is added: ``"srm (seed_1)"``; what
    says nothing of its module goes by the name of its file. Networks of another kind, runs without
    weights and damaged ones are passed over with a word.

    Args:
        patterns: Run folders of ``train``, presets and .keras files, or shell patterns of such.
        checkpoint: ``"best"`` or ``"last"``, of a run folder.
        gates: Whether networks without recalibration modules are passed over too.
        files: Whether they are to look at image files instead of the data of their recipe.

    Raises:
        ValueError: There is no such network, two cannot be told apart, or they do not read the
            same images in the same way.
    """
    found = {}
    for name in _named(patterns):
        try:
            run = load_trained(name, checkpoint)
            if gates:
                select_blocks(run.model)
            found[name] = run
        except ValueError as error:
            pass_over(name, error)
    if not found:
        raise ValueError(
            f"`--models` must hold {shared.either(shared.CLASSIFIERS)} with weights"
            f"{' of a network with modules' if gates else ''}. Received: {', '.join(patterns)}"
        )
    folders, runs = list(found), list(found.values())
    for folder, run in found.items():
        _check_same_data((folders[0], runs[0]), (folder, run), files)
    modules = [_module(folder, run) for folder, run in found.items()]
    networks_of = Counter(modules)
    labels = [
        module if networks_of[module] == 1 else f"{module} ({Path(folder).name})"
        for module, folder in zip(modules, folders, strict=True)
    ]
    if len(set(labels)) < len(labels):
        raise ValueError(
            f"Networks with the same module must differ in name. Received: {', '.join(folders)}"
        )
    return dict(zip(labels, runs, strict=True))


def drawn_blocks(runs: Mapping[str, Run], blocks: Sequence[str]) -> list[str]:
    """Return the names of ``blocks``, which every network must have, as pictures have them.

    Args:
        runs: What ``analysed_runs`` returns.
        blocks: Names of blocks or of their recalibration layers; with none, the last block of
            every stage.

    Raises:
        ValueError: A network has no gates, or no such block; the message says which.
    """
    chosen = list(blocks)
    for label, run in runs.items():
        try:
            chosen = list(select_blocks(run.model, chosen or last_blocks(run.model)))
        except ValueError as error:
            raise ValueError(f"Run {label}: {error}") from None
    return chosen


def _named(patterns: Sequence[str]) -> list[str]:
    """What the patterns meet; the name of a trained network means itself, as it is no path."""
    met = [
        [pattern] if trained_kind(pattern) in ("preset", "named") else map(str, expanded([pattern]))
        for pattern in patterns
    ]
    return list(dict.fromkeys(name for names in met for name in names))


def _module(name: str, run: Run) -> str:
    recipe = run.recipe.to_dict()
    return spec_label(recipe["recalibration"]) if "recalibration" in recipe else Path(name).stem


def _check_same_data(one: tuple[str, Run], other: tuple[str, Run], files: bool) -> None:
    mine, its = (_read_by(run, files) for _, run in (one, other))
    for name in sorted(mine.keys() | its.keys()):
        if mine.get(name) != its.get(name):
            raise ValueError(
                f"All runs must read the same data. Received: {name}={mine.get(name)} in {one[0]} "
                f"and {its.get(name)} in {other[0]}"
            )


def _read_by(run: Run, files: bool) -> dict[str, Any]:
    """What decides which images a network sees, and how."""
    if files:
        return {"preprocessing": run.preprocessing, "classes": run.classes}
    return {f"data.{name}": v for name, v in (run.recipe.to_dict()["data"] or {}).items()}


@dataclass(frozen=True)
class StylizerRun:
    """A trained stylization network and what it was trained on.

    Attributes:
        model: From RGB images of 0 to 255 to such images.
        recipe: The resolved recipe.
    """

    model: keras.Model
    recipe: ConfigDict


def load_stylizer_run(folder: str | Path) -> StylizerRun:
    """Return what a run folder of train_stylizer holds.

    Raises:
        ValueError: The run has no network yet, one that cannot be loaded, or one for any style.
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
        run: Of whose held-out contents they are taken, unless there are ``files``.
        count: How many, from all over the photos; all where there are fewer.
        image_size: To which the shorter side is resized before the middle is cut out.
        files: Image files.

    Raises:
        ValueError: A file cannot be decoded, or the contents of the run are not there.
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
