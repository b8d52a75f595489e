import base64
from html.parser import HTMLParser

from srm_keras.analysis.paper_tables.sections import (
    Picture,
    Section,
    to_html,
    to_json,
    to_markdown,
)

SECTION = Section(
    "A <b> table",
    ["Text & more."],
    [{"model": "SRM", "number": 1234, "share": 0.5, "none": None}],
    ["a note"],
    [Picture("one.png", "a picture", b"\x89PNG bytes")],
    level=3,
)


class Reader(HTMLParser):
    """Collects headings, cells and images."""

    def __init__(self):
        super().__init__()
        self.found, self.images, self.inside = [], [], None

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        if tag == "img":
            self.images.append(dict(attrs)["src"])

    def handle_data(self, data):
        if self.inside in ("h3", "th", "td"):
            self.found.append((self.inside, data))

    def handle_endtag(self, tag):
        self.inside = None


def test_markdown():
    lines = to_markdown("Title", [SECTION], "pictures").splitlines()
    assert lines[:3] == ["# Title", "", "### A <b> table"]
    assert "| model | number | share | none |" in lines
    assert "| SRM | 1,234 | 0.50 | – |" in lines
    assert lines[-3:] == ["- a note", "", "![a picture](pictures/one.png)"]


def test_rows_may_lack_columns():
    section = Section("x", rows=[{"run": "a", "conv2": 1}, {"run": "b", "conv3": 2}])
    assert "| run | conv2 | conv3 |" in to_markdown("Title", [section], "")
    assert "| b | – | 2 |" in to_markdown("Title", [section], "")


def test_html_holds_cells_and_pictures():
    reader = Reader()
    reader.feed(to_html("Title", [SECTION]))
    assert reader.found == [
        ("h3", "A <b> table"),
        *(("th", name) for name in ("model", "number", "share", "none")),
        *(("td", text) for text in ("SRM", "1,234", "0.50", "–")),
    ]
    (image,) = reader.images
    assert base64.b64decode(image.split(",")[1]) == b"\x89PNG bytes"


def test_json_holds_the_rows_or_what_is_given_instead():
    (plain,) = to_json([SECTION])
    assert plain["data"] == [{"model": "SRM", "number": 1234, "share": 0.5, "none": None}]
    assert plain["pictures"] == ["one.png"]
    assert to_json([Section("x", data={"k": 1})])[0]["data"] == {"k": 1}
