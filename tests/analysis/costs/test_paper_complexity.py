import pytest

from srm_keras.analysis import compare_complexity, comparison_text
from srm_keras.analysis.costs import paper
from srm_keras.analysis.paper_tables import TABLE_1, TABLE_2

# To the digit; the paper prints two decimals of a million.
TRAINABLE = {
    "ResNet-50": 25_557_032,
    "SRM-ResNet-50": 25_617_448,
    "ECA-ResNet-50": 25_557_032 + 3 * 5 + 4 * 5 + 6 * 5 + 3 * 7,  # k(C) for 16 blocks
    "Baseline": 869_530,
    "SRM": 885_658,
    "ECA": 869_530 + 9 * (3 + 5 + 5),
}


@pytest.fixture(scope="module")
def rows():
    """Two ResNet-50, two of CIFAR-10, and of the modules that the paper lacks ECA."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "TABLE_1", [TABLE_1[0], TABLE_1[3]])
        patch.setattr(paper, "TABLE_2", [TABLE_2[0], TABLE_2[3]])
        patch.setattr(paper, "list_recalibrations", lambda: ["eca", "srm"])
        return {row["model"]: row for row in compare_complexity()}


def test_parameters_to_the_digit(rows):
    assert {name: row["trainable"] for name, row in rows.items()} == TRAINABLE
    differences = [row["params_difference"] for row in rows.values() if row["paper_top1"]]
    assert differences == [0.0] * 4


def test_modules_that_the_paper_does_not_have(rows):
    for name in ("ECA-ResNet-50", "ECA"):
        assert rows[name]["paper_params_millions"] is None
        assert rows[name]["params_difference"] is None
        assert rows[name]["operations"] > 0


def test_operations(rows):
    assert round(rows["ResNet-50"]["operations"] / 1e9, 3) == 3.858
    assert round(rows["SRM-ResNet-50"]["module_operations"] / 1e9, 2) == 0.02
    resnet50 = [row for name, row in rows.items() if name.endswith("ResNet-50")]
    assert [row["gflops_difference"] for row in resnet50] == [0.0] * 2 + [None]
    assert len({row["multiply_adds"] for row in resnet50}) == 1


@pytest.mark.slow
def test_all_rows():
    rows = list(compare_complexity())
    assert len(rows) == 16 + 8
    rows = [row for row in rows if row["paper_top1"]]
    operations = {row["model"]: row["module_operations"] / 1e9 for row in rows}
    assert [round(operations[f"{module}-ResNet-50"], 2) for module in ("SE", "GE")] == [0.01] * 2
    assert {row["params_difference"] for row in rows} == {0.0}
    resnet101 = {row["model"]: row for row in rows if row["model"].endswith("ResNet-101")}
    assert round(resnet101["ResNet-101"]["operations"] / 1e9, 3) == 7.570
    assert {row["gflops_difference"] for row in resnet101.values()} == {-0.01}


def test_what_the_paper_does_not_say_is_none(rows):
    assert rows["SRM"]["paper_gflops"] is None
    assert rows["SRM"]["gflops_difference"] is None
    assert rows["SRM"]["paper_top5"] is None


def test_text(rows):
    first, second = comparison_text(list(rows.values())).split("\n\nTable 2: ")
    line = next(line for line in first.splitlines() if line.startswith("SRM-ResNet-50"))
    numbers = "1000 25.62 25,617,448 +0.00 3.8580 0.0221 3.8801 3.88 +0.00 352.5 77.13 93.51"
    assert line.split() == ["SRM-ResNet-50", *numbers.split()]
    assert "ResNet-50" not in second
    assert second.splitlines()[-2].split()[:5] == ["SRM", "10", "0.89", "885,658", "+0.00"]
    assert second.splitlines()[-1].split()[:5] == ["ECA", "10", "–", "869,647", "–"]


def test_the_papers_table_is_consistent_with_its_text():
    """Section 4.1: "only requires 0.06M (2.37% of SE and 1.08% of GE)"."""
    params = {row.row: row.params_millions for row in TABLE_1}
    extra = {m: params[f"{m}-ResNet-50"] - params["ResNet-50"] for m in ("SE", "GE", "SRM")}
    assert round(100 * extra["SRM"] / extra["SE"], 2) == 2.37
    assert round(100 * extra["SRM"] / extra["GE"], 2) == 1.08


def test_bad_stride():
    with pytest.raises(ValueError, match="`stride_in` must be one of"):
        compare_complexity("2x2")
