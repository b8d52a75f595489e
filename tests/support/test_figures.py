"""Every figure that the package draws: no word is cut, and none lies over curves or other words."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from srm_keras.analysis.activations.pictures import plot_diversity
from srm_keras.analysis.activations.top_activations import BlockActivations, TopActivations
from srm_keras.analysis.gates.correlation import (
    RunningCorrelation,
    plot_correlation_by_block,
    plot_correlation_matrices,
)
from srm_keras.analysis.gates.histograms import plot_gate_histograms, plot_gate_training
from srm_keras.analysis.pruning.curve import PruningCurve, plot_pruning
from srm_keras.training.confusion import plot_confusion
from srm_keras.training.reports import plot_run, plot_runs
from srm_keras.training.stylization.comparison import plot_comparison

LONG = "Accuracy without the channels with the lowest gates, 'test_unseen_style', 1,000 images"
UNBROKEN = "se(reduction=4,activation=hard_sigmoid),init=/home/someone/presets/texture_shapes"
FEW = (["srm"], ["conv2_1"], "Gates")
MANY = (
    ["none", "srm", UNBROKEN, "srm, init=shapes, freeze=conv1+conv2, backbone×0.1", "a $b"]
    + [f"ge(extent={extent}) (seed_{extent})" for extent in range(8)],
    [f"conv{stage}_{index}" for stage in (2, 3, 4) for index in range(1, 6)]
    + ["block2_sepconv1_bn_recalibration_1"],
    f"{LONG}, {UNBROKEN}, $\\frac{{",
)
STEPS = [{"step": 50 * n, "loss": 2 / n, "accuracy": 1 - 1 / n} for n in range(1, 5)]
ROWS = [row | {f"val_{name}": row[name] * 1.1 for name in ("loss", "accuracy")} for row in STEPS]


def curves(labels, blocks, title, path):
    plot_run(ROWS, path, title)


def compared(labels, blocks, title, path):
    plot_runs({label: [ROWS, ROWS] for label in labels}, path, title)


def stylizers(labels, blocks, title, path):
    plot_comparison({label: [ROWS] for label in labels}, ("loss", "accuracy"), path)


def pruning(labels, blocks, title, path):
    stages = [*blocks[:1], "all"] if len(blocks) > 1 else blocks
    networks = {
        label: [
            PruningCurve(stage, order, (stage,), (0.0, 0.5, 1.0), (0.9, 0.7, 0.1), 100)
            for stage in stages
            for order in ("gates", "random")
        ]
        for label in labels
    }
    plot_pruning(networks, path, title)


def correlation(blocks):
    running = RunningCorrelation()
    gates = np.random.default_rng(0).uniform(size=(9, 4))
    for block in blocks:
        running.add({f"{block}_recalibration": gates})
    return running.result()


def matrices(labels, blocks, title, path):
    found = correlation(blocks)
    chosen = [blocks[0], blocks[-1]] if len(blocks) > 1 else blocks * 3
    plot_correlation_matrices(dict.fromkeys(labels[:4], found), chosen, path)


def correlations(labels, blocks, title, path):
    found = correlation(blocks)
    plot_correlation_by_block(dict.fromkeys(labels, found), path)


def shares(blocks, *shape):
    peaked = np.full((*shape, 50), 0.0197)
    peaked[..., 7] = 0.0347
    return {f"{block}_recalibration": peaked for block in blocks}


def histograms(labels, blocks, title, path):
    plot_gate_histograms({label: shares(blocks) for label in labels[:4]}, path, title)


def training(labels, blocks, title, path):
    plot_gate_training([10, 20], shares(blocks, 2), path, title)


def diversity(labels, blocks, title, path):
    indices = np.arange(8).reshape(4, 2)
    block = BlockActivations(1000, indices, np.ones((4, 2)), np.zeros(4, bool))
    found = TopActivations(1000, dict.fromkeys(blocks, block))
    plot_diversity(dict.fromkeys(labels, found), path)


def confusion(labels, blocks, title, path):
    names = [*labels, *blocks] if len(blocks) == 1 else labels
    counts = np.arange(len(names) ** 2).reshape(len(names), -1) * 1234
    plot_confusion(np.pad(counts, ((0, 0), (0, 1))), names, path, title)


def large_confusion(labels, blocks, title, path):
    names = [*labels, *blocks] if len(blocks) > 1 else [f"class {k}" for k in range(26)]
    assert len(names) > 25
    plot_confusion(np.eye(len(names), len(names) + 1, dtype=int), names, path, title)


FIGURES = (
    *(curves, compared, stylizers, pruning, matrices, correlations, histograms, training),
    *(diversity, confusion, large_confusion),
)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A function that draws a figure and returns it, and of all its words the box in pixels.

    Words that axes hold among their data, such as numbers in cells, come with these axes.
    """
    figures, texts = [], {}
    save, write = Figure.savefig, Text.draw

    def spy(figure, *args, **options):
        figures.append(figure)
        return save(figure, *args, **options)

    def spy_on_text(text, renderer):
        texts[text] = renderer
        write(text, renderer)

    monkeypatch.setattr(Figure, "savefig", spy)
    monkeypatch.setattr(Text, "draw", spy_on_text)

    def draw(plot, *arguments):
        texts.clear()
        plot(*arguments, tmp_path / "figure.png")
        written = [text for text in texts if text.get_text().strip()]
        inside = {text: axes for axes in figures[-1].axes for text in axes.texts}
        return figures.pop(), [
            (t.get_text(), t.get_window_extent(texts[t]), inside.get(t)) for t in written
        ]

    return draw


