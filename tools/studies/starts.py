"""What the start of the gates does to short trainings: as published, and as the identity.

    python -m tools.studies.starts --data=texture_shapes --out=docs/results/starts
    python -m tools.studies.starts --data=fashion_mnist --seeds=0,1,2 --out=docs/results/starts

A ResNet-8 with each module, started as its paper does (gates near ½, which halves every residual
branch) and neutral (gates doubled, last layer at zero: the block begins as without the module),
beside the network without modules. Writes DATA.json, DATA.csv, DATA.md and DATA.png to --out after
each training; a study that was interrupted goes on where it was. Seeds come outermost, so that a
study in the making has whole rows. A training of 1,200 updates takes 1.5 minutes of one core.
"""

import itertools
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags as absl_flags
from absl.flags import FlagValues
from scipy import stats

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.layers import list_recalibrations, neutral
from srm_keras.recipes import fashion_mnist, texture_shapes
from srm_keras.support.figures import PALETTE, legend_below, new_figure, plain, save_figure
from srm_keras.support.tables import markdown_table
from srm_keras.support.timing import versions
from srm_keras.support.validation import one_of
from srm_keras.training import train, with_steps
from tools.studies.results import Results, Row, fact_lines, values

DATA = {"texture_shapes": texture_shapes, "fashion_mnist": fashion_mnist}
SPLITS = {"texture_shapes": ("test", "test_unseen_style"), "fashion_mnist": ("test",)}
STARTS = ("published", "neutral")
PLAIN = "none"
ONE_START = (PLAIN, "gct", "simam")
"""What a neutral start would not change."""
PLACE = ("updates", "module", "start", "seed")
LEVEL = 0.95
NOTE = """\
Top-1 on `{split}` after so many updates, mean ± standard deviation over the seeds (their number in
parentheses where one is missing). Published: as the paper of the module starts. Neutral: gates
times 2 (4 for CBAM) and the last layer at zero, so that every block begins as it is without the
module. SimAM has no weights that could start so, and GCT is published so: they have one start.
Difference: neutral minus published by seed, with its 95 % interval (Student's t). Plain is the same
network without modules."""


def recipe_of(data: str, updates: int, module: str, start: str, seed: int) -> Any:
    """The recipe of one training: that of ``data``, as a ResNet-8, evaluated at its end alone."""
    recipe = with_steps(DATA[data].get_config(), updates)
    recipe.model.options.depth = 8
    recipe.batch_size = 64
    recipe.learning_rate.schedule = "cosine"
    recipe.learning_rate.milestones = ()
    recipe.learning_rate.warmup_steps = updates // 12
    recipe.model.neutral = False  # the spec says it
    recipe.recalibration = spec_of(module, start)
    recipe.update(eval_every=updates, seed=seed)
    return recipe


def spec_of(module: str, start: str) -> Any:
    """The spec of ``module`` as its paper starts it, or as the identity."""
    if module == PLAIN:
        return None
    return neutral(module) if start == "neutral" else module


