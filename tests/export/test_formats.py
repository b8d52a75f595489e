import errno
import importlib.util
import os
import sys
from collections import Counter
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.export import ExportError, load_predictor, pipeline, report, to_tflite
from srm_keras.export import formats as module
from srm_keras.export.formats import (
    FORMATS,
    Entry,
    Source,
    StylizerSource,
    available_formats,
    export_formats,
)
from srm_keras.export.pipeline import Format
from srm_keras.export.report import read_reports
from srm_keras.export.runners import keras_runner
from srm_keras.support.foreign import quiet
from tests.support.weights import feature_map


@pytest.fixture
def source(small_model):
    samples = feature_map((8, 8, 8, 3))
    return Source(small_model, samples, samples[:6], Preprocessing(8), tuple("abcdefg"))


def test_every_format_writes_a_file_of_its_own(source):
    files = [entry.file for entry in FORMATS.values()]
    assert len(set(files)) == len(files) == 10
    assert set(available_formats(source)) <= set(FORMATS)
    plain = keras.Model(source.model.input, source.model.get_layer("bn").output)
    assert "int8_float_modules" in available_formats(source)
    assert "int8_float_modules" not in available_formats(replace(source, model=plain))
    of_stylizers = available_formats(StylizerSource(plain, source.samples))
    assert of_stylizers == ["saved_model", "float32", "float16", "web"]


def test_one_failure_is_told_and_the_rest_is_written(source, tmp_path, monkeypatch):
    def fails(source, network):
        raise ExportError("no such thing")

    monkeypatch.setitem(FORMATS, "broken", Entry("broken.bin", {Source: fails}))
    monkeypatch.setitem(FORMATS, "good", Entry("good.bin", {Source: fake}))
    reports = []
    failures = export_formats(source, tmp_path, ["broken", "good"], reports.append)
    assert failures == {"broken": "no such thing"}  # As the exporter says it.
    assert [report.file for report in reports] == ["good.bin"]
    assert {path.name for path in tmp_path.iterdir()} == {"good.bin", "report.json", "report.md"}


def test_bounds_and_representative_images_reach_the_formats(source, tmp_path, monkeypatch):
    given = {}

    def recorded(network, conversion, *_, **options):
        given[conversion.format] = (conversion, options)

    monkeypatch.setattr(module, "tflite_format", recorded)
    bounded = replace(source, tolerance=1e-3, min_snr_db=5.0)
    export_formats(bounded, tmp_path, ["float32", "int8_io"])
    assert given["float32"][1]["tolerance"] == 1e-3
    conversion, options = given["int8"]
    assert conversion.integer_io
    assert options["min_snr_db"] == 5.0
    np.testing.assert_array_equal(conversion.representative, source.representative)
    assert options["classes"] == list("abcdefg")


