import keras
import numpy as np
import pytest

from srm_keras.data import Preprocessing
from srm_keras.export import ExportError
from srm_keras.export import formats as module
from srm_keras.export.formats import FORMATS, Source, available_formats, export_formats
from tests.support.weights import feature_map


@pytest.fixture
def source(small_model):
    samples = feature_map((8, 8, 8, 3))
    return Source(small_model, samples, samples[:6], Preprocessing(8), tuple("abcdefg"))


def test_every_format_writes_a_file_of_its_own(small_model):
    files = [file for file, _ in FORMATS.values()]
    assert len(set(files)) == len(files) == 10
    assert set(available_formats(small_model)) <= set(FORMATS)
    plain = keras.Model(small_model.input, small_model.get_layer("bn").output)
    assert "int8_float_modules" in available_formats(small_model)
    assert "int8_float_modules" not in available_formats(plain)


def test_one_failure_is_told_and_the_rest_is_written(source, tmp_path, monkeypatch):
    def fails(source, path):
        raise ExportError("no such thing")

    monkeypatch.setitem(module.FORMATS, "saved_model", ("saved_model", fails))
    reports = []
    failures = export_formats(source, tmp_path, ["saved_model", "float32"], reports.append)
    assert failures == {"saved_model": "no such thing"}
    assert [report.file for report in reports] == ["model.tflite"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.tflite",
        "report.json",
        "report.md",
    }


def test_bounds_and_representative_images_reach_the_formats(source, tmp_path, monkeypatch):
    given = {}

    def recorded(model, path, samples, **options):
        given[path.name] = options

    monkeypatch.setattr(module, "to_tflite", recorded)
    bounded = Source(**{**vars(source), "tolerance": 1e-3, "min_snr_db": 5.0})
    export_formats(bounded, tmp_path, ["float32", "int8_io"])
    assert given["model.tflite"]["tolerance"] == 1e-3
    integer = given["model_int8_io.tflite"]
    assert integer["integer_io"]
    assert integer["format"] == "int8"
    assert integer["min_snr_db"] == 5.0
    np.testing.assert_array_equal(integer["representative"], source.representative)
    assert integer["classes"] == list("abcdefg")


def test_unknown_formats_and_missing_packages_are_refused_first(source, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`formats` must be one of .*Received: formats='int4'"):
        export_formats(source, tmp_path, ["float32", "int4"])
    monkeypatch.setitem(module.PACKAGES, "float32", ("no_such_package",))
    with pytest.raises(ImportError, match="'no_such_package' is needed"):
        export_formats(source, tmp_path, ["int8", "float32"])
    assert "float32" not in available_formats(source.model)
    assert list(tmp_path.iterdir()) == []
