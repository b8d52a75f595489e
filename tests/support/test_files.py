import csv
import json
import math
import os
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from srm_keras.support import files
from srm_keras.support.files import replace, size_in_bytes, temporary_sibling, write_text
from tests.support.strict_json import strictly


def folder_with(path, text):
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text(text)
    return path


def test_a_folder_takes_the_place_of_another(tmp_path):
    old = folder_with(tmp_path / "model", "old")
    new = folder_with(tmp_path / "new", "new!")
    replace(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (old / "inner" / "file").read_text() == "new!"
    assert size_in_bytes(old) == 4


def test_the_old_folder_returns_where_the_new_one_cannot_come(tmp_path):
    old = folder_with(tmp_path / "model", "old")
    with pytest.raises(FileNotFoundError):
        replace(tmp_path / "missing", old)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (old / "inner" / "file").read_text() == "old"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_renamed_is_deleted(kind, tmp_path):
    path = tmp_path / "deep" / "model.tflite"
    with pytest.raises(KeyboardInterrupt), temporary_sibling(path) as temporary:  # noqa: PT012
        assert temporary.parent == path.parent
        assert temporary.suffix == ".tflite"
        if kind == "file":
            temporary.write_text("half")
        else:
            folder_with(temporary, "half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_text_replaces_text(tmp_path):
    write_text(tmp_path / "a.md", "one")
    write_text(tmp_path / "a.md", "zwölf")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "zwölf"
    assert len(list(tmp_path.iterdir())) == 1


def test_csv_and_json_round_trip(tmp_path):
    rows = [{"name": "×, “quoted”", "n": 1}, {"name": "b", "n": None}]
    files.write_csv(tmp_path / "t.csv", rows)
    files.write_json(tmp_path / "t.json", rows)
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"name": "×, “quoted”", "n": "1"},
            {"name": "b", "n": ""},
        ]
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8")) == rows


def test_json_has_no_number_for_what_is_not_finite(tmp_path):
    half = np.array([1.5, np.nan], "float16")
    value = {"loss": np.float32("nan"), "bounds": (-math.inf, math.inf, 0.5), "half": half}
    value |= {"view": types.MappingProxyType({1: np.int64(3)}), "path": Path("a"), "true": True}
    expected = {"loss": None, "bounds": [None, None, 0.5], "half": [1.5, None]}
    expected |= {"view": {"1": 3}, "path": "a", "true": True}
    files.write_json(tmp_path / "t.json", value)
    assert strictly((tmp_path / "t.json").read_text()) == expected
    assert files.read_json(tmp_path / "t.json") == files.as_json(value) == expected
    (tmp_path / "t.json").write_text('{"loss": NaN, "bounds": [-Infinity, Infinity]}')
    assert files.read_json(tmp_path / "t.json") == {"loss": None, "bounds": [None, None]}


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    file = tmp_path / "t.json"
    files.write_json(file, [1])
    with pytest.raises(UnicodeEncodeError):
        files.write_text(file, "half \ud800")
    assert json.loads(file.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [file]


def test_writable_file(tmp_path):
    assert files.writable_file("csv", tmp_path / "new" / "t.csv").parent.is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="`csv` must lie in a folder"):
        files.writable_file("csv", tmp_path / "file" / "t.csv")
    with pytest.raises(ValueError, match="`csv` must be a file"):
        files.writable_file("csv", tmp_path)


def test_an_interrupted_write_leaves_the_earlier_file_and_no_other(tmp_path):
    path = tmp_path / "last.keras"
    files.write_atomically(path, lambda temporary: temporary.write_text("whole"))

    def fail(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(path, fail)
    assert path.read_text() == "whole"
    assert [file.name for file in tmp_path.iterdir()] == ["last.keras"]


def test_the_temporary_file_keeps_the_extension_that_keras_needs(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    files.write_atomically(tmp_path / "best.keras", model.save)
    assert [file.name for file in tmp_path.iterdir()] == ["best.keras"]
    keras.saving.load_model(tmp_path / "best.keras")


def test_names_that_are_not_utf8_are_written_and_read_back(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    files.write_json(tmp_path / "t.json", [name])
    files.write_csv(tmp_path / "t.csv", [{"image": name}])
    assert files.read_json(tmp_path / "t.json") == [name]
    assert (tmp_path / "t.csv").read_text("utf-8") == "image\ncaf\\udce9\n"


def test_a_plain_path_leads_to_the_same_file(tmp_path):
    for name in ("plain é.txt", "a [1].txt", os.fsdecode(b"caf\xe9.txt")):
        (tmp_path / name).write_text(ascii(name))
        with files.plain_path(tmp_path / name) as path:
            assert path.endswith(".txt")
            assert "[" not in path
            path.encode()
            assert Path(path).read_text() == ascii(name)
            assert (path == str(tmp_path / name)) == name.startswith("plain")
        assert (tmp_path / name).is_file()
