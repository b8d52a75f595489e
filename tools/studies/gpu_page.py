"""What stands on the page of the study of a GPU: rates, shares of the card's limits, tables."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from srm_keras.support.tables import markdown_table
from tools.studies.results import Row, fact_lines, values
from tools.studies.timed_steps import FEWEST_PASSES

Limits = Mapping[str, float | None]

CARDS = {
    "H200": (4800, 989.4),
    "H100 NVL": (3938, 835.5),
    "H100 PCIe": (2039, 756.5),
    "H100": (3352, 989.4),
    "A100 80GB PCIe": (1935, 312),
    "A100-SXM4-80GB": (2039, 312),
    "A100": (1555, 312),
    "L40S": (864, 362.1),
    "L4": (300, 121),
    "A10": (600, 125),
    "RTX 4090": (1008, 165.2),
}
"""Nominal GB/s, and TFLOP/s of dense bfloat16 products, by what a device's name holds.

From NVIDIA's data sheets. The first that fits counts.
"""
NONE = "–"
PAGE = """# Modules and networks on a GPU

{facts}

Steps take turns in an order that is drawn anew each round; times are medians of all rounds. Short
ones are repeated, so that launching them does not count. All results of a program are its outputs.

## The card

| | measured | nominal |
| --- | ---: | ---: |
{card}

The copy negates an array: bytes read and written. The product is of two square bfloat16 matrices.

{sections}
Made by `KERAS_BACKEND=jax python -m tools.studies.gpu --out=docs/results/gpu`.
"""
STEPS_NOTE = """\
An update with SGD and Nesterov's momentum in bfloat16, weights in float32. PyTorch: autocast,
channels last, SRM by its published formula; compiled: `torch.compile`. Shares are of 6 operations
for each multiply-add of the plain network (forward, and twice that back), over what the product of
matrices reached and over the nominal peak. × plain is to plain in the same framework, by round."""
MAPS_NOTE = """\
Forward and backward in training mode. GB/s counts the fewest passes over the map that do the work
({passes}),
so that more of it means fewer passes to spare. Shares are of the copy and of the nominal bandwidth;
a map that fits into the card's cache can be above 1. `srm (autodiff)` is SRM with its gradient left
to JAX."""


@dataclasses.dataclass(frozen=True)
class Amount:
    """The least that a program does: bytes moved, operations, images; None where it is not that."""

    bytes: int | None = None
    flops: int | None = None
    images: int | None = None


def nominal(card: str) -> Limits:
    """Nominal GB/s and TFLOP/s of a device of this name; None for those that are not known."""
    found = (limits for name, limits in CARDS.items() if name in card)
    bandwidth, peak = next(found, (None, None))
    return {"bytes": bandwidth, "flops": peak}


def rates(amount: Amount, milliseconds: float, measured: Limits, known: Limits) -> Row:
    """Rates of a program, and their shares of what was measured of the card and of its nominal."""
    row: Row = {}
    if amount.images is not None:
        row["images_per_second"] = round(1e3 * amount.images / milliseconds, 1)
    for name, column, unit in (("bytes", "gb_per_second", 1e9), ("flops", "tflops", 1e12)):
        done = getattr(amount, name)
        if done is not None:
            row[column] = done / (milliseconds * 1e-3) / unit
            row["share_of_measured"] = _share(row[column], measured[name])
            row["share_of_nominal"] = _share(row[column], known[name])
    return row


def _share(rate: float, limit: float | None) -> float | None:
    return None if limit is None else round(rate / limit, 4)


def page(study: Mapping[str, Any]) -> str:
    """The Markdown page of what gpu.json holds."""
    rows = study["rows"]
    sections = []
    for kinds, columns, note in (
        (("steps", "compiled"), _step_cells, STEPS_NOTE),
        (("maps",), _map_cells, MAPS_NOTE.format(passes=_passes())),
    ):
        own = [row for row in rows if row["kind"] in kinds]
        for case in values(own, "case"):
            found = [columns(row) for row in own if row["case"] == case and row["error"] is None]
            tables = [markdown_table(list(found[0]), [list(one.values()) for one in found])] * bool(
                found
            )
            sections += [f"## {case}\n", *(f"{table}\n" for table in tables)]
        sections += [f"{note}\n"] if own else []
    errors = [row for row in rows if row["error"] is not None]
    if errors:
        sections += ["## What failed\n", *map(_error, errors), ""]
    return PAGE.format(
        facts="\n".join(fact_lines(study)),
        card="\n".join(_card_lines(rows, study["environment"]["card"])),
        sections="\n".join(sections),
    )


def _passes() -> str:
    return ", ".join(f"{name} {count}" for name, count in FEWEST_PASSES.items())


def _card_lines(rows: Iterable[Row], card: str) -> list[str]:
    found = {row["module"]: row for row in rows if row["case"] == "card"}
    limits = nominal(card)
    lines = []
    for name, column, limit, unit in (
        ("copy", "gb_per_second", "bytes", "GB/s"),
        ("product", "tflops", "flops", "TFLOP/s"),
    ):
        measured = found.get(name, {}).get(column)
        cells = [_number(measured, ",.1f"), _number(limits[limit], ",.1f")]
        lines.append(f"| {name}, {unit} | {' | '.join(cells)} |")
    return lines


def _step_cells(row: Row) -> dict[str, str]:
    return {
        "framework": row["framework"],
        "module": row["module"],
        "ms": _number(row["median_ms"], ".2f"),
        "× plain": _number(row["to_plain"], ".3f"),
        "images/s": _number(row["images_per_second"], ",.0f"),
        "of the product": _number(row["share_of_measured"], ".1%"),
        "of nominal": _number(row["share_of_nominal"], ".1%"),
        "peak memory, GiB": _number(row["memory_gib"], ".2f"),
    }


def _map_cells(row: Row) -> dict[str, str]:
    return {
        "module": row["module"],
        "ms": _number(row["median_ms"], ".3f"),
        "× SE": _number(row["to_se"], ".2f"),
        "GB/s": _number(row["gb_per_second"], ",.0f"),
        "of the copy": _number(row["share_of_measured"], ".0%"),
        "of nominal": _number(row["share_of_nominal"], ".0%"),
        "peak memory, GiB": _number(row["memory_gib"], ".2f"),
    }


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _error(row: Row) -> str:
    return f"- {row['case']}, {row['framework']}, {row['module']}: {row['error']}"
