"""The metadata read with `unzip`, and with a reader of FlatBuffers that knows nothing of ours."""

import dataclasses
import json
import shutil
import struct
import subprocess
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from srm_keras.data import Preprocessing
from srm_keras.export.tflite.metadata import add_metadata, names_in, read_metadata
from tests.support.weights import feature_map, randomize

PREPROCESSING = Preprocessing(image_size=8, resize=10, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.5))
CLASSES = ("disc", "Straße, nass", "星")


def network(outputs=1):
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    scores = keras.layers.Dense(3, activation="softmax")(x)
    model = keras.Model(inputs, scores if outputs == 1 else [x, scores])
    randomize(model)
    return model


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """`converted(outputs)`: a TFLite file of a network with so many outputs."""
    folder = tmp_path_factory.mktemp("tflite")

    def convert(outputs=1):
        path = folder / f"{outputs}.tflite"
        if not path.exists():
            network(outputs).export(folder / "saved", verbose=False)
            converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
            path.write_bytes(converter.convert())
        return path

    return convert


@pytest.fixture
def file(converted, tmp_path):
    return shutil.copy(converted(), tmp_path / "model.tflite")


@pytest.fixture
def described(file):
    add_metadata(file, PREPROCESSING, CLASSES, "shapes")
    return file


def run(path, x):
    interpreter = Interpreter(model_path=str(path))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


class Table:
    """A FlatBuffers table, read as the format's specification says."""

    def __init__(self, data, position):
        self.data, self.position = data, position
        self.vtable = position - struct.unpack_from("<i", data, position)[0]

    def field(self, number):
        (size,) = struct.unpack_from("<H", self.data, self.vtable)
        entry = 4 + 2 * number
        offset = struct.unpack_from("<H", self.data, self.vtable + entry)[0] if entry < size else 0
        return self.position + offset if offset else None

    def value(self, number, kind):
        return struct.unpack_from(f"<{kind}", self.data, self.field(number))[0]

    def target(self, number):
        return self.field(number) + struct.unpack_from("<I", self.data, self.field(number))[0]

    def table(self, number):
        return Table(self.data, self.target(number))

    def string(self, number):
        (length,) = struct.unpack_from("<I", self.data, self.target(number))
        return self.data[self.target(number) + 4 :][:length].decode()

    def tables(self, number):
        start = self.target(number)
        places = [start + 4 * (i + 1) for i in range(struct.unpack_from("<I", self.data, start)[0])]
        return [Table(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in places]

    def floats(self, number):
        start = self.target(number)
        (length,) = struct.unpack_from("<I", self.data, start)
        return list(struct.unpack_from(f"<{length}f", self.data, start + 4))


def buffer_of(path):
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (index,) = [entry.buffer for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[index].data)


def root(buffer):
    assert buffer[4:8] == b"M001"
    return Table(buffer, struct.unpack_from("<I", buffer, 0)[0])


def test_the_file_computes_the_same_to_the_bit(converted, described):
    x = feature_map((3, 8, 8, 3))
    np.testing.assert_array_equal(run(described, x), run(converted(), x))


def test_what_was_written_is_read(described):
    assert read_metadata(described) == (PREPROCESSING, CLASSES)


def test_unzip_takes_the_files_out(described, tmp_path):
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("unzip is not installed")
    subprocess.run([unzip, "-q", described, "-d", tmp_path / "out"], check=True)
    assert (tmp_path / "out" / "labels.txt").read_text("utf-8") == "disc\nStraße, nass\n星\n"
    attributes = json.loads((tmp_path / "out" / "preprocessing.json").read_text())
    assert attributes == PREPROCESSING.to_dict()
    with zipfile.ZipFile(described) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_standard_metadata_says_what_the_image_is(described):
    model = root(buffer_of(described))
    assert model.string(0) == "shapes"
    assert [entry.string(0) for entry in model.tables(6)] == ["preprocessing.json"]
    (graph,) = model.tables(3)
    (image,) = graph.tables(2)
    content = image.table(3)
    assert content.value(0, "B") == 2  # ImageProperties
    assert content.table(1).value(0, "b") == 1  # RGB
    size = content.table(1).table(1)
    assert (size.value(0, "I"), size.value(1, "I")) == (8, 8)
    (unit,) = image.tables(4)
    assert unit.value(0, "B") == 1  # NormalizationOptions
    np.testing.assert_allclose(unit.table(1).floats(0), [102, 127.5, 153])
    np.testing.assert_allclose(unit.table(1).floats(1), [51, 63.75, 127.5])
    np.testing.assert_allclose(image.table(5).floats(0), [3, 2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(image.table(5).floats(1), [-2, -2, -1.2], rtol=1e-6)


def test_the_labels_belong_to_the_scores(converted, tmp_path):
    path = shutil.copy(converted(2), tmp_path / "two.tflite")
    add_metadata(path, None, CLASSES)
    graph = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0).subgraphs[0]
    widths = [graph.tensors[i].shape[-1] for i in graph.outputs]
    outputs = root(buffer_of(path)).tables(3)[0].tables(3)
    with_labels = [output.field(6) is not None for output in outputs]
    assert with_labels == [width == 3 for width in widths]
    (labels,) = [output.tables(6)[0] for output in outputs if output.field(6)]
    assert labels.string(0) == "labels.txt"
    assert labels.value(2, "b") == 2  # TENSOR_AXIS_LABELS


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.5,), (0.1, 0.2, 0.25)), ((0.4, 0.5, 0.6), (0.25,)), ((0.5,), (0.25,))],
    ids=["one mean", "one deviation", "one of both"],
)
def test_means_and_deviations_are_as_many_as_channels(mean, std, file):
    """Readers refuse [1, 3]."""
    add_metadata(file, dataclasses.replace(PREPROCESSING, mean=mean, std=std), None)
    (image,) = root(buffer_of(file)).tables(3)[0].tables(2)
    given = image.tables(4)[0].table(1)
    means, stds = np.broadcast_to(mean, 3), np.broadcast_to(std, 3)
    np.testing.assert_allclose(given.floats(0), 255 * means, rtol=1e-6)
    np.testing.assert_allclose(given.floats(1), 255 * stds, rtol=1e-6)
    np.testing.assert_allclose(image.table(5).floats(0), (1 - means) / stds, rtol=1e-6)
    np.testing.assert_allclose(image.table(5).floats(1), -means / stds, rtol=1e-6)
    assert read_metadata(file)[1] is None