def keys(updates: Sequence[int], modules: Sequence[str], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield the places of all rows."""
    for seed, step, module in itertools.product(seeds, updates, [PLAIN, *modules]):
        for start in STARTS[:1] if module in ONE_START else STARTS:
            yield {"updates": step, "module": module, "start": start, "seed": seed}


def starts(
    folder: Path,
    data: str,
    updates: Sequence[int] = (600, 1200),
    modules: Sequence[str] = (),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> Iterator[Row]:
    """Yield a row for each training, and write the files after each of them.

    Args:
        folder: For the files; trainings of which it has a row are not repeated.
        data: ``"texture_shapes"`` or ``"fashion_mnist"``.
        updates: Lengths of the trainings; each has a schedule of its own.
        modules: Names of modules; by default all.
        seeds: Of the trainings.

    Raises:
        ValueError: An unknown name, or other results in ``folder``; at once.
    """
    one_of("data", data, list(DATA))
    known = list_recalibrations()
    modules = [one_of("modules", name, known) for name in modules] or known
    packages = {"packages": versions(("keras", "tensorflow"))}
    head = {"data": data, "environment": packages, "settings": {"network": "ResNet-8"}}
    results = Results(folder, data, "study of starts", head, PLACE, page)
    for row in results.completed(keys(updates, modules, seeds), lambda key: _train(data, key)):
        _draw(folder / f"{data}.png", data, results.rows)
        yield row


def _train(data: str, key: Row) -> Row:
    keras.backend.clear_session()
    with tempfile.TemporaryDirectory() as workdir:
        result = train(recipe_of(data, **key), workdir)
    splits = result["last"]["splits"]
    scores = {split: splits[split]["accuracy"] for split in SPLITS[data]}
    return {**scores, "seconds": round(result["seconds"], 1)}


def page(study: dict[str, Any]) -> str:
    """Return the Markdown page of a study."""
    data, rows = study["data"], study["rows"]
    seeds = len(values(rows, "seed"))
    parts = [f"# Starts of the gates: {data}", *fact_lines(study)]
    parts.append(f"- seeds: {seeds}\n")
    for updates in sorted(values(rows, "updates")):
        for split in SPLITS[data]:
            chosen = [row for row in rows if row["updates"] == updates]
            parts += [f"## {updates:,} updates, `{split}`\n", _table(chosen, split, seeds), ""]
    parts += [NOTE.format(split=f"{'`, `'.join(SPLITS[data])}"), "", f"![{data}]({data}.png)", ""]
    command = f"python -m tools.studies.starts --data={data} --out=docs/results/starts"
    return "\n".join([*parts, f"Made by `{command}`."]) + "\n"


def _table(rows: Sequence[Row], split: str, seeds: int) -> str:
    lines = []
    for module in values(sorted(rows, key=lambda row: row["module"] != PLAIN), "module"):
        published, improved = (_scores(rows, module, start, split) for start in STARTS)
        name = "plain" if module == PLAIN else module
        gain = _difference(published, improved)
        lines.append([name, _mean(published, seeds), _mean(improved, seeds), gain])
    return markdown_table(["module", "published", "neutral", "difference"], lines)


def _scores(rows: Iterable[Row], module: str, start: str, split: str) -> dict[int, float]:
    return {
        row["seed"]: row[split] for row in rows if (row["module"], row["start"]) == (module, start)
    }


def _mean(scores: dict[int, float], seeds: int) -> str:
    if not scores:
        return ""
    found = np.array(list(scores.values()))
    spread = f" ± {found.std(ddof=1):.3f}" if len(found) > 1 else ""
    return f"{found.mean():.3f}{spread}" + (f" ({len(found)})" if len(found) < seeds else "")


def _difference(published: dict[int, float], improved: dict[int, float]) -> str:
    """The mean difference of the seeds that both have, with its interval: ``+0.1 [0.0, 0.2]``."""
    gains = np.array([improved[seed] - published[seed] for seed in published if seed in improved])
    if len(gains) < 2:
        return f"{gains.mean():+.3f}" if len(gains) else ""
    low, high = interval(gains)
    return f"{gains.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def interval(sample: np.ndarray) -> tuple[float, float]:
    """Student's confidence interval of the mean of at least two numbers."""
    half = stats.sem(sample) * stats.t.ppf((1 + LEVEL) / 2, len(sample) - 1)
    return float(sample.mean() - half), float(sample.mean() + half)


def _draw(path: Path, data: str, rows: Sequence[Row]) -> None:
    """A panel for each length: every training a dot, modules beside each other, both starts."""
    split, lengths = SPLITS[data][0], sorted(values(rows, "updates"))
    figure = new_figure(10, 3.4 * len(lengths), f"{data}, ResNet-8: top-1 on {split}")
    handles: list[Any] = []
    for axes, updates in zip(
        figure.subplots(len(lengths), squeeze=False)[:, 0], lengths, strict=True
    ):
        chosen = [row for row in rows if row["updates"] == updates]
        names = [PLAIN, *sorted(set(values(chosen, "module")) - {PLAIN})]
        handles = []
        for start, color, shift in zip(STARTS, PALETTE, (-0.12, 0.12), strict=False):
            points = [
                (
                    names.index(row["module"]) + (0 if row["module"] in ONE_START else shift),
                    row[split],
                )
                for row in chosen
                if row["start"] == start
            ]
            places, scores = [place for place, _ in points], [score for _, score in points]
            handles += axes.plot(places, scores, "o", color=color, alpha=0.7, ms=5)
        plain(axes, grid="y")
        axes.set_xticks(range(len(names)), ["plain", *names[1:]])
        axes.set_ylabel(f"top-1, {updates:,} updates")
    legend_below(figure, handles, STARTS)
    save_figure(figure, path)


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.out(flags, holds="Folder for DATA.json, DATA.csv, DATA.md and DATA.png.")
    shared.seeds(flags)
    flags.set_default("seeds", ["0", "1", "2", "3", "4"])
    absl_flags.DEFINE_enum(
        "data", "texture_shapes", list(DATA), "What is trained on.", flag_values=flags
    )
    absl_flags.DEFINE_list("modules", [], "Names of modules; by default all.", flag_values=flags)
    absl_flags.DEFINE_list(
        "updates", ["600", "1200"], "Lengths of the trainings.", flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Train what the flags ask for."""
    shared.check(flags, arguments, "out", "updates")
    updates = [int(text) for text in flags.updates]
    for row in starts(
        Path(flags.out), flags.data, updates, flags.modules, shared.seed_numbers(flags)
    ):
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.starts"))
