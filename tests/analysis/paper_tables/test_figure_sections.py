import pytest

from srm_keras.analysis.paper_tables import FIGURES
from srm_keras.analysis.paper_tables.report import Analysis, figure_section
from srm_keras.analysis.paper_tables.sections import Picture

FIGURE = {figure.number: figure for figure in FIGURES}

CORRELATION = [
    {"run": "se", "block": "conv2_1"},
    {
        "run": "se",
        "block": "network",
        "images": 1299,
        "channels": 112,
        "constant_channels": 3,
        "pairs": 5264,
        "squared_sum": 2370.653,
        "squared_sum_off_diagonal": 2258.653,
        "mean_squared": 0.42908,
    },
]


def diverse(block, channels, distinct):
    return {
        "run": "srm",
        "block": block,
        "channels": channels,
        "distinct": distinct,
        "distinct_share": distinct / channels,
        "distinct_share_by_chance": 0.99,
        "overlap": 0.125,
    }


DIVERSITY = {"split": "test", "blocks": [diverse("conv2_6", 64, 32), diverse("conv4_5", 9, 9)]}
STAGES = {"conv2": {"accuracies": [0.75, 0.25], "area": 0.5}}
PRUNING = {"settings": {}, "runs": {"ge": {"accuracy": 0.75, "stages": STAGES}}}
PICTURE = Picture("folder_x.png", "folder: x", b"png")


def section(number, data, pictures=()):
    analysis = Analysis("folder", "folder/file.json", data, pictures)
    return figure_section(FIGURE[number], [analysis])


@pytest.mark.parametrize("number", FIGURE)
def test_without_results(number):
    part = figure_section(FIGURE[number], [])
    assert part.text[-1] == "Not run."
    assert not part.rows
    assert not part.pictures


def test_runs_with_a_folder_in_their_label_stand_beside_the_papers_totals_too():
    """Unlike a module with other options, which is not the paper's."""
    labels = {"srm (seed_1)": 143_909, "se(reduction=4)": None, "se(reduction=4) (one)": None}
    for label, total in labels.items():
        (row,) = section(8, [CORRELATION[1] | {"run": label}]).rows
        assert row["paper's sum"] == total


def test_correlation_beside_the_papers_totals():
    part = section(8, CORRELATION, [PICTURE])
    (row,) = part.rows
    assert (row["run"], row["sum of squares"], row["paper's sum"]) == ("se", "2,371", 420_509)
    assert row["mean square"] == "0.429"
    channels = [64] * 9 + [128] * 9 + [256] * 9
    pairs = sum(count * (count - 1) for count in channels)
    expected = (420_509 - sum(channels)) / pairs
    assert float(row["paper's mean square"]) == pytest.approx(expected, abs=5e-4)
    assert part.pictures == [PICTURE]


def test_a_figure_of_pictures_alone_is_run_even_where_they_may_not_be_shown():
    assert section(4, {"variants": []}).text[-1].startswith("Run, but without pictures")
    assert section(4, {"variants": []}, [PICTURE]).text[-1].startswith("Here")


def test_losses_of_style_transfer():
    losses = {"style_loss": 4.0, "style_loss_std": 0.25, "content_loss": 100.0}
    row = {"variant": "bn+srm", "runs": 3, **losses, "content_loss_std": 1.5}
    part = section(5, {"variants": [row]})
    assert part.rows == [
        {
            "analysis": "folder",
            "network": "bn+srm",
            "runs": 3,
            "style loss": "4 ± 0.25",
            "content loss": "100 ± 1.5",
        }
    ]


def test_diversity_of_every_block_and_in_figure_10_of_its_blocks():
    assert [row["block"] for row in section(7, DIVERSITY).rows] == ["conv2_6", "conv4_5"]
    (row,) = section(10, DIVERSITY).rows
    assert (row["block"], row["distinct images"], row["share"]) == ("conv4_5", 9, "1.000")


def test_other_blocks_are_not_those_of_figure_10():
    part = section(10, {"blocks": [diverse("conv2_1", 64, 32)]})
    assert part.text[-1] == "Not run."


def test_pruning_by_stage():
    (row,) = section(6, PRUNING).rows
    assert (row["unpruned %"], row["conv2: area"]) == (75.0, "0.5000")


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (8, [{"run": "se", "block": "network"}]),
        (8, {"runs": {}}),
        (7, {"blocks": [{"block": "conv2_1"}]}),
        (7, []),
        (6, {"runs": {"se": {"stages": {}}}}),
        (6, {"runs": {"se": 3}}),
        (6, {"runs": None}),
    ],
)
def test_a_file_that_lacks_something_is_named(number, data):
    with pytest.raises(ValueError, match=r"`figures` must hold .* Received: folder/file\.json: "):
        section(number, data)


def test_a_file_without_runs_is_named():
    with pytest.raises(ValueError, match="it lacks 'runs'"):
        section(6, {})
