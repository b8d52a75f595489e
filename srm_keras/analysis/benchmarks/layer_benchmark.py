"""What the recalibration modules cost in time: forward and backward, with and without XLA."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from srm_keras.analysis.benchmarks.benchmark import environment, interleave, ratios
from srm_keras.analysis.benchmarks.layer_steps import MULTIPLY, PASSES, layer_steps, modules
from srm_keras.files import writable_file, write_json, write_text
from srm_keras.tables import markdown_table, text_table
from srm_keras.validation import positive_int

Shape = tuple[int, int, int, int]
Row = dict[str, Any]

SHAPES: tuple[Shape, ...] = ((16, 56, 56, 256), (32, 14, 14, 1024))
QUICK_SHAPES: tuple[Shape, ...] = ((2, 8, 8, 16),)
BASELINES = {"to_multiply": MULTIPLY, "to_se": "se"}


@dataclasses.dataclass(frozen=True)
class Case:
    """One table of the report: what is the same for all modules in it.

    Attributes:
        shape: (N, H, W, C) of the float32 feature map.
        xla: whether the step is compiled with XLA.
        direction: ``"forward"`` or ``"forward+backward"``.
    """

    shape: Shape
    xla: bool
    direction: str

    def __str__(self) -> str:
        compiler = "XLA" if self.xla else "no XLA"
        return f"{'×'.join(map(str, self.shape))}, {self.direction}, {compiler}"


def benchmark_layers(
    shapes: Sequence[Shape] = SHAPES,
    rounds: int = 20,
    warmup: int = 3,
    out: str | os.PathLike | None = None,
    on_case: Callable[[Case, list[Row]], Any] | None = None,
) -> dict[str, Any]:
    """Time every module, and the bare product with given gates, in float32 and training mode.

    ``srm_keras.analysis.benchmarks.layer_steps`` says what a step is; those of a case take turns.

    Args:
        shapes: (N, H, W, C) of the feature maps.
        rounds: measured times of each step.
        warmup: rounds before the first measured one.
        out: a folder for ``layers.json`` and ``layers.md``, both rewritten after each case.
        on_case: called after each case with its rows.

    Returns:
        What ``layers.json`` holds: ``environment``, ``settings`` and ``rows``; a row has the case,
        ``module``, times in ms, the ratios ``to_multiply`` and ``to_se`` of medians, and ``note``,
        which says why where a module was not timed.

    Raises:
        ValueError: the Keras backend is not TensorFlow, or ``rounds``, ``warmup`` or ``out`` is
            not one of the above.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "The layer benchmark needs Keras' TensorFlow backend. "
            f"Received: {keras.backend.backend()!r}"
        )
    positive_int("rounds", rounds)
    positive_int("warmup", warmup)
    files = _files(out) if out else None
    report: dict[str, Any] = {
        "environment": environment(),
        "settings": {"rounds": rounds, "warmup": warmup, "dtype": "float32", "training": True},
        "rows": [],
    }
    for case in _cases(shapes):
        rows = _time(case, rounds, warmup)
        report["rows"] += rows
        if files:
            write_json(files[0], report)
            write_text(files[1], report_markdown(report))
        if on_case:
            on_case(case, rows)
    return report


def _files(out: str | os.PathLike) -> tuple[Path, Path]:
    return (
        writable_file("out", Path(out) / "layers.json"),
        writable_file("out", Path(out) / "layers.md"),
    )


def _cases(shapes: Sequence[Shape]) -> Iterator[Case]:
    for shape in shapes:
        for xla in (False, True):
            for direction in PASSES:
                yield Case(shape, xla, direction)


def _time(case: Case, rounds: int, warmup: int) -> list[Row]:
    notes = {name: _why_not(name, case) for name in modules()}
    timed = [name for name, note in notes.items() if note is None]
    steps = layer_steps(timed, case.shape, case.direction, case.xla)
    timings = interleave(steps, rounds, warmup)
    relative = {key: ratios(timings, baseline) for key, baseline in BASELINES.items()}
    place = {**dataclasses.asdict(case), "shape": list(case.shape)}
    untimed = dict.fromkeys(timings[MULTIPLY].to_dict())
    return [
        {
            **place,
            "module": name,
            **(timings[name].to_dict() if name in timings else untimed),
            **{key: values.get(name) for key, values in relative.items()},
            "note": note,
        }
        for name, note in notes.items()
    ]


def _why_not(name: str, case: Case) -> str | None:
    """Why a module is left out of a case; None where it is not."""
    slow = name == "ge" and case.xla and case.direction == "forward+backward"
    if slow and not tf.config.list_physical_devices("GPU"):
        return (
            "not timed: with XLA on CPU, the gradient of a depthwise convolution whose kernel is "
            "as large as the map takes from 20 s to minutes a step"
        )
    return None


_HEADER = ("module", "median ms", "quartiles ms", "× multiply", "× SE")


def case_text(case: Case, rows: Sequence[Row]) -> str:
    """Return the rows of one case as a table for people."""
    return "\n".join([str(case), "", text_table(_HEADER, _cells(rows)), *_notes(rows)])


def report_markdown(report: dict[str, Any]) -> str:
    """Return a report of ``benchmark_layers`` as a Markdown page."""
    facts = report["environment"] | report["settings"]
    lines = ["# Time of the recalibration modules", ""]
    lines += [f"- {name.replace('_', ' ')}: {_fact(value)}" for name, value in facts.items()]
    for case, rows in _by_case(report["rows"]).items():
        lines += ["", f"## {case}", "", markdown_table(_HEADER, _cells(rows))]
        lines += ["", *_notes(rows)] if _notes(rows) else []
    return "\n".join(lines) + "\n"


def _fact(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


def _by_case(rows: Sequence[Row]) -> dict[Case, list[Row]]:
    cases: dict[Case, list[Row]] = {}
    for row in rows:
        n, height, width, channels = row["shape"]
        case = Case((n, height, width, channels), row["xla"], row["direction"])
        cases.setdefault(case, []).append(row)
    return cases


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    return [_timed(row) if row["note"] is None else [row["module"], *"––––"] for row in rows]


def _timed(row: Row) -> list[str]:
    return [
        row["module"],
        f"{row['median_ms']:.2f}",
        f"{row['lower_quartile_ms']:.2f}–{row['upper_quartile_ms']:.2f}",
        f"{row['to_multiply']:.2f}",
        f"{row['to_se']:.2f}",
    ]


def _notes(rows: Sequence[Row]) -> list[str]:
    return [f"{row['module']}: {row['note']}." for row in rows if row["note"]]
