"""Trained networks that an analysis sets side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from srm_keras.analysis.gates.blocks import last_blocks, select_blocks
from srm_keras.layers import spec_label
from srm_keras.training import Run, load_run
from tools.run_records import expanded, pass_over


def analysed_runs(
    patterns: Sequence[str], checkpoint: str = "best", gates: bool = False
) -> dict[str, Run]:
    """Return runs on the same data by the name of their module, in the order of ``patterns``.

    Where several have the same module, the name of the folder is added: ``"srm (seed_1)"``.
    Folders of another kind, runs without weights and damaged ones are passed over with a word.

    Args:
        patterns: run folders of ``train.classify``, or shell patterns of such.
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
            "`runs` must hold a run folder of train.classify with weights"
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
