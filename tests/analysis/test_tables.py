import csv
import json

import pytest

from srm_keras.analysis import tables


def test_text_table_aligns():
    assert tables.text_table(["name", "n"], [["a", "1,000"], ["longer", "2"]]).splitlines() == [
        "name        n",
        "------  -----",
        "a       1,000",
        "longer      2",
    ]


def test_markdown_table():
    assert tables.markdown_table(["name", "n"], [["a", "1"]]).splitlines() == [
        "| name | n |",
        "| --- | ---: |",
        "| a | 1 |",
    ]


def test_csv_and_json_round_trip(tmp_path):
    rows = [{"name": "×, “quoted”", "n": 1}, {"name": "b", "n": None}]
    tables.write_csv(tmp_path / "t.csv", rows)
    tables.write_json(tmp_path / "t.json", rows)
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"name": "×, “quoted”", "n": "1"},
            {"name": "b", "n": ""},
        ]
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8")) == rows


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    file = tmp_path / "t.json"
    tables.write_json(file, [1])
    with pytest.raises(UnicodeEncodeError):
        tables.write_text(file, "half \ud800")
    assert json.loads(file.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [file]


def test_writable_file(tmp_path):
    assert tables.writable_file("csv", tmp_path / "new" / "t.csv").parent.is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="`csv` must lie in a folder"):
        tables.writable_file("csv", tmp_path / "file" / "t.csv")
    with pytest.raises(ValueError, match="`csv` must be a file"):
        tables.writable_file("csv", tmp_path)
