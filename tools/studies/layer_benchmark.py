"""What the recalibration modules cost in time: forward and backward, with and without XLA."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from srm_keras.support.files import writable_file, write_json, write_text
from srm_keras.support.tables import markdown_table, text_table
from srm_keras.support.timing import Spread, Step, paired_times, timing_environment
from srm_keras.support.validation import one_of, positive_int
from tools.studies.results import check_backend, fact_lines, milliseconds
from tools.studies.timed_steps import MULTIPLY, Shape, built_module, modules

PASSES = ("forward", "forward+backward")


def layer_steps(
    names: Iterable[str], shape: Sequence[int], direction: str, xla: bool
) -> dict[str, Step]:
    """Return functions that run one step of a module in training mode and wait for its end.

    Args:
        names: Of ``modules()``. ``"multiply"`` is ``y = x·g`` with gates g that are an input, of
            which the gradient is taken as well.
        shape: (N, H, W, C) of x, float32.
        direction: ``"forward"``, or ``"forward+backward"``: the gradients with respect to x, g and
            all trainable weights, for a given gradient of y.
        xla: Compile with XLA.

    Returns:
        By name, a function without arguments. It returns one element of y, or of each gradient,
        as a NumPy array: to have them on the host, the step must have finished.

    Raises:
        ValueError: A name or ``direction`` is not one of the above.
    """
    one_of("direction", direction, PASSES)
    random = np.random.default_rng(0)
    x, upstream = (tf.constant(random.standard_normal(shape, "float32")) for _ in range(2))
    gates = tf.constant(random.random((shape[0], 1, 1, shape[-1]), "float32"))
    steps: dict[str, Step] = {}
    for name in names:
        if one_of("names", name, modules()) == MULTIPLY:
            inputs, call, weights = [x, gates], ops.multiply, []
        else:
            layer = built_module(name, shape, random)
            weights = [weight.value for weight in layer.trainable_weights]
            inputs, call = [x], functools.partial(layer, training=True)
        step = _forward(call) if direction == "forward" else _forward_backward(call, weights)
        steps[name] = _to_the_end(tf.function(step, jit_compile=xla), inputs, upstream)
    return steps


def _to_the_end(step: Callable[..., Any], inputs: list[Any], upstream: Any) -> Step:
    return lambda: step(inputs, upstream)[1].numpy()


def _forward(call: Callable[..., Any]) -> Callable[..., Any]:
    def forward(inputs, upstream):
        y = call(*inputs)
        return [y], _one_of_each([y])

    return forward


def _forward_backward(call: Callable[..., Any], weights: list[tf.Variable]) -> Callable[..., Any]:
    def forward_backward(inputs, upstream):
        sources = [*inputs, *weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            y = call(*inputs)
        gradients = tape.gradient(y, sources, output_gradients=upstream)
        return gradients, _one_of_each(gradients)

    return forward_backward


def _one_of_each(tensors):
    return tf.concat([tf.reshape(tensor, [-1])[:1] for tensor in tensors], axis=0)


Row = dict[str, Any]

SHAPES: tuple[Shape, ...] = ((16, 56, 56, 256), (32, 14, 14, 1024))
QUICK_SHAPES: tuple[Shape, ...] = ((2, 8, 8, 16),)
BASELINES = {"to_multiply": MULTIPLY, "to_se": "se"}


@dataclasses.dataclass(frozen=True)
class Case:
    """One table of the report: what is the same for all modules in it.

    Attributes:
        shape: (N, H, W, C) of the float32 feature map.
        xla: Whether the step is compiled with XLA.
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

    ``layer_steps`` says what a step is; those of a case take turns.

    Args:
        shapes: (N, H, W, C) of the feature maps.
        rounds: Measured times of each step.
        warmup: Rounds before the first measured one.
        out: A folder for ``layers.json`` and ``layers.md``, both rewritten after each case.
        on_case: Called after each case with its rows.

    Returns:
        What ``layers.json`` holds: ``environment``, ``settings`` and ``rows``; a row has the case,
        ``module``, times in ms, the ratios ``to_multiply`` and ``to_se`` of medians, and ``note``,
        which says why where a module was not timed.

    Raises:
        ValueError: The Keras backend is not TensorFlow, or ``rounds``, ``warmup`` or ``out`` is
            not one of the above.
    """
    check_backend("layer benchmark")
    positive_int("rounds", rounds)
    positive_int("warmup", warmup)
    files = _files(out) if out else None
    report: dict[str, Any] = {
        "environment": timing_environment(),
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
    times = {name: own.wall for name, own in paired_times(steps, rounds, warmup).items()}
    medians = {name: Spread.of(own).median for name, own in times.items()}
    place = {**dataclasses.asdict(case), "shape": list(case.shape)}
    untimed = dict.fromkeys(milliseconds(times[MULTIPLY]))
    return [
        {
            **place,
            "module": name,
            **(milliseconds(times[name]) if name in times else untimed),
            **{key: _ratio(medians, name, other) for key, other in BASELINES.items()},
            "note": note,
        }
        for name, note in notes.items()
    ]


def _ratio(medians: Mapping[str, float], name: str, baseline: str) -> float | None:
    return round(medians[name] / medians[baseline], 3) if name in medians else None


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
    lines = ["# Time of the recalibration modules", "", *fact_lines(report)]
    for case, rows in _by_case(report["rows"]).items():
        lines += ["", f"## {case}", "", markdown_table(_HEADER, _cells(rows))]
        lines += ["", *_notes(rows)] if _notes(rows) else []
    return "\n".join(lines) + "\n"


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
