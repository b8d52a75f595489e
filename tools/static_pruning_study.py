"""What a network is worth without some of its channels: accuracy, size and time."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.analysis import complexity
from srm_keras.analysis.pruning.channel_removal import without_channels
from srm_keras.analysis.pruning.static import (
    StaticPruning,
    highest_channels,
    mean_gates,
    static_pruning,
)
from srm_keras.export import to_tflite
from srm_keras.export.benchmark.timing import Spread, paired_times, round_ratios
from srm_keras.export.runners import TFLiteRunner
from srm_keras.files import write_atomically, write_csv, write_json, write_text
from srm_keras.tables import markdown_table
from tools.run_samples import Samples

FILES = ("static_pruning.csv", "static_pruning.json", "static_pruning.md")
BATCH_SIZE = 100
PARITY_SAMPLES = 200
Row = dict[str, Any]


@dataclass(frozen=True)
class Removal:
    """A network without the lowest channels, one without as many others, and what was removed."""

    model: keras.Model
    control: keras.Model
    report: StaticPruning


def removals(
    model: keras.Model, inputs: np.ndarray, ratios: Sequence[float]
) -> dict[float, Removal]:
    """Return the pruned networks by ratio; all of them before any is measured."""
    batches = (inputs[start : start + BATCH_SIZE] for start in range(0, len(inputs), BATCH_SIZE))
    means = mean_gates(model, batches)
    rng = np.random.default_rng(0)
    found = {}
    for ratio in ratios:
        kept = highest_channels(means, ratio)
        smaller = without_channels(model, kept)
        drawn = {
            name: np.sort(rng.permutation(len(means[name]))[: len(channels)])
            for name, channels in kept.items()
        }
        report = static_pruning(model, smaller, means, kept)
        found[ratio] = Removal(smaller, without_channels(model, drawn), report)
        print(f"removed {ratio:g} of the channels of every branch", file=sys.stderr, flush=True)
    return found


def measured(
    found: Mapping[float, Removal], samples: Samples, folder: Path, rounds: int
) -> list[Row]:
    """Return a row for each ratio, its files written to ``folder``."""
    rows = [_row(ratio, removal, samples, folder) for ratio, removal in found.items()]
    image = samples.inputs[:1]
    names = [row["file"] for row in rows]
    steps = {name: partial(TFLiteRunner(folder / name), image) for name in names}
    times = paired_times(steps, rounds)
    for row in rows:
        ratios = round_ratios(times, row["file"], names[0])
        row["cpu_ms"] = Spread.of(times[row["file"]].cpu).median
        row["time_ratio"] = Spread.of(ratios.cpu).median
        row["time_ratio_quartiles"] = [Spread.of(ratios.cpu).lower, Spread.of(ratios.cpu).upper]
    return rows


def _row(ratio: float, removal: Removal, samples: Samples, folder: Path) -> Row:
    stem = f"ratio_{ratio:g}"
    write_atomically(folder / f"{stem}.keras", removal.model.save)
    report = to_tflite(removal.model, folder / f"{stem}.tflite", samples.inputs[:PARITY_SAMPLES])
    cost = complexity(removal.model).total
    row = {
        "ratio": ratio,
        "accuracy": _accuracy(removal.model, samples),
        "accuracy_random": _accuracy(removal.control, samples),
        "parameters": removal.report.parameters,
        "multiply_adds": cost.multiply_adds,
        "operations": cost.operations,
        "size_bytes": report.size_bytes,
        "parity": report.parity.max_error,
        "file": f"{stem}.tflite",
    }
    print(f"{stem}: accuracy {row['accuracy']:.4f}", file=sys.stderr, flush=True)
    return row


def _accuracy(model: keras.Model, samples: Samples) -> float:
    scores = model.predict(samples.inputs, batch_size=BATCH_SIZE, verbose=0)
    return float(np.mean(scores.argmax(axis=-1) == samples.labels))


def write(folder: Path, settings: Row, rows: Sequence[Row], found: Mapping[float, Removal]) -> None:
    """Write the table in its three forms."""
    table, data, text = (folder / name for name in FILES)
    write_csv(table, rows)
    blocks = {f"{ratio:g}": removal.report.to_dict() for ratio, removal in found.items()}
    write_json(data, {"settings": settings, "rows": rows, "removed": blocks})
    facts = ", ".join(f"{name}: {value}" for name, value in settings.items())
    write_text(text, f"# Static pruning\n\n{facts}\n\n{rows_markdown(rows)}\n")


def rows_markdown(rows: Sequence[Row]) -> str:
    """The rows as a table, and in words whether the smaller files are faster."""
    header = ["removed", "top-1", "top-1, random channels", "parameters", "multiply-adds"]
    header += ["TFLite", "CPU time", "time to unpruned (quartiles)"]
    lines = [
        [
            f"{row['ratio']:g}",
            f"{row['accuracy']:.4f}",
            f"{row['accuracy_random']:.4f}",
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            f"{row['size_bytes'] / 1000:,.0f} kB",
            f"{row['cpu_ms']:.3f} ms",
            f"{row['time_ratio']:.2f} ({row['time_ratio_quartiles'][0]:.2f}"
            f"–{row['time_ratio_quartiles'][1]:.2f})",
        ]
        for row in rows
    ]
    verdicts = [_verdict(row) for row in rows[1:]]
    return "\n\n".join([markdown_table(header, lines), "\n".join(verdicts)])


def _verdict(row: Row) -> str:
    lower, upper = row["time_ratio_quartiles"]
    pace = "faster than" if upper < 1 else "slower than" if lower > 1 else "no faster than"
    return f"Without {row['ratio']:g} of the channels the file is {pace} the unpruned one."
