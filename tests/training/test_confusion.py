import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from srm_keras.support.files import read_csv
from srm_keras.training import confusion
from srm_keras.training.confusion import (
    NO_ANSWER,
    by_class,
    confusion_matrix,
    files_of,
    hardest,
    plot_confusion,
    save_confusion,
)

CLASSES = ["a", "b $", "c", "d"]
LABELS = np.array([0, 0, 0, 0, 1, 1, 3, 3])
PREDICTED = np.array([0, 3, 3, 1, 1, 1, NO_ANSWER, 3])


@pytest.fixture
def counts():
    return confusion_matrix(LABELS, PREDICTED, 4)


def test_rows_are_true_classes_and_the_last_column_has_no_answer(counts):
    expected = np.zeros((4, 5), "int64")
    for label, predicted in zip(LABELS, PREDICTED, strict=True):
        expected[label, predicted] += 1  # -1 is the last
    np.testing.assert_array_equal(counts, expected)
    assert counts.dtype == np.int64


def test_classes_without_examples_have_no_accuracy(counts):
    assert by_class(counts, CLASSES) == {
        "a": {"accuracy": 0.25, "examples": 4},
        "b $": {"accuracy": 1.0, "examples": 2},
        "c": {"accuracy": None, "examples": 0},
        "d": {"accuracy": 0.5, "examples": 2},
    }


def test_the_hardest_come_with_what_they_are_taken_for(counts):
    """Of what was always right, or is absent, there is nothing to say."""
    worst = ("a", "4", "0.2500", "d (2)")
    assert hardest(counts, CLASSES, 10) == [worst, ("d", "2", "0.5000", "(no answer) (1)")]
    assert hardest(counts, CLASSES, 1) == [worst]


def test_the_table_says_it_all(counts, tmp_path):
    save_confusion(counts, CLASSES, tmp_path / "confusion", "test[:50%]", "title")
    table, picture = files_of(tmp_path / "confusion", "test[:50%]")
    assert (table.name, picture.name) == ("test__50__.csv", "test__50__.png")
    rows = read_csv(table)
    assert [row.pop("true / predicted") for row in rows] == CLASSES
    assert list(rows[0]) == [*CLASSES, "(no answer)"]
    np.testing.assert_array_equal([list(map(int, row.values())) for row in rows], counts)
    save_confusion(counts[:, :4] @ np.eye(4, 5, dtype=int), CLASSES, tmp_path, "x", "title")
    assert list(read_csv(tmp_path / "x.csv")[0]) == ["true / predicted", *CLASSES]


@pytest.mark.parametrize(("classes", "named"), [(4, 9), (30, 99), (30, 29)])
def test_cells_are_the_darker_the_larger_their_share(classes, named, tmp_path, monkeypatch):
    """Row 0: all right; row 1: half taken for 0; row 2: absent, so grey; the others: all wrong."""
    monkeypatch.setattr(confusion, "_WITH_NAMES", named)
    monkeypatch.setattr(confusion, "_SIDE", 4.0)
    counts = np.zeros((classes, classes + 1), int)
    counts[0, 0], counts[1, :2], counts[3:, 0] = 8, 4, 8
    plot_confusion(counts, [f"n{k}" for k in range(classes)], tmp_path / "c.png", "")
    pixels = np.asarray(Image.open(tmp_path / "c.png").convert("RGB"))
    half, whole = (colormaps["Blues"](share**0.5, bytes=True)[:3] for share in (0.5, 1))
    drawn = [(pixels == color).all(axis=-1).sum() for color in (half, whole, (224, 224, 224))]
    cells = np.array([2, classes - 2, classes])
    np.testing.assert_allclose(drawn / cells, drawn[2] / classes, rtol=0.25)
