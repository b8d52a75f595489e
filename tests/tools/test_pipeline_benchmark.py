"""The input pipeline's benchmark: what it loads and what it reports."""

import importlib.util
import json
import re

import numpy as np
import pytest
from PIL import Image

from tools.studies.pipeline_benchmark import (
    LIMIT,
    PACKAGE,
    TORCH,
    PillowImages,
    benchmark_pipeline,
    write_jpegs,
)


def test_made_up_files_are_of_the_size_of_those_of_imagenet(tmp_path):
    paths = write_jpegs(tmp_path, 8)
    assert {path.parent.name for path in paths} == {"class_0", "class_1"}
    assert {Image.open(path).size for path in paths} <= {(500, 375), (375, 500)}
    assert np.mean([path.stat().st_size for path in paths]) == pytest.approx(110_000, rel=0.15)
    again = write_jpegs(tmp_path / "again", 2)
    assert again[1].read_bytes() == paths[1].read_bytes()


def test_pillow_images_are_standardized_crops(tmp_path):
    path = tmp_path / "grey.jpg"
    Image.new("RGB", (60, 40), (128, 128, 128)).save(path)
    image, label = PillowImages([path], 5)[3]
    assert label == 0
    assert image.shape == (3, 224, 224)
    expected = (128 / 255 - np.array((0.485, 0.456, 0.406))) / np.array((0.229, 0.224, 0.225))
    np.testing.assert_allclose(image.mean(axis=(1, 2)), expected, atol=0.02)


def test_the_report_has_a_row_a_loader(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # no worker processes
    report = benchmark_pipeline(images=8, batch_size=4, rounds=2, warmup=1, out=tmp_path)
    assert json.loads((tmp_path / "pipeline.json").read_text()) == report
    rows = {row["loader"]: row for row in report["rows"]}
    assert list(rows)[:2] == [LIMIT, PACKAGE]
    assert TORCH not in rows
    assert rows[LIMIT]["of_limit"] == 1
    for row in rows.values():
        assert row["images_per_second"] == pytest.approx(8000 / row["median_ms"], rel=0.01)
        assert row["lower_quartile"] <= row["images_per_second"] <= row["upper_quartile"]
    page = (tmp_path / "pipeline.md").read_text()
    assert page.count("\n| ") == 2 + len(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 10}, "`images` must be a multiple of batch_size=4. Received: images=10"),
        ({"rounds": 0}, "`rounds` must be a positive integer"),
        ({"workers": 0}, "`workers` must be a positive integer"),
        ({"data_dir": "nowhere"}, "`data_dir` must hold class folders of JPEG files. Received"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        benchmark_pipeline(**{"images": 8, "batch_size": 4, **change})