def test_the_same_network_gives_the_same_file(converted, described, tmp_path):
    again = shutil.copy(converted(), tmp_path / "again.tflite")
    add_metadata(again, PREPROCESSING, CLASSES, "shapes")
    assert again.read_bytes() == described.read_bytes()


def test_a_file_without_metadata_says_nothing(file):
    assert read_metadata(file) == (None, None)


def test_labels_of_others_are_read(file):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("imagenet_names.txt", "tench\r\ngoldfish\r\n")
    assert read_metadata(file) == (None, ("tench", "goldfish"))


@pytest.mark.parametrize(
    ("text", "names"), [("a\nb", ("a", "b")), ("a\n\n", ("a", "")), ("a b\n", ("a b",))]
)
def test_a_name_is_a_line(text, names):
    assert names_in(text) == names


@pytest.mark.parametrize(
    ("preprocessing", "classes", "message"),
    [
        (Preprocessing(image_size=9), CLASSES, r"\(8, 8, 3\).*image_size=9, channels=3"),
        (Preprocessing(image_size=8, channels=1), None, "image_size=8, channels=1"),
        (PREPROCESSING, ("a", "b"), r"2 names for outputs of shape \(1, 3\)"),
        (None, ("a", "b\nc", "d"), "without line breaks"),
        (None, (), "at least one"),
    ],
)
def test_what_does_not_fit_is_refused(file, preprocessing, classes, message):
    before = file.read_bytes()
    with pytest.raises(ValueError, match=message):
        add_metadata(file, preprocessing, classes)
    assert file.read_bytes() == before


def test_metadata_is_not_added_twice(described):
    with pytest.raises(ValueError, match="no metadata yet"):
        add_metadata(described, PREPROCESSING, CLASSES)


def test_only_tflite_files_are_taken(tmp_path):
    (tmp_path / "notes.tflite").write_text("not a model")
    for path in (tmp_path / "notes.tflite", tmp_path / "missing.tflite"):
        with pytest.raises(ValueError, match="must be a TFLite file"):
            add_metadata(path, PREPROCESSING, CLASSES)
    with pytest.raises(ValueError, match="must be a TFLite file"):
        read_metadata(tmp_path / "missing.tflite")


def test_a_broken_preprocessing_is_told(file):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("preprocessing.json", '{"image_side": 8}')
    with pytest.raises(ValueError, match="no attribute 'image_side'"):
        read_metadata(file)


def test_a_flipped_bit_in_the_archive_is_one_line_that_names_the_file(described):
    """A bit of every third byte of it: what is still read is right, what is not is told."""
    whole = described.read_bytes()

    def read_with_flipped(place):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        described.write_bytes(damaged)
        try:
            return read_metadata(described)
        except ValueError as error:
            return str(error)

    found = [read_with_flipped(place) for place in range(whole.index(b"PK\3\4"), len(whole), 3)]
    told = {one for one in found if isinstance(one, str)}
    assert all(str(described) in line and "\n" not in line for line in told)
    assert any("CRC" in line for line in told)
    read = {one for one in found if not isinstance(one, str)}
    assert read <= {(a, b) for a in (PREPROCESSING, None) for b in (CLASSES, None)}


def test_only_what_is_needed_is_read_of_an_archive(file):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", "a\nb\n")
        archive.writestr("vocabulary.bin", b"\xff\xfe")
    assert read_metadata(file) == (None, ("a", "b"))


@pytest.mark.parametrize("content", ["[]", "3", '"text"', "null"])
def test_preprocessing_that_is_none_is_told(file, content):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("preprocessing.json", content)
    with pytest.raises(ValueError, match=r"must hold a preprocessing.json of this"):
        read_metadata(file)
