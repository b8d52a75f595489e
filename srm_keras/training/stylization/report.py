"""`report.html` of a stylization run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srm_keras import html
from srm_keras.files import read_json, write_text
from srm_keras.layers import spec_label
from srm_keras.training import run_folder
from srm_keras.training.stylization.samples import strip_name


def write_stylization_report(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes a self-contained page about the run in `folder` and its result, into it."""
    recipe = read_json(folder / run_folder.RECIPE)
    samples = folder / run_folder.SAMPLES / strip_name(int(result["last"]["step"]))
    sections = [
        html.section("What was trained", html.table(("", ""), _facts(recipe, result).items())),
        html.section("Final numbers", html.table(*_losses(result), "numbers")),
        html.section("Curves", html.picture(folder / run_folder.CURVES, "losses by step")),
        html.section(
            "Held-out images: content above, stylized below", html.picture(samples, "samples")
        ),
    ]
    if (folder / run_folder.STYLE).is_file():
        sections.append(
            html.section("Style", html.picture(folder / run_folder.STYLE, "style image"))
        )
    tables = {"Recipe": run_folder.flatten(recipe), "Versions": run_folder.told_versions(folder)}
    for heading, values in tables.items():
        sections.append(html.folded(heading, html.table(("", ""), values.items())))
    write_text(folder / run_folder.REPORT, html.page(title_of(recipe), sections))


def title_of(recipe: Mapping[str, Any]) -> str:
    """One line about a stylization run: network, contents and seed."""
    network = "AdaIN" if recipe["method"] == "adain" else variant_of(recipe)
    return f"Style transfer, {network}, {recipe['content']['name']}, seed={recipe['seed']}"


def variant_of(recipe: Mapping[str, Any]) -> str:
    """The normalization and the module of a feed-forward network: `BN + srm`."""
    normalization = {"instance": "IN", "batch": "BN"}[recipe["normalization"]]
    spec = recipe["recalibration"]
    return normalization if spec in (None, "none") else f"{normalization} + {spec_label(spec)}"


def _facts(recipe: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, str]:
    content = recipe["content"]
    return {
        "Network": title_of(recipe).split(", ")[1],
        "Parameters": f"{result['parameters']['trainable']:,} trainable, "
        f"{result['parameters']['non_trainable']:,} not",
        "Training": f"{recipe['steps']:,} steps of {recipe['batch_size']} images of "
        f"{content['image_size']} x {content['image_size']}, {result['seconds']:.0f} s",
        "Features": f"{recipe['features']['network']}, weights {recipe['features']['weights']}",
    }


def _losses(result: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    header = ("images", *result["last"]["splits"]["held_out"])
    rows = [
        (split, *(f"{value:.5g}" for value in losses.values()))
        for split, losses in result["last"]["splits"].items()
    ]
    return header, rows
