"""`report.html`: what a run was and scores, its curves, gates, and examples of its answers."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras import data, html
from srm_keras.files import read_json, write_text
from srm_keras.layers import spec_label
from srm_keras.training import run_folder
from srm_keras.training.evaluation import Predictions
from srm_keras.training.inputs import Examples

SHOWN = 6
"""Right and wrong predictions on the page, so many of each."""


def write_report(
    folder: str | os.PathLike,
    result: Mapping[str, Any],
    predicted: Predictions,
    classes: Sequence[str],
) -> None:
    """Writes a self-contained page about the run in `folder`, into it.

    Pictures of gates are shown where the folder has them.

    Args:
        folder: The run folder.
        result: What `result.json` holds.
        predicted: What the last weights say of the examples of the first evaluated split.
        classes: The names of the classes.
    """
    run = Path(folder)
    recipe = read_json(run / run_folder.RECIPE)
    sections = [
        html.section("What was trained", html.table(("", ""), _facts(recipe, result).items())),
        html.section("Final numbers", html.table(*_scores(result), "numbers")),
        html.section("Curves", html.picture(run / run_folder.CURVES, "loss and accuracy")),
    ]
    gates = [run / name for name in (run_folder.GATES, run_folder.GATES_OVER_TRAINING)]
    pictures = [html.picture(path, path.stem) for path in gates if path.is_file()]
    if pictures:
        sections.append(html.section("Gates", "\n".join(pictures)))
    split = next(iter(result["last"]["splits"]))
    examples = _examples(predicted, classes)
    sections.append(html.section(f"Predictions of the last weights on {split!r}", examples))
    domains = _domains(result)
    if domains:
        header = ("split", "domain", "examples", "last weights")
        sections.append(html.section("Domains", html.table(header, domains, "numbers")))
    sections += [
        html.folded(name, html.table(("", ""), run_folder.flatten(values).items()))
        for name, values in (
            ("Recipe", recipe),
            ("Versions", run_folder.told_versions(run)),
        )
    ]
    title = f"{recipe['model']['name']} on {recipe['data']['name']}"
    write_text(run / run_folder.REPORT, html.page(title, sections))


def _facts(recipe: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Recalibration": spec_label(recipe["recalibration"]),
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


def _examples(predicted: Predictions, classes: Sequence[str]) -> str:
    """Wrong predictions, then right ones, where there are any, from all over the split."""
    right = predicted.classes == predicted.examples.labels
    parts = []
    for name, positions in (("Wrong", np.flatnonzero(~right)), ("Right", np.flatnonzero(right))):
        count = min(SHOWN, len(positions))
        if count:
            spread = [int(positions[k * len(positions) // count]) for k in range(count)]
            heading = f"{name}: {len(positions):,} of {len(right):,}"
            content = html.gallery(_predictions(predicted, spread, classes))
            parts.append(html.section(heading, content, level=3))
    return "".join(parts)


def _predictions(
    predicted: Predictions, chosen: Sequence[int], classes: Sequence[str]
) -> list[html.Prediction]:
    images = _images(predicted.examples.subset(chosen))
    found = []
    for image, position, probabilities in zip(
        images, chosen, predicted.probabilities[chosen], strict=True
    ):
        label, best = predicted.examples.labels[position], probabilities.argmax()
        found.append(
            html.Prediction(
                image,
                classes[label],
                classes[best],
                float(probabilities[best]),
                float(probabilities[label]),
            )
        )
    return found


def _images(examples: Examples) -> Iterable[np.ndarray]:
    """The images as they came, uint8 (H, W, C) each."""
    if isinstance(examples, data.Examples) and isinstance(examples.images, np.ndarray):
        return examples.images
    return (image for image, _ in examples.dataset().as_numpy_iterator())
