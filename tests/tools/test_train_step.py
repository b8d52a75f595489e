"""The benchmark of the training loop: what it runs and what it reports."""

import json

import numpy as np
import pytest

from tests.support.tiny_training import sketches
from tools.studies import train_step
from tools.studies.train_step import QUICK_CASES, benchmark_train_step, report_markdown


def test_the_report_has_the_loop_and_the_bare_step(tmp_path):
    fit = train_step.LOOP.fit
    with sketches():
        report = benchmark_train_step(QUICK_CASES, rounds=2, out=tmp_path)
    assert train_step.LOOP.fit is fit
    (row,) = report["rows"]
    assert row["case"] == "cifar_resnet-8, 4 images 16×16"
    assert 0.05 < row["ratio"] < 20
    assert row["ratio_lower_quartile"] <= row["ratio"] <= row["ratio_upper_quartile"]
    saved = json.loads((tmp_path / "benchmark_train_step.json").read_text())
    assert saved == report
    assert (tmp_path / "benchmark_train_step.md").read_text() == report_markdown(report)


def test_a_row_is_made_of_ratios_round_by_round():
    case = QUICK_CASES[0]
    row = train_step._row(case, [((1, 4), (1, 2)), ((4, 4), (2, 1)), ((2, 4), (1.5, 3))])
    ratios = np.quantile([1.0, 0.5, 0.75], [0.25, 0.5, 0.75])
    names = ("ratio_lower_quartile", "ratio", "ratio_upper_quartile")
    assert [row[name] for name in names] == pytest.approx(ratios)
    assert row["processor_ratio"] == 0.5
    assert row["loop_images_per_second"] == case.updates * case.batch_size / 2.0
