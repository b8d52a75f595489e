"""Sections of the report: each table of the paper beside the runs of its experiments."""

import dataclasses
import string
from collections.abc import Mapping, Sequence
from typing import Any

from srm_keras.analysis.paper_tables.paper import PaperResult, PaperTable
from srm_keras.analysis.paper_tables.runs import (
    Fields,
    Setting,
    differences,
    measured,
    measured_top5,
    module_key,
)
from srm_keras.analysis.paper_tables.sections import Row, Section
from srm_keras.analysis.paper_tables.stand_ins import only_in_ablations
from srm_keras.layers import spec_label

NOT_RUN = "not run"
NOT_RECORDED = "not recorded"


def table_section(
    table: PaperTable,
    settings: Sequence[Setting],
    recipes: Mapping[str, Fields],
    complexities: Sequence[Mapping[str, Any]] = (),
) -> Section:
    """A table of the paper beside what was run here.

    Args:
        table: One of ``TABLES``.
        settings: All runs.
        recipes: The paper's recipe for each data set, by dotted path.
        complexities: Rows of ``compare_complexity``, for tables 1 and 2.
    """
    notes = _Notes()
    counted = {(row["table"], row["model"], row["classes"]): row for row in complexities}
    rows, data = [], []
    for result, in_paper in _with_other_modules(table, settings):
        found = _found(result, settings, recipes)
        here = {"top-1": _here("text", found, notes), "top-5": _here("text5", found, notes)}
        cost = counted.get((table.number, result.row, result.classes))
        paper = result if in_paper else None
        rows.append(_row(table, result, paper, cost, here))
        data.append(_data(result, paper, cost, found))
    return Section(
        f"Table {table.number}: {table.title}",
        [f"Asks about: {table.question}."],
        rows,
        notes.lines,
        data={"table": table.number, "rows": data},
    )


def _here(text: str, found: Sequence[Mapping[str, Any]], notes: "_Notes") -> str:
    """What was measured in every setting, each with the mark of its note."""
    return "; ".join(f"{one[text]}{notes.mark(one['note'])}" for one in found) or NOT_RUN


def matches(setting: Setting, result: PaperResult) -> bool:
    """Whether the runs of a setting train the result's network on its data."""
    return (setting.example.dataset, setting.example.network) == (result.dataset, result.network)


def _with_other_modules(
    table: PaperTable, settings: Sequence[Setting]
) -> list[tuple[PaperResult, bool]]:
    """The table's results (True), then modules that were run but are not in it (False)."""
    results = [(result, True) for result in table.results]
    if table.number in (6, 7):
        return results
    experiments: dict[tuple, list[PaperResult]] = {}
    for result in table.results:
        experiments.setdefault((result.network, result.column), []).append(result)
    for known in experiments.values():
        keys = {module_key(result.recalibration) for result in known}
        for setting in settings:
            for key, spec in setting.modules.items():
                if matches(setting, known[0]) and key not in keys and not only_in_ablations(spec):
                    keys.add(key)
                    other = dataclasses.replace(known[0], row=spec_label(spec), recalibration=spec)
                    results.append((other, False))
    return results


def _found(
    result: PaperResult, settings: Sequence[Setting], recipes: Mapping[str, Fields]
) -> list[dict[str, Any]]:
    """What was measured for a result: an entry for each setting that has it."""
    found = []
    for setting in settings:
        if not matches(setting, result):
            continue
        runs = setting.of(result.recalibration)
        value = measured(runs, result.split, result.domain)
        if value is None:
            continue
        top5 = measured_top5(runs, result.split) if result.domain is None else None
        recipe = setting.example.recipe
        differing = differences(recipe, recipes[result.dataset])
        found.append(
            {
                "text": str(value),
                "text5": NOT_RECORDED if top5 is None else str(top5),
                "top1": value.mean,
                "std": value.std,
                "top5": top5 and top5.mean,
                "top5_std": top5 and top5.std,
                "runs": value.runs,
                "steps": recipe["steps"],
                "papers_recipe": not differing,
                "differences": differing,
                "note": _note(recipe["steps"], differing),
            }
        )
    return found


def _note(steps: int, differing: Mapping[str, tuple[Any, Any]]) -> str:
    if not differing:
        return f"the paper's recipe, {steps:,} steps"
    changes = ", ".join(f"{name}={ours} ({paper})" for name, (ours, paper) in differing.items())
    return f"not the paper's recipe (whose values are in brackets): {changes}"


def _row(
    table: PaperTable,
    result: PaperResult,
    paper: PaperResult | None,
    cost: Mapping[str, Any] | None,
    here: Mapping[str, str],
) -> Row:
    row: dict[str, Any] = {"model": result.row}
    if len(table.columns) > 1:
        row["on"] = result.column
    if any(one.params_millions for one in table.results):
        row |= {
            "M params: paper": paper and paper.params_millions,
            "here": cost["trainable"] if cost else None,
        }
    if any(one.gflops for one in table.results):
        row |= {
            "GFLOPs: paper": paper and paper.gflops,
            "counted": f"{cost['operations'] / 1e9:.4f}" if cost else None,
        }
    row |= {"top-1 %: paper": paper and paper.top1, "top-1 %: here": here["top-1"]}
    if table.has_top5:
        row |= {"top-5 %: paper": paper and paper.top5, "top-5 %: here": here["top-5"]}
    return row


def _data(
    result: PaperResult,
    paper: PaperResult | None,
    cost: Mapping[str, Any] | None,
    found: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    printed = ("params_millions", "gflops", "top1", "top5")
    return {
        "model": result.row,
        "column": result.column,
        "dataset": result.dataset,
        "network": result.network,
        "recalibration": result.recalibration,
        "paper": {name: getattr(paper, name) for name in printed} if paper else None,
        "trainable": cost["trainable"] if cost else None,
        "operations": cost["operations"] if cost else None,
        "here": [
            {k: v for k, v in one.items() if k not in ("text", "text5", "note")} for one in found
        ],
    }


class _Notes:
    """Footnotes with letters, each text once."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The mark of a note, such as `` [a]``."""
        rounds, place = divmod(len(self._letters), len(string.ascii_lowercase))
        letter = self._letters.setdefault(text, string.ascii_lowercase[place] * (rounds + 1))
        return f" [{letter}]"

    @property
    def lines(self) -> list[str]:
        """The notes."""
        return [f"[{letter}] {text}" for text, letter in self._letters.items()]
