"""What the analysis tools left in folders, and training curves, for the figures of the paper."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from srm_keras.analysis.paper_tables import FIGURES
from srm_keras.analysis.paper_tables.figure_sections import Analysis
from srm_keras.analysis.paper_tables.runs import TrainedRun, settings
from srm_keras.analysis.paper_tables.sections import Picture
from srm_keras.analysis.paper_tables.stand_ins import setting_title
from srm_keras.files import read_json
from srm_keras.layers import spec_label
from srm_keras.training import plot_runs
from tools.run_records import metrics


def figure_analyses(folders: Sequence[str]) -> dict[int, list[Analysis]]:
    """Return what the tools left below ``folders``, by the number of the figure.

    Raises:
        ValueError: a folder does not exist, or a file of a known name is no JSON object.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise ValueError(f"`figures` must be folders. Received: figures={folder!r}")
    return {
        figure.number: [
            _analysis(path, Path(folder), figure.pictures)
            for folder in folders
            for path in sorted(Path(folder).rglob(figure.data))
        ]
        for figure in FIGURES
        if figure.data
    }


def curve_analyses(folders: Sequence[Path], runs: Sequence[TrainedRun]) -> list[Analysis]:
    """Draw the training curves of every setting in which several modules were run."""
    folder_of = {id(run): folder for run, folder in zip(runs, folders, strict=True)}
    pictures = []
    for setting in settings(runs):
        if len(setting.modules) > 1:
            curves = {
                spec_label(spec): [metrics(folder_of[id(run)]) for run in setting.of(spec)]
                for spec in setting.modules.values()
            }
            title = f"{setting_title(setting)}, {setting.example.recipe['steps']:,} steps"
            pictures.append(Picture(f"curves_{len(pictures) + 1}.png", title, _plot(curves, title)))
    return [Analysis("curves", "", {}, pictures)] if pictures else []


def _analysis(path: Path, folder: Path, patterns: Iterable[str]) -> Analysis:
    """What lies beside a file of results; its name tells it from others below ``folder``."""
    parts = path.parent.relative_to(folder).parts or (path.parent.resolve().name,)
    try:
        data = read_json(path)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`figures` must hold results of this package's analyses. Received: {path}: {error}"
        ) from error
    pictures = [
        Picture(
            "_".join((*parts, found.name)),
            f"{'/'.join(parts)}: {found.stem}",
            found.read_bytes(),
        )
        for pattern in patterns
        for found in sorted(path.parent.glob(pattern))
    ]
    return Analysis("/".join(parts), str(path), data, pictures)


def _plot(curves: dict, title: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "curves.png")
        plot_runs(curves, path, title)
        return path.read_bytes()