def test_unknown_formats_and_missing_packages_are_refused_first(source, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`formats` must be one of .*Received: formats='int4'"):
        export_formats(source, tmp_path, ["float32", "int4"])
    needy = replace(FORMATS["float32"], packages=("no_such_package",))
    monkeypatch.setitem(FORMATS, "float32", needy)
    with pytest.raises(ImportError, match="'no_such_package' is needed"):
        export_formats(source, tmp_path, ["int8", "float32"])
    assert "float32" not in available_formats(source)
    assert list(tmp_path.iterdir()) == []


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/.model.1.tflite")


ERRORS = [
    (FULL, "No space left on device"),
    (ValueError("no such shape\nand a traceback"), "no such shape"),
    (AttributeError("'dict' object has no attribute 'numpy'"), "'dict' object has no"),
    (MemoryError(), "MemoryError"),
    (tf.errors.ResourceExhaustedError(None, None, "disk is full\nat"), "disk is full"),
]


def fake(source, network, **parts):
    """A format whose file is one byte and computes what the network does."""
    plain = {
        "write": lambda network, path: path.write_bytes(b"x"),
        "load": lambda path: keras_runner(source.model),
        "details": lambda path: {},
    }
    return Format("fake", **{**plain, **parts})


@pytest.mark.parametrize(
    ("where", "error", "told"),
    [
        *(("write", *error) for error in ERRORS),
        *((where, *ERRORS[1]) for where in ("load", "details", "outside")),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_whatever_ends_one_format_is_one_line_and_the_next_is_written(
    where, error, told, source, tmp_path, monkeypatch
):
    def fail(*_):
        raise error

    broken = fail if where == "outside" else partial(fake, **{where: fail})
    monkeypatch.setitem(FORMATS, "broken", Entry("broken.bin", {Source: broken}))
    monkeypatch.setitem(FORMATS, "good", Entry("good.bin", {Source: fake}))
    reports = []
    failures = export_formats(source, tmp_path, ["broken", "good"], reports.append)
    assert list(failures) == ["broken"]
    assert failures["broken"].startswith("broken.bin was not written: ")
    assert told in failures["broken"]
    assert "\n" not in failures["broken"]
    assert [report.file for report in reports] == ["good.bin"]
    assert {path.name for path in tmp_path.iterdir()} == {"good.bin", "report.json", "report.md"}


def test_a_report_that_finds_no_room_is_told(source, tmp_path, monkeypatch):
    def full(*_):
        raise FULL

    monkeypatch.setattr(report, "write_report", full)
    monkeypatch.setitem(FORMATS, "good", Entry("good.bin", {Source: fake}))
    failures = export_formats(source, tmp_path, ["good"])
    assert failures == {
        "good": "good.bin was written, the report on it was not: No space left on device"
    }
    assert (tmp_path / "good.bin").is_file()


def test_folders_may_be_called_as_people_call_them_and_nothing_is_printed(source, tmp_path, capfd):
    formats = ["saved_model", "float32", "web"]
    if importlib.util.find_spec("tf2onnx"):
        formats.append("onnx")
    folder = tmp_path / os.fsdecode(b"caf\xe9 [final]")
    reports = []
    assert export_formats(source, folder, formats, reports.append) == {}
    assert capfd.readouterr() == ("", "")
    assert [report.file for report in reports] == [FORMATS[form].file for form in formats]
    assert len(read_reports(folder)) == len(formats)
    expected = source.model.predict(source.samples, verbose=0)
    for file in [FORMATS[form].file for form in formats if form != "web"]:
        runner = load_predictor(folder / file).runner
        np.testing.assert_allclose(runner(source.samples), expected, rtol=0, atol=1e-5)


def test_files_may_be_called_as_people_call_them(source, tmp_path):
    name = os.fsdecode(b"caf\xe9 [2].tflite")
    to_tflite(source.model, tmp_path / name, source.samples)
    assert [one["file"] for one in read_reports(tmp_path)] == [name]
    assert "caf\\udce9 [2].tflite" in (tmp_path / "report.md").read_text()


def test_converters_are_heard_only_where_they_fail(capfd):
    """What Python prints, and what C++ writes to the file descriptors."""

    def chatter():
        print("printed")
        sys.stderr.write("told\n")
        os.write(1, b"written to 1\n")
        os.write(2, b"written to 2\n")

    with quiet():
        chatter()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ValueError, match="fails"), quiet():  # noqa: PT012
        chatter()
        raise ValueError("fails")
    shown = capfd.readouterr()
    assert shown.out == ""
    for text in ("printed", "told", "written to 1", "written to 2"):
        assert shown.err.count(text) == 1
    print("out again")
    os.write(2, b"err again\n")
    assert capfd.readouterr() == ("out again\n", "err again\n")


def test_a_run_folds_deploys_and_computes_the_reference_once(source, tmp_path, monkeypatch):
    counts, batches = Counter(), []

    def counted(owner, name):
        function = getattr(owner, name)

        def call(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    def runner(model):
        run = keras_runner(model)
        return lambda images: batches.append(len(images)) or run(images)

    monkeypatch.setattr(pipeline, "keras_runner", runner)
    counted(pipeline, "keras_runner")
    counted(pipeline, "in_float32")
    counted(importlib.import_module("srm_keras.export.deploy"), "fold_with_plan")
    counted(importlib.import_module("srm_keras.export.deploy"), "_expand")
    counted(importlib.import_module("srm_keras.export.folding.fold"), "plan_of_flat")
    counted(keras.Model, "export")
    formats = ["float32", "float16", "dynamic", "web"]
    assert export_formats(source, tmp_path, formats) == {}
    assert counts.pop("export") == 2  # What is converted: the network, and that with its gates.
    assert set(counts.values()) == {1}
    assert len(counts) == 5
    # Of batch 1 are the times of one image, taken in turn with those of each file.
    assert [batch for batch in batches if batch > 1] == [len(source.samples)]
