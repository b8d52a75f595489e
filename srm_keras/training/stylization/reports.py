"""``report.html`` and the sample pictures of a stylization run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from srm_keras.analysis.activations.pictures import Tile, image_grid
from srm_keras.layers import spec_label
from srm_keras.support import html
from srm_keras.support.figures import drawing
from srm_keras.support.files import read_json, write_atomically, write_text
from srm_keras.training import run_folder
from srm_keras.training.selection import SavedWeights

_TILE = 96  # least side of an image on a strip, in pixels


class SampleStrips(SavedWeights):
    """Saves ``last.keras`` and ``samples/step_000000100.png`` after every epoch.

    A strip has the contents above, for AdaIN their paintings below, and what the stylizer makes
    of them below that.

    Args:
        stylizer: The network; it may share its layers with the one that is trained.
        contents: Float RGB images 0 to 255, (N, H, W, 3).
        paintings: Likewise, for AdaIN; else None.
        folder: The run folder.
        steps_per_epoch: Updates between two evaluations.
        evaluated: A context in which the stylizer has the weights that were evaluated.
    """

    def __init__(
        self,
        stylizer: keras.Model,
        contents: np.ndarray,
        paintings: np.ndarray | None,
        folder: Path,
        steps_per_epoch: int,
        evaluated: Callable[[], AbstractContextManager],
    ):
        super().__init__(stylizer, folder, evaluated)
        self.contents = contents
        self.paintings = paintings
        self.steps_per_epoch = steps_per_epoch

    def on_epoch_end(self, epoch, logs=None):
        """Writes both."""
        _ = self.model  # asking for it makes Keras write JAX's state back to the variables
        super().on_epoch_end(epoch, logs)
        with self.evaluated():
            self._paint((epoch + 1) * self.steps_per_epoch)

    def _paint(self, step: int) -> None:
        path = self.folder / run_folder.SAMPLES / strip_name(step)
        with drawing(path.name):
            painted = stylized(self.saved_model, self.contents, self.paintings)
            rows = [self.contents, self.paintings, painted]
            write_atomically(path, strip([row for row in rows if row is not None]).save)


def strip_name(step: int) -> str:
    """The name of the strip after so many updates."""
    return f"step_{step:09d}.png"


def stylized(
    stylizer: keras.Model, contents: np.ndarray, paintings: np.ndarray | None = None
) -> np.ndarray:
    """The pictures that a feed-forward or, with ``paintings``, an AdaIN stylizer makes, float32."""
    inputs: Any = contents
    if paintings is not None:
        strength = np.ones(len(contents), "float32")
        inputs = {"content": contents, "style": paintings, "strength": strength}
    return keras.ops.convert_to_numpy(stylizer(inputs, training=False))


def strip(rows: Sequence[np.ndarray]) -> Image.Image:
    """Rows of equally many images (N, H, W, 3) of 0 to 255, under one another."""
    side = max(image.shape[0] for row in rows for image in row)
    tiles = [
        [Tile(np.clip(np.rint(image), 0, 255).astype("uint8")) for image in row] for row in rows
    ]
    return image_grid(tiles, side * -(-_TILE // side))


def write_stylization_report(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes a self-contained page about the run in ``folder`` and its result, into it."""
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
    """The normalization and the module of a feed-forward network: ``BN + srm``."""
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
