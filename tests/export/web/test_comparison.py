import csv

import numpy as np
import pytest
from PIL import Image

from srm_keras.data.preprocessing import Preprocessing
from srm_keras.export.web.browser import compare_with_page
from srm_keras.support.files import read_json
from tests.export.web.conftest import CLASSES, GREY, PREPROCESSING


def photograph(seed: int) -> Image.Image:
    """Smooth colours with an edge, which JPEG compresses as it does a photograph."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype="uint8")
    return Image.fromarray(small).resize((80, 60), Image.Resampling.BICUBIC)


@pytest.mark.slow
def test_the_page_sees_what_tensorflow_sees(browser, srm_export, tmp_path):
    files = [tmp_path / "a.jpg", tmp_path / "b.JPEG", tmp_path / "c.png"]
    for seed, file in enumerate(files):
        photograph(seed).save(file, quality=85)
    result = compare_with_page(
        srm_export.model, srm_export.folder, files, PREPROCESSING, CLASSES, tmp_path
    )
    assert result.max_pixel_error < 0.01
    assert result.max_score_error < 1e-4
    assert result.top1_agreement == 1
    assert read_json(tmp_path / "web_comparison.json")["images"] == 3
    with (tmp_path / "web_comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a.jpg", "b.JPEG", "c.png"]
    for row, file in zip(rows, files, strict=True):
        image = np.asarray(Image.open(file).convert("RGB"))
        scores = srm_export.model(PREPROCESSING.evaluation(image)[None], training=False)
        assert row["page"] == row["keras"] == CLASSES[int(np.argmax(scores.numpy()))]


def test_grey_networks_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"for colour images.*channels=1"):
        compare_with_page(None, tmp_path, [], GREY, CLASSES, tmp_path)
    with pytest.raises(ValueError, match="`files` must be JPEG or PNG"):
        compare_with_page(None, tmp_path, [], Preprocessing(image_size=8), CLASSES, tmp_path)
