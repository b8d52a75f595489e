"""Sections of the report: runs on other data, each beside the table whose question it asks."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from srm_keras.analysis.paper_tables.paper import HELD_OUT, TABLE_1, TABLE_6, TABLE_7, PaperTable
from srm_keras.analysis.paper_tables.runs import (
    PLAIN,
    Setting,
    measured,
    measured_top5,
    module_key,
)
from srm_keras.analysis.paper_tables.sections import Row, Section
from srm_keras.layers import spec_label

# The table that asks the question of a data set, where all its splits ask the same.
_TABLE_OF = {
    "cifar10": 2,
    "cifar100": 2,
    "dtd": 5,
    "fashion_mnist": 2,
    "image_folder": 5,
    "imagenet": 1,
    "office_home": 4,
    "stylized_imagenet": 3,
}
_NUISANCE_SPLITS = ("test_unseen_style", "cue_conflict")
_PLAIN_RECOGNITION = 2
_ORDER = (PLAIN, "se", "ge", "srm")


def table_of(setting: Setting, split: str) -> int:
    """The number of the table whose question a setting asks with a split.

    texture_shapes asks for shapes (table 2), under styles that are a nuisance (3), in families of
    textures that training left out (4), or for textures (5). An image folder is taken for one of
    textures, as in the recipe of that name; what is unknown for plain recognition.
    """
    recipe = setting.example.recipe
    if setting.example.dataset != "texture_shapes":
        return _TABLE_OF.get(setting.example.dataset, _PLAIN_RECOGNITION)
    if recipe.get("data.options.label", "shape") != "shape":
        return 5
    if split in _NUISANCE_SPLITS:
        return 3
    by_family = split == HELD_OUT and recipe.get("data.fold_by") == "group"
    return 4 if by_family else _PLAIN_RECOGNITION


def stand_in_sections(table: PaperTable, settings: Sequence[Setting]) -> list[Section]:
    """A section for each setting that asks the table's question on other data.

    Args:
        table: One of ``TABLES``.
        settings: Those that match no result of the paper.
    """
    sections = []
    for setting in settings:
        modules, splits = _modules(table, setting), _splits(table, setting)
        if modules and splits:
            found = [
                _measured(table, setting, label, spec, splits) for label, spec in modules.items()
            ]
            sections.append(_section(table, setting, found))
    return sections


def only_in_ablations(spec: Any) -> bool:
    """Whether a module is in tables 6 and 7 alone."""
    known = {module_key(result.recalibration) for result in TABLE_1}
    variants = {module_key(result.recalibration) for result in (*TABLE_6, *TABLE_7)}
    return module_key(spec) in variants - known


def _modules(table: PaperTable, setting: Setting) -> dict[str, Any]:
    """Label and spec of the setting's modules that belong beside the table."""
    if table.number not in (6, 7):
        specs = [spec for spec in setting.modules.values() if not only_in_ablations(spec)]
        return dict(sorted(map(_labelled, specs), key=_in_paper_order))
    found = {
        result.row.removeprefix("ResNet-50 + "): result.recalibration
        for result in table.results
        if result.recalibration and module_key(result.recalibration) in setting.modules
    }
    plain = {PLAIN: None} if PLAIN in setting.modules else {}
    return {**plain, **found} if any(map(only_in_ablations, found.values())) else {}


def _labelled(spec: Any) -> tuple[str, Any]:
    return spec_label(spec), spec


def _in_paper_order(labelled: tuple[str, Any]) -> tuple[int, str]:
    """As in the paper's tables; what it does not have comes last."""
    label, _ = labelled
    return (_ORDER.index(label) if label in _ORDER else len(_ORDER)), label


def _splits(table: PaperTable, setting: Setting) -> list[str]:
    splits = dict.fromkeys(split for run in setting.runs for split in run.accuracies)
    if table.number in (6, 7):
        return list(splits)
    return [split for split in splits if table_of(setting, split) == table.number]


