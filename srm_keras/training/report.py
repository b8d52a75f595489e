"""`report.html`: what a run was, how it went, what it scores, and what its gates do."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srm_keras import html
from srm_keras.files import read_json, write_text
from srm_keras.training import run_folder


def write_report(folder: str | os.PathLike, result: Mapping[str, Any]) -> None:
    """Writes a self-contained page about the run in `folder` and its result, into it.

    Pictures of gates are shown where the folder has them.
    """
    run = Path(folder)
    recipe = read_json(run / run_folder.RECIPE)
    sections = [
        html.section("What was trained", html.table(("", ""), _facts(recipe, result).items())),
        html.section("Final numbers", html.table(*_scores(result), "numbers")),
        html.section("Curves", _picture(run / run_folder.CURVES, "loss and accuracy")),
    ]
    gates = [run / name for name in (run_folder.GATES, run_folder.GATES_OVER_TRAINING)]
    pictures = [_picture(path, path.stem) for path in gates if path.is_file()]
    if pictures:
        sections.append(html.section("Gates", "\n".join(pictures)))
    domains = _domains(result)
    if domains:
        header = ("split", "domain", "examples", "last weights")
        sections.append(html.section("Domains", html.table(header, domains, "numbers")))
    sections += [
        html.section("Recipe", html.table(("", ""), run_folder.flatten(recipe).items())),
        html.section(
            "Versions",
            html.table(("", ""), run_folder.flatten(read_json(run / run_folder.VERSIONS)).items()),
        ),
    ]
    title = f"{recipe['model']['name']} on {recipe['data']['name']}"
    write_text(run / run_folder.REPORT, html.page(title, sections))


def _facts(recipe: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Recalibration": str(recipe["recalibration"]),
        "Parameters": f"{result['parameters']['trainable']:,} trainable, "
        f"{result['parameters']['non_trainable']:,} not",
        "Training": f"{recipe['steps']:,} steps of {recipe['batch_size']} images, "
        f"{result['seconds']:.0f} s",
        "Seed": str(recipe["seed"]),
    }


def _scores(result: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: the accuracy and the loss of both weights on every split."""
    rows = [
        (split, name, f"{score['accuracy']:.4f}", f"{score['loss']:.4f}")
        for name in ("last", "best")
        for split, score in result[name]["splits"].items()
    ]
    steps = {name: f"{result[name]['step']:,.0f}" for name in ("last", "best")}
    return (
        ("split", "weights", "after step", "accuracy", "loss"),
        [(split, name, steps[name], *numbers) for split, name, *numbers in rows],
    )


def _domains(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (split, domain, f"{values['examples']:,}", f"{values['accuracy']:.4f}")
        for split, score in result["last"]["splits"].items()
        for domain, values in score.get("domains", {}).items()
    ]


def _picture(path: Path, alternative: str) -> str:
    return html.image(path.read_bytes(), alternative, "curves")
