"""Parameters and operations of the paper's tables 1 and 2, the paper's beside ours."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from srm_keras.analysis.costs.complexity import Cost, LayerCost, complexity
from srm_keras.analysis.paper_tables import TABLE_1, TABLE_2, PaperResult
from srm_keras.layers import list_recalibrations
from srm_keras.layers.conventions import channel_axis, spatial_axes
from srm_keras.models import build
from srm_keras.support.tables import text_table
from srm_keras.support.validation import one_of

Row = dict[str, Any]


def compare_complexity(stride_in: str = "1x1") -> Iterator[Row]:
    """Build each network of tables 1 and 2 and yield the paper's numbers with ours.

    After the paper's rows of a network come those of the modules that it does not have.

    Args:
        stride_in: Where the bottlenecks stride. ``"1x1"`` is the paper's arithmetic, ``"3x3"`` its
            released code.

    Yields:
        Dicts with the same keys for both tables, None where the paper gives nothing: ``table``,
        ``model``, ``classes``, ``paper_params_millions``, ``trainable``, ``params_difference``,
        ``paper_gflops``, ``multiply_adds``, ``module_operations``, ``operations``,
        ``gflops_difference``, ``bytes_moved``, ``paper_top1``, ``paper_top5``. A difference is
        ours, rounded to the paper's two decimals, minus the paper's.

    Raises:
        ValueError: ``stride_in`` is neither.
    """
    one_of("stride_in", stride_in, ("1x1", "3x3"))
    return _compare(stride_in)


def _compare(stride_in: str) -> Iterator[Row]:
    for number, results in ((1, TABLE_1), (2, TABLE_2)):
        for _, group in itertools.groupby(results, lambda result: (result.network, result.dataset)):
            rows = list(group)
            for result in rows:
                yield _row(number, result, result.recalibration, result.row, stride_in)
            known = {result.recalibration for result in rows}
            for module in sorted(set(list_recalibrations()) - known, reverse=True):
                name = f"{module.upper()}-{rows[0].row}" if number == 1 else module.upper()
                yield _row(number, rows[0], module, name, stride_in, in_paper=False)


def _row(
    number: int,
    result: PaperResult,
    module: str | None,
    name: str,
    stride_in: str,
    in_paper: bool = True,
) -> Row:
    network = build(
        result.network, classes=result.classes, recalibration=module, stride_in=stride_in
    )
    place = {"table": number, "model": name, "classes": result.classes}
    return place | _beside(complexity(network).total, result if in_paper else None)


def _beside(cost: Cost, paper: PaperResult | None) -> Row:
    params, gflops = (paper.params_millions, paper.gflops) if paper else (None, None)
    return {
        "paper_params_millions": params,
        "trainable": cost.trainable,
        "params_difference": _difference(cost.trainable / 1e6, params),
        "paper_gflops": gflops,
        "multiply_adds": cost.multiply_adds,
        "module_operations": cost.module_operations,
        "operations": cost.operations,
        "gflops_difference": _difference(cost.operations / 1e9, gflops),
        "bytes_moved": cost.bytes_moved,
        "paper_top1": paper.top1 if paper else None,
        "paper_top5": paper.top5 if paper else None,
    }


def _difference(ours: float, paper: float | None) -> float | None:
    return None if paper is None else round(round(ours, 2) - paper, 2)


def _giga(operations: int) -> str:
    return f"{operations / 1e9:.4f}"


def _mega(count: int) -> str:
    return f"{count / 1e6:.1f}"


# Title of a column: key of the row and how to print it.
Columns = dict[str, tuple[str, Callable[[Any], str]]]

_PARAMETERS: Columns = {
    "model": ("model", str),
    "classes": ("classes", str),
    "M params: paper": ("paper_params_millions", "{:.2f}".format),
    "ours": ("trainable", "{:,}".format),
    "diff.": ("params_difference", "{:+.2f}".format),
}
_OPERATIONS: Columns = {
    "G: conv+dense": ("multiply_adds", _giga),
    "modules": ("module_operations", _giga),
    "sum": ("operations", _giga),
}
_GFLOPS: Columns = {
    "GFLOPs: paper": ("paper_gflops", "{:.2f}".format),
    "diff. ": ("gflops_difference", "{:+.2f}".format),
}
_MEMORY: Columns = {"MB moved": ("bytes_moved", _mega)}
_TOP1: Columns = {"paper: top-1": ("paper_top1", "{:.2f}".format)}
_TOP5: Columns = {"top-5": ("paper_top5", "{:.2f}".format)}

_LAYOUT = (
    (1, "ImageNet-1K, 224×224", _PARAMETERS | _OPERATIONS | _GFLOPS | _MEMORY | _TOP1 | _TOP5),
    (2, 'CIFAR-10 and CIFAR-100, 32×32, "ResNet-56"', _PARAMETERS | _OPERATIONS | _MEMORY | _TOP1),
)


def comparison_text(rows: Sequence[Row]) -> str:
    """Return the rows of ``compare_complexity`` as two tables for people."""
    return "\n\n".join(
        f"Table {number}: {title}\n\n{_text(columns, [r for r in rows if r['table'] == number])}"
        for number, title, columns in _LAYOUT
    )


def _text(columns: Columns, rows: Sequence[Row]) -> str:
    cells = [
        ["–" if row[key] is None else show(row[key]) for key, show in columns.values()]
        for row in rows
    ]
    return text_table(list(columns), cells)


REDUCTION = 16

FormulaRow = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Blocks:
    """The residual blocks of a stage that have a module: N of them, with C outputs each."""

    stage: str
    count: int
    channels: int
    pixels: int


@dataclasses.dataclass(frozen=True)
class Formula:
    """How many parameters a module adds to a stage.

    Attributes:
        text: The formula.
        value: Of the blocks of a stage.
        difference: By how much the trainable parameters of this package differ from it.
        because: Where the difference comes from.
    """

    text: str
    value: Callable[[Blocks], int]
    difference: Callable[[Blocks], int]
    because: str


# Lee et al. 2019, section 3.3 (SRM: equation 10; SE: after it). The paper has none for GE-θ, whose
# depthwise convolution has the size of the map.
FORMULAS = {
    "srm": Formula(
        "6·N·C",
        lambda b: 6 * b.count * b.channels,
        lambda b: -2 * b.count * b.channels,
        "the formula counts the moving mean and variance, which are not trained: 2·N·C",
    ),
    "se": Formula(
        f"2/{REDUCTION}·N·C²",
        lambda b: 2 * b.count * b.channels**2 // REDUCTION,
        lambda b: b.count * (b.channels + b.channels // REDUCTION),
        f"the formula leaves out biases: N·(C + C/{REDUCTION})",
    ),
    "ge": Formula(
        "N·C·(H·W + 3), not in the paper",
        lambda b: b.count * b.channels * (b.pixels + 3),
        lambda b: 0,
        "kernel, bias, scale and offset of each channel, all trained",
    ),
}


def compare_formulas(network: str = "resnet50") -> Iterator[FormulaRow]:
    """Build a network with each module of section 3.3 and yield formulas with what is counted.

    Args:
        network: A name that ``srm_keras.models.build`` knows, without a module.

    Yields:
        A dict a stage and, as stage ``"total"``, one for all of them: ``module``, ``stage``,
        ``blocks``, ``channels`` and ``pixels`` (None in total), ``formula``, ``trainable``,
        ``non_trainable``, ``difference`` (trainable minus formula), ``explained`` (the part of it
        that ``because`` explains), ``because``.

    Raises:
        ValueError: There is no such network.

    Reference:
        Lee et al. 2019, section 3.3, equation 10.
    """
    for module, formula in FORMULAS.items():
        layers = [
            layer
            for layer in complexity(build(network, recalibration=module)).layers
            if layer.name.endswith("_recalibration")
        ]
        stages = dict.fromkeys(layer.stage for layer in layers)
        rows = [
            _counted_row(module, formula, [la for la in layers if la.stage == s]) for s in stages
        ]
        yield from rows
        yield _total(rows)


def _counted_row(module: str, formula: Formula, layers: Sequence[LayerCost]) -> FormulaRow:
    blocks = _blocks(layers)
    trainable = sum(layer.cost.trainable for layer in layers)
    value = formula.value(blocks)
    return {
        "module": module,
        "stage": blocks.stage,
        "blocks": blocks.count,
        "channels": blocks.channels,
        "pixels": blocks.pixels,
        "formula": value,
        "trainable": trainable,
        "non_trainable": sum(layer.cost.non_trainable for layer in layers),
        "difference": trainable - value,
        "explained": formula.difference(blocks),
        "because": formula.because,
    }


def _blocks(layers: Sequence[LayerCost]) -> Blocks:
    shape = layers[0].output_shape
    data_format = keras.config.image_data_format()
    height, width = (shape[axis] for axis in spatial_axes(data_format))
    return Blocks(layers[0].stage, len(layers), shape[channel_axis(data_format)], height * width)


def _total(rows: Sequence[FormulaRow]) -> FormulaRow:
    summed = ("blocks", "formula", "trainable", "non_trainable", "difference", "explained")
    total = {name: sum(row[name] for row in rows) for name in summed}
    return rows[0] | {"stage": "total", "channels": None, "pixels": None} | total


def formulas_text(rows: Sequence[FormulaRow]) -> str:
    """Return the rows of ``compare_formulas`` as a table a module for people."""
    parts = []
    for module, formula in FORMULAS.items():
        cells = [[_cell(row[name]) for name in _COLUMNS] for row in rows if row["module"] == module]
        table = text_table([name.replace("_", " ") for name in _COLUMNS], cells)
        parts.append(
            f"{module}: {formula.text}\n\n{table}\n\nTrainable − formula: {formula.because}."
        )
    return "\n\n".join(parts)


_COLUMNS = (
    *("stage", "blocks", "channels", "pixels"),
    *("formula", "trainable", "non_trainable", "difference", "explained"),
)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
