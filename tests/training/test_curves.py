import csv

import numpy as np
import pytest
from PIL import Image

from srm_keras.training.reports import plot_run, plot_runs, read_metrics

COLUMNS = ("epoch", "step", "lr", "loss", "accuracy", "val_loss", "val_accuracy")


def rows(shift=0.0, epochs=4):
    return [
        {
            "epoch": n,
            "step": 50 * n,
            "lr": 0.1,
            "loss": 2.0 / n + shift,
            "accuracy": 0.9 - 0.6 / n,
            "val_loss": 2.2 / n + shift,
            "val_accuracy": 0.8 - 0.6 / n - shift,
        }
        for n in range(1, epochs + 1)
    ]


def write_csv(path, values):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(values)


def colors(path):
    image = np.asarray(Image.open(path).convert("RGB"))
    return {tuple(int(c) for c in color) for color in image.reshape(-1, 3)}


def test_read_metrics_gives_numbers_back(tmp_path):
    write_csv(tmp_path / "metrics.csv", rows())
    assert read_metrics(tmp_path / "metrics.csv") == rows()


def test_read_metrics_refuses_another_file(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1\n")
    with pytest.raises(ValueError, match=r"must be a metrics.csv. Received: path='.*x.csv'"):
        read_metrics(tmp_path / "x.csv")


def test_plot_run_draws_both_curves_and_replaces_the_file(tmp_path):
    path = tmp_path / "curves.png"
    path.write_text("not a picture")
    plot_run(rows(), path, "title")
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colors(path)
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def test_plot_runs_gives_every_group_a_color_of_its_own(tmp_path):
    path = tmp_path / "compare.png"
    plot_runs({"none": [rows()], "se": [rows(0.1), rows(0.2, epochs=3)]}, path, "title")
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colors(path)
    assert (0x00, 0x9E, 0x73) not in colors(path)
