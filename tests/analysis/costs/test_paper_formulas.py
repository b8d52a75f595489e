import pytest

from srm_keras.analysis.costs.paper import compare_formulas, formulas_text


@pytest.fixture(scope="module")
def rows():
    return list(compare_formulas("cifar_resnet20_bottleneck"))


def test_equation_10_and_the_text_after_it(rows):
    """Three blocks each of 64, 128 and 256 channels."""
    total = {row["module"]: row for row in rows if row["stage"] == "total"}
    assert total["srm"]["formula"] == 6 * 3 * (64 + 128 + 256)
    assert total["se"]["formula"] == 2 / 16 * 3 * (64**2 + 128**2 + 256**2)


def test_what_is_counted_differs_by_what_is_explained(rows):
    assert [row["stage"] for row in rows[:4]] == ["conv2", "conv3", "conv4", "total"]
    for row in rows:
        assert row["trainable"] - row["formula"] == row["difference"] == row["explained"]
    srm = [row for row in rows if row["module"] == "srm"]
    assert all(row["trainable"] + row["non_trainable"] == row["formula"] for row in srm)


def test_the_total_is_the_sum(rows):
    for module in ("srm", "se", "ge"):
        *stages, total = (row for row in rows if row["module"] == module)
        for name in ("blocks", "formula", "trainable", "non_trainable", "difference"):
            assert total[name] == sum(row[name] for row in stages)


def test_text(rows):
    text = formulas_text(rows)
    assert "srm: 6·N·C" in text
    line = next(line for line in text.splitlines() if line.startswith("conv2"))
    numbers = ["1,152", "768", "384", "-384", "-384"]
    assert line.split() == ["conv2", "3", "64", "1,024", *numbers]


def test_unknown_network():
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        list(compare_formulas("resnet5"))
