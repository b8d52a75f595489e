"""The table of what insertion finds: files, and going on."""

import pytest

from srm_keras.support.files import read_csv, read_json
from tools.studies import insertion_table as table


def row(name: str, spec: str) -> dict:
    return {
        "model": name,
        "side": 32,
        "modules": 5,
        "first": "a",
        "last": "b",
        "parameters": 1000,
        "parameters_after": 1100,
        "largest_logit": 2.0,
        "difference": 0.0,
        "relative_difference": 0.0,
    }


@pytest.fixture
def made(monkeypatch):
    names = []

    def insertion_row(name, spec):
        names.append(name)
        if name == "VGG19":
            raise MemoryError
        return row(name, spec)

    monkeypatch.setattr(table, "insertion_row", insertion_row)
    return names


def test_the_networks_are_those_of_keras_applications():
    names = table.application_names()
    assert {"ConvNeXtXLarge", "EfficientNetV2L", "NASNetLarge", "VGG16", "Xception"} < set(names)
    assert len(names) == len(set(names)) == 40


def test_an_interrupted_table_goes_on(made, tmp_path):
    networks = ["VGG16", "MobileNet", "VGG19", "Xception"]
    with pytest.raises(MemoryError):
        list(table.insertion_table(tmp_path, networks))
    assert [r["model"] for r in read_csv(tmp_path / "insertion.csv")] == ["MobileNet", "VGG16"]
    assert len(read_json(tmp_path / "insertion.json")["rows"]) == 2
    assert "| MobileNet | 32 | 5 | `a`, `b` | 1,000 | 1,100 | 0 |" in (
        tmp_path / "insertion.md"
    ).read_text("utf-8")
    rows = list(table.insertion_table(tmp_path, ["MobileNet", "VGG16", "Xception"]))
    assert [r["model"] for r in rows] == ["MobileNet", "VGG16", "Xception"]
    assert made == ["VGG16", "MobileNet", "VGG19", "Xception"]


def test_refusals_come_at_once(made, tmp_path):
    with pytest.raises(ValueError, match="did you mean 'VGG19'"):
        table.insertion_table(tmp_path, ["VGG17"])
    list(table.insertion_table(tmp_path, ["VGG16"], "se"))
    with pytest.raises(ValueError, match="Received: one of se; now it is srm"):
        table.insertion_table(tmp_path, ["VGG16"])
    (tmp_path / "insertion.json").write_text("[]")
    with pytest.raises(ValueError, match="is no insertion table"):
        table.insertion_table(tmp_path, ["VGG16"])
    assert made == ["VGG16"]
