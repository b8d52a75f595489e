import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from srm_keras.export.parity import Bound, Parity
from srm_keras.export.report import COLUMNS, ExportReport, Gates, write_html
from srm_keras.support import html
from srm_keras.support.html import Prediction
from srm_keras.support.timing import Spread


class Page(HTMLParser):
    """Collects what a browser would load, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.tags, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), "uint8")


@pytest.fixture
def page(tmp_path, images):
    report = ExportReport(
        file="model.tflite",
        format="TFLite float32",
        model="net",
        input_shape=(None, 8, 8, 3),
        output_shape=(None, 2),
        size_bytes=1_234_567,
        parameters=300_000,
        keras_parameters=301_000,
        folded=True,
        batch_norm_kept={},
        parity=Parity(128, 4.2e-7, 3e-8, 0.9, 0.996, 124.8, 5e-8),
        bound=Bound(max_error=1e-5),
        details={"operators": {"CONV_2D": 9, "ADD": 3}, "partitions": 1},
        latency_ms={"keras": Spread(3.21, 3.0, 3.5), "file": Spread(0.65, 0.6, 0.7)},
        environment={},
    )
    Image.new("RGB", (4, 3), "red").save(tmp_path / "curves.png")
    gates = Gates(
        ("block", "mean"),
        [("conv2_1", "0.497")],
        "Mean: of all images.",
        {"Gates by value": tmp_path / "curves.png"},
    )
    predictions = [
        Prediction(images[0], "disc", "disc", 0.91, 0.91),
        Prediction(images[1], "ring", "<script>alert(1)</script>", 0.5, 0.125),
        Prediction(images[2][..., :1], "star", "cross", 0.34, 0.04),
    ]
    write_html(
        tmp_path / "report.html",
        "SRM & friends",
        {"network": "cifar_resnet", "steps": 500},
        {"test": 0.8125, "cue_conflict": 0.25},
        tmp_path / "curves.png",
        gates,
        [report],
        predictions,
    )
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def decoded(source):
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


def test_the_page_is_whole_and_needs_nothing_else(page, images):
    parsed = Page(page)
    assert parsed.open == []
    assert len(parsed.sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in parsed.sources)
    assert not re.search("https?://|url\\(|@import", page)
    np.testing.assert_array_equal(decoded(parsed.sources[2]), images[0])
    np.testing.assert_array_equal(decoded(parsed.sources[4]), images[2][..., 0])


def test_the_page_says_what_was_measured(page):
    text = " ".join(" ".join(Page(page).text).split())  # no-break spaces too
    for expected in (
        "SRM & friends",
        "cifar_resnet",
        "81.2 %",
        "25.0 %",
        "model.tflite",
        "1.23 MB",
        "4.2e-07",
        "99.6 % of 128",
        "0.65 ms",
        "3.21 ms",
        "true: star (4 %)",
        "predicted: cross (34 %)",
        "predicted: disc (91 %)",
        "conv2_1 0.497",
        "Mean: of all images.",
        "Gates by value",
    ):
        assert expected in text


def test_names_are_text_and_never_markup(page):
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert any("<script>alert(1)</script>" in text for text in parsed.text)


def test_right_and_wrong_predictions_look_different(page):
    assert page.count('class="right"') == 1
    assert page.count('class="wrong"') == 2


def test_an_exported_file_is_a_column_so_that_no_number_is_beside_the_page(page):
    tables = re.findall("<table.*?</table>", page, re.DOTALL)
    exports = next(table for table in tables if "model.tflite" in table)
    rows = re.findall("<tr>(.*?)</tr>", exports)
    assert [re.findall("<t[hd]>(.*?)</t[hd]>", row)[0] for row in rows] == list(COLUMNS)
    assert all(row.count("</t") == 2 for row in rows)


def test_large_images_are_reduced(tmp_path):
    image = np.zeros((900, 1200, 3), "uint8")
    gallery = html.gallery([Prediction(image, "disc", "disc", 0.9, 0.9)])
    (source,) = Page(gallery).sources
    assert decoded(source).shape == (144, 192, 3)
