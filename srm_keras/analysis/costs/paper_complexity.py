"""Parameters and operations of the paper's tables 1 and 2, the paper's beside ours."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from srm_keras.analysis.costs.complexity import complexity
from srm_keras.analysis.costs.cost import Cost
from srm_keras.analysis.paper_tables import TABLE_1, TABLE_2, PaperResult
from srm_keras.layers import list_recalibrations
from srm_keras.models import build
from srm_keras.tables import text_table
from srm_keras.validation import one_of

Row = dict[str, Any]


def compare_complexity(stride_in: str = "1x1") -> Iterator[Row]:
    """Build each network of tables 1 and 2 and yield the paper's numbers with ours.

    After the paper's rows of a network come those of the modules that it does not have.

    Args:
        stride_in: where the bottlenecks stride. ``"1x1"`` is the paper's arithmetic, ``"3x3"`` its
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