@pytest.mark.parametrize("amount", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("plot", FIGURES, ids=lambda plot: plot.__name__)
def test_no_word_is_cut_or_lies_over_others_and_no_two_groups_look_alike(plot, amount, drawn):
    figure, written = drawn(plot, *amount)
    assert len(written) > 5
    for text, box, _ in written:
        assert box.x0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= figure.bbox.height + 1, text
    for (one, box, _), (other, beside, _) in itertools.combinations(written, 2):
        across = min(box.x1, beside.x1) - max(box.x0, beside.x0)
        down = min(box.y1, beside.y1) - max(box.y0, beside.y0)
        assert min(across, down) <= 1.5, (one, other)
    for axes in figure.axes:
        assert axes.bbox.height > 60
        for text, box, home in written:
            if home is axes:
                assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1, text
                assert axes.bbox.y0 <= box.y0 < box.y1 <= axes.bbox.y1, text
                continue
            across = min(box.x1, axes.bbox.x1) - max(box.x0, axes.bbox.x0)
            down = min(box.y1, axes.bbox.y1) - max(box.y0, axes.bbox.y0)
            assert min(across, down) <= 1.5, text
    for legend in figure.legends:
        looks = {look(handle) for handle in legend.legend_handles}
        assert len(looks) == len(legend.legend_handles)


def look(handle):
    """The colour, and the style of a line, of what stands in a legend."""
    if isinstance(handle, Line2D):
        return str(handle.get_color()), handle.get_linestyle()
    return str(handle.get_facecolor())


@pytest.mark.parametrize(("largest", "end"), [(0.068, 0.068), (0.93, 0.2)])
def test_the_scale_of_gates_ends_where_the_data_do_and_says_so(largest, end, drawn):
    values = np.full((1, 50), (1 - largest) / 49)
    values[0, 20] = largest
    for plot in (
        lambda path: plot_gate_training([10], {"conv2_1": values}, path, "gates"),
        lambda path: plot_gate_histograms({"srm": {"conv2_1": values[0]}}, path, "gates"),
    ):
        bar = drawn(plot)[0].axes[-1]
        assert bar.get_ylim()[1] == pytest.approx(end)
        assert bar.get_ylabel() == f"share of gates (up to {largest:.2g})"
