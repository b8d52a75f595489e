"""How much accuracy is left when every image loses the channels that its gates find unimportant."""

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from srm_keras.analysis.attribution.grad_cam import check_classifier
from srm_keras.analysis.gates.reading import block_name, check_finite_images, recalibration_layers
from srm_keras.analysis.pruning.network import PrunedNetwork, pruned_network
from srm_keras.data.checks import class_numbers
from srm_keras.layers import Recalibration
from srm_keras.support.figures import (
    group_colors,
    grow,
    height_of,
    legend_below,
    line,
    new_figure,
    plain,
    save_figure,
    wrapped_label,
)
from srm_keras.support.validation import one_of

RATIOS = tuple(tenths / 10 for tenths in range(11))
ORDERS = ("gates", "random")
ALL = "all"

Batches = Iterable[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class PruningCurve:
    """Accuracy against the share of channels that are pruned in one stage.

    Attributes:
        stage: Name of the stage, ``"all"`` for the whole network.
        order: ``"gates"`` or ``"random"``.
        blocks: Names of the residual blocks that were pruned.
        ratios: Shares of the channels, ascending from 0.
        accuracies: top-1, in [0, 1], for each of ``ratios``.
        samples: Number of images.
    """

    stage: str
    order: str
    blocks: tuple[str, ...]
    ratios: tuple[float, ...]
    accuracies: tuple[float, ...]
    samples: int

    @property
    def area(self) -> float:
        """Area under the curve over the width of ``ratios``: the mean accuracy, in [0, 1]."""
        width = self.ratios[-1] - self.ratios[0]
        return float(np.trapezoid(self.accuracies, self.ratios) / width)

    @property
    def relative_area(self) -> float:
        """``area`` in units of the accuracy without pruning; 0 where that is 0."""
        return self.area / self.accuracies[0] if self.accuracies[0] else 0.0

    def to_rows(self) -> list[dict[str, Any]]:
        """One dict a ratio: ``stage``, ``order``, ``ratio``, ``accuracy``."""
        return [
            {"stage": self.stage, "order": self.order, "ratio": ratio, "accuracy": accuracy}
            for ratio, accuracy in zip(self.ratios, self.accuracies, strict=True)
        ]


def pruning_stages(model: keras.Model) -> dict[str, list[Recalibration]]:
    """Return the recalibration layers of each stage, and of all as ``"all"`` if there are several.

    The stage is what stands before the first underscore of the layer's name: ``conv2`` for
    ``conv2_6_recalibration``.

    Raises:
        ValueError: The model is not functional, or has no recalibration layer.
    """
    modules = recalibration_layers(model)
    stages: dict[str, list[Recalibration]] = {}
    for module in modules:
        stages.setdefault(module.name.partition("_")[0], []).append(module)
    return stages if len(stages) == 1 else {**stages, ALL: modules}


def pruned_channels(ratio: float, channels: int) -> int:
    """Return how many of so many channels a ratio prunes: ``ratio · channels``, half rounded up."""
    return math.floor(ratio * channels + 0.5)


def pruning_curve(
    model: keras.Model,
    batches: Batches,
    ratios: Sequence[float] = RATIOS,
    stages: Sequence[str] | None = None,
    order: str = "gates",
    seed: int = 0,
) -> dict[str, PruningCurve]:
    """Prune the channels of every image by its own gates, stage by stage, and count what is right.

    In every residual block of a stage the channels are sorted by the gate that the image gives
    them (where gates differ from pixel to pixel, by their mean over the map), and of the module's
    output those with the lowest gates are set to zero: ``pruned_channels(ratio, C)`` of them, of
    equal ones those of the lower channel. Gates of later blocks are those of the pruned network. At
    ratio 1 nothing but the shortcut passes.

    What comes before the first pruned block is computed once a batch. The rest is compiled once a
    stage: the numbers of channels are an input.

    Args:
        model: A functional classifier with recalibration layers, each called once. Not changed.
        batches: Of prepared images (N, H, W, 3) and integer labels (N,); gone through once for
            each stage, so a list or data set and not a generator.
        ratios: Shares of the channels, ascending from 0 to at most 1.
        stages: Which of ``pruning_stages(model)``; by default all of them.
        order: ``"gates"``, or ``"random"``: as many channels of every image and block, drawn at
            random, as a control.
        seed: Of the random order.

    Returns:
        A ``PruningCurve`` for each stage.

    Raises:
        ValueError: An argument is not one of the above, a label is no class number of the model,
            or there are no batches.

    Reference:
        Lee et al. 2019, section 5.2 and figure 6.
    """
    known = pruning_stages(model)
    check_classifier(model)
    chosen = list(known) if stages is None else [one_of("stages", name, known) for name in stages]
    check_ratios(ratios)
    one_of("order", order, ORDERS)
    if iter(batches) is batches:
        raise ValueError(
            "`batches` must be something to go through several times, as a list or a data set. "
            f"Received: a {type(batches).__name__}"
        )
    return {
        stage: _curve(model, stage, known[stage], batches, ratios, order, seed) for stage in chosen
    }


def check_ratios(ratios: Sequence[float]) -> None:
    """Raise ``ValueError`` unless the ratios are two or more, ascending from 0 to at most 1."""
    ascending = all(low < high for low, high in itertools.pairwise(ratios))
    if len(ratios) < 2 or ratios[0] != 0 or not ascending or not ratios[-1] <= 1:
        raise ValueError(
            f"`ratios` must ascend from 0 to at most 1, as 0,0.5,1. Received: ratios={list(ratios)}"
        )


def _curve(
    model: keras.Model,
    stage: str,
    modules: Sequence[Recalibration],
    batches: Batches,
    ratios: Sequence[float],
    order: str,
    seed: int,
) -> PruningCurve:
    network = pruned_network(model, modules, by_gates=order == "gates")
    rng = np.random.default_rng(seed)
    right, samples = np.zeros(len(ratios), "int64"), 0
    for images, numbers in batches:
        images, numbers = (keras.ops.convert_to_numpy(part) for part in (images, numbers))
        labels = class_numbers("Labels in `batches`", numbers, model.output_shape[-1])
        check_finite_images("batches", images)
        outputs = pruned_outputs(network, images, ratios, rng)
        right += [np.sum(scores.argmax(axis=-1) == labels) for scores in outputs]
        samples += len(labels)
    if not samples:
        raise ValueError("`batches` must hold at least one image. Received: none")
    blocks = tuple(block_name(module.name) for module in modules)
    accuracies = tuple(float(count) / samples for count in right)
    return PruningCurve(stage, order, blocks, tuple(map(float, ratios)), accuracies, samples)


def pruned_outputs(
    network: PrunedNetwork,
    images: np.ndarray,
    ratios: Sequence[float],
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Yield the outputs for one batch, pruned by each of ``ratios``.

    A random order is drawn once, so that what a ratio prunes a larger one prunes too.
    """
    known = network.fixed.predict_on_batch(images)
    known = known if isinstance(known, list) else [known]
    channels = list(network.channels.values())
    ranks = [] if network.by_gates else [_random_ranks(len(images), channels, rng)]
    for ratio in ratios:
        counts = np.array([pruned_channels(ratio, total) for total in channels], "int32")
        counts = np.broadcast_to(counts, (len(images), len(channels)))
        yield network.rest.predict_on_batch([*known, counts, *ranks])


def _random_ranks(images: int, channels: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """For every image a random permutation of each module's channels: (N, sum of channels)."""
    ranks = [rng.permuted(np.tile(np.arange(total), (images, 1)), axis=1) for total in channels]
    return np.concatenate(ranks, axis=1).astype("int32")


STYLES = {"gates": ("-", 1.8), "random": (":", 1.2)}  # by order of pruning: line, width
_PANELS_A_ROW = 4


def plot_pruning(
    networks: Mapping[str, Sequence[PruningCurve]], path: str | os.PathLike, title: str
) -> None:
    """Draw accuracy against the pruned share, as figure 6 of the SRM paper, as a PNG.

    Solid lines are pruned by gates, dotted ones at random. Below each panel stands the area
    under each line.

    Args:
        networks: By label, the curves of each, in a colour of its own.
        path: Where the PNG goes.
        title: Of the figure.
    """
    stages = list(dict.fromkeys(curve.stage for curves in networks.values() for curve in curves))
    figure, panels = _figure(stages, title)
    colors, legends = group_colors(len(networks)), []
    for stage, axes in panels.items():
        drawn = [
            (curve, color)
            for color, curves in zip(colors, networks.values(), strict=True)
            for curve in curves
            if curve.stage == stage
        ]
        lines = [_draw(axes, curve, color) for curve, color in drawn]
        legends.append(_areas_below(axes, lines, [curve.area for curve, _ in drawn]))
        axes.set_ylim(bottom=0)
    highest = max(height_of(figure, legend) for legend in legends)
    grow(figure, highest * -(-len(panels) // _PANELS_A_ROW))
    orders = list(dict.fromkeys(c.order for curves in networks.values() for c in curves))
    handles = [*map(line, colors), *(line("#666666", *STYLES[order]) for order in orders)]
    names = {"gates": "lowest gates first", "random": "at random"}
    legend_below(figure, handles, [*networks, *(names[order] for order in orders)])
    save_figure(figure, path)


def _figure(stages: Sequence[str], title: str) -> tuple[Figure, dict[str, Axes]]:
    columns = min(len(stages), _PANELS_A_ROW)
    rows = -(-len(stages) // columns)
    figure = new_figure(4.2 * columns, 3.9 * rows + 0.4, title)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    panels = dict(zip(stages, grid, strict=False))
    for axes in list(grid)[len(stages) :]:
        axes.remove()
    for index, (stage, axes) in enumerate(panels.items()):
        name = "all stages" if stage == "all" else stage
        axes.set_title(wrapped_label(name, 3.6, 11), fontsize=11)
        axes.set(xlabel="share of channels pruned", xlim=(0, 1))
        axes.set_ylabel("top-1 accuracy" if index % columns == 0 else "")
        plain(axes)
    return figure, panels


def _draw(axes: Axes, curve: PruningCurve, color) -> Line2D:
    style, width = STYLES[curve.order]
    marker = "." if curve.order == "gates" else None
    return axes.plot(
        curve.ratios,
        curve.accuracies,
        style,
        color=color,
        linewidth=width,
        marker=marker,
        clip_on=False,
    )[0]


def _areas_below(axes: Axes, lines: Sequence[Line2D], areas: Sequence[float]) -> Legend:
    return axes.legend(
        lines,
        [f"{area:.3f}" for area in areas],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=4,
        title="area under the line",
        fontsize=9,
        title_fontsize=9,
        frameon=False,
    )