def _measured(
    table: PaperTable, setting: Setting, label: str, spec: Any, splits: Sequence[str]
) -> dict[str, Any]:
    """What was measured of a module, as numbers."""
    scores = {}
    for split in splits:
        domain = _domain(table, setting, split)
        mine, plain = (measured(setting.of(one), split, domain) for one in (spec, None))
        against = None
        if mine and plain and module_key(spec) != PLAIN:
            against = mine.mean - plain.mean
        top5 = measured_top5(setting.of(spec), split) if table.has_top5 else None
        scores[split] = {"accuracy": mine, "gain": against, "top5": top5}
    return {"module": label, "splits": scores, "paper_gains": _paper_gains(table, spec)}


def _domain(table: PaperTable, setting: Setting, split: str) -> str | None:
    """Beside table 4 the mean over the domains, which its gains are of, where there are any."""
    with_domains = all(run.accuracy(split, "mean") is not None for run in setting.runs)
    return "mean" if with_domains and any(one.domain for one in table.results) else None


def _row(module: Mapping[str, Any]) -> Row:
    row: dict[str, Any] = {"module": module["module"]}
    for split, score in module["splits"].items():
        row[f"{split} %"] = score["accuracy"] and str(score["accuracy"])
        row[f"{split}: gain"] = _signed([] if score["gain"] is None else [score["gain"]])
        if score["top5"]:
            row[f"{split}: top-5 %"] = str(score["top5"])
    return row | {"gain in the paper": _signed(module["paper_gains"])}


def _signed(gains: Sequence[float]) -> str | None:
    return ", ".join(f"{gain:+.2f}" for gain in gains) or None


def _for_programs(module: Mapping[str, Any]) -> dict[str, Any]:
    scores = {
        split: {
            **(dataclasses.asdict(score["accuracy"]) if score["accuracy"] else {}),
            "gain": score["gain"],
            "top5": score["top5"] and dataclasses.asdict(score["top5"]),
        }
        for split, score in module["splits"].items()
    }
    return {**module, "splits": scores}


def _paper_gains(table: PaperTable, spec: Any) -> list[float]:
    """Top-1 of a module minus that of the baseline, in each of the table's experiments."""
    wanted = module_key(spec)
    baselines = {_experiment(one): one.top1 for one in table.results if not one.recalibration}
    if table.number == 7:
        baselines = {_experiment(one): one.top1 for one in TABLE_6 if not one.recalibration}
    return [
        one.top1 - baselines[_experiment(one)]
        for one in table.results
        if one.recalibration and module_key(one.recalibration) == wanted and _is_overall(one.domain)
    ]


def _experiment(result: Any) -> tuple[str, ...]:
    return (result.network, result.column)


def _is_overall(domain: str | None) -> bool:
    return domain in (None, "mean")


def _section(table: PaperTable, setting: Setting, found: Sequence[Mapping[str, Any]]) -> Section:
    recipe = setting.example.recipe
    experiments = dict.fromkeys(
        one.column or one.network for one in table.results if _is_overall(one.domain)
    )
    schedule = f"learning rate {recipe['learning_rate.base']}, {recipe['learning_rate.schedule']}"
    title = setting_title(setting)
    over = [split for split in _splits(table, setting) if _domain(table, setting, split)]
    accuracy = "accuracy, the mean over the domains," if over else "accuracy"
    return Section(
        f"Beside table {table.number}: {title}",
        [
            f"Not in the paper; asks about: {table.question}. {recipe['steps']:,} steps of "
            f"{recipe['batch_size']} images, {schedule}; {accuracy} of the last weights."
        ],
        list(map(_row, found)),
        [
            "gain: top-1 minus that of the network without a module, in points; in the paper on "
            f"{', '.join(experiments).removesuffix('.')}."
        ],
        level=3,
        data={
            "beside_table": table.number,
            "setting": title,
            "mean_over_domains": over,
            "rows": list(map(_for_programs, found)),
        },
    )


def setting_title(setting: Setting) -> str:
    """What the runs of a setting were trained on, and how they were split."""
    example = setting.example
    folds = example.recipe.get("data.folds", 0)
    label = example.recipe.get("data.options.label")
    parts = [
        example.dataset if example.dataset != "image_folder" else "an image folder",
        f"{example.classes} classes" + (f" ({label})" if label else ""),
        example.network,
    ]
    if folds:
        parts.append(f"{folds} folds by {example.recipe['data.fold_by']}")
    if example.recipe.get("model.neutral"):
        parts.append("neutral start")
    return ", ".join(parts)
