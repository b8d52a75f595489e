"""Signatures for raw images, against Pillow and NumPy."""

import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srm_keras.data import Preprocessing
from srm_keras.export import ExportError, to_saved_model
from srm_keras.export.serving import saved_model
from srm_keras.layers import SRM
from tests.support.encoded_images import encoded, huge_png, pixels, sixteen_bits
from tests.support.weights import feature_map, randomize

SIZE = 16
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
PREPROCESSING = Preprocessing(image_size=SIZE, mean=MEAN, std=STD)
CLASSES = [f"class {index}" for index in range(10)]


@pytest.fixture(scope="module")
def network():
    inputs = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Conv2D(16, 3, use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(SRM()(x)))
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    randomize(model, seed=1)
    return model


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("signatures") / "saved_model"
    samples = feature_map((4, SIZE, SIZE, 3))
    to_saved_model(network, path, samples, preprocessing=PREPROCESSING, classes=CLASSES)
    return path


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(folder)


def mirror(size=SIZE):
    """A network that returns what it reads."""
    inputs = keras.Input((size, size, 3), name="image")
    return keras.Model(inputs, keras.layers.Flatten()(inputs))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """``seen(file)``: the pixels that a network reads of a file, 0 to 255."""
    path = tmp_path_factory.mktemp("mirror") / "saved_model"
    preprocessing = Preprocessing(image_size=SIZE, mean=0.0, std=1.0)
    samples = np.random.default_rng(0).uniform(size=(2, SIZE, SIZE, 3))
    to_saved_model(mirror(), path, samples, preprocessing=preprocessing)
    loaded = tf.saved_model.load(path)
    return lambda file: 255 * from_files(loaded, [file]).reshape(SIZE, SIZE, 3)


def prepared(image):
    """The middle on black, standardized; in float64 and without TensorFlow."""
    canvas = np.zeros((SIZE, SIZE, image.shape[2]))
    places = []
    for side in image.shape[:2]:
        of_image = (side - SIZE) // 2 if side > SIZE else 0
        of_canvas = (SIZE - side) // 2 if side < SIZE else 0
        places.append((of_canvas, of_image, min(side, SIZE)))
    (y, v, height), (x, u, width) = places
    canvas[y : y + height, x : x + width] = image[v : v + height, u : u + width]
    return (canvas / 255 - MEAN) / STD


def expected(network, *images):
    inputs = np.stack([prepared(image) for image in images]).astype("float32")
    return network(inputs, training=False).numpy()


def from_uint8(loaded, images):
    return loaded.signatures["serve_uint8"](image=tf.constant(images))


def from_files(loaded, files):
    outputs = loaded.signatures["serve_jpeg"](image_bytes=tf.constant(files, tf.string))
    return outputs["output_0"].numpy()


@pytest.mark.parametrize(("height", "width"), [(SIZE, SIZE), (24, 31), (5, 20), (1, 1), (50, 1)])
def test_raw_arrays_of_any_size(loaded, network, height, width):
    images = np.stack([pixels(height, width, seed=seed) for seed in range(3)])
    for batch in (1, 3):
        actual = from_uint8(loaded, images[:batch])["output_0"]
        np.testing.assert_allclose(actual, expected(network, *images[:batch]), rtol=0, atol=1e-5)


def test_files_of_several_sizes_in_one_request(loaded, network):
    images = [pixels(20, 30), pixels(16, 9, seed=1), pixels(40, 17, seed=2)]
    wanted = expected(network, *images)
    assert np.ptp(wanted, axis=0).max() > 1e-2
    actual = from_files(loaded, [encoded(image) for image in images])
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5)
    mixed = from_files(loaded, [encoded(images[0]), JPEG, encoded(images[2])])
    np.testing.assert_allclose(mixed[[0, 2]], wanted[[0, 2]], rtol=0, atol=1e-5)


def kinds():
    image = Image.fromarray(pixels(18, 22))
    transparent = image.copy()
    transparent.putalpha(77)
    return {
        "grey JPEG": encoded(image.convert("L"), "JPEG"),
        "progressive JPEG": encoded(image, "JPEG", progressive=True, subsampling=0),
        "CMYK JPEG": encoded(image.convert("CMYK"), "JPEG"),
        "grey PNG": encoded(image.convert("L")),
        "palette PNG": encoded(image.quantize(16)),
        "PNG with alpha": encoded(transparent),
        "PNG of 16 bits": sixteen_bits(pixels(18, 22)),
    }


@pytest.mark.parametrize("kind", kinds())
def test_kinds_of_files(seen, kind):
    file = kinds()[kind]
    wanted = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), "float64")
    if kind == "PNG of 16 bits":
        wanted = pixels(18, 22).astype("float64")  # Pillow keeps the lower bits.
    # TensorFlow decodes JPEG by a fast transform that is some levels off.
    atol = 4 if "JPEG" in kind else 1e-3
    np.testing.assert_allclose(seen(file), wanted[1:17, 3:19], rtol=0, atol=atol)


GOOD = encoded(pixels(20, 20))
JPEG = encoded(pixels(40, 40), "JPEG")
BROKEN = {
    "nothing": b"",
    "text": b"not an image",
    "truncated JPEG": JPEG[: len(JPEG) // 2],
    "JPEG header": JPEG[:4],
    "truncated PNG": GOOD[:-20],
    "PNG signature": GOOD[:8],
    "GIF": encoded(pixels(8, 8), "GIF"),
    "BMP": encoded(pixels(8, 8), "BMP"),
    "too large": huge_png(),
    "too narrow": encoded(pixels(2, 101)),
}


@pytest.mark.parametrize(
    ("kind", "position"), [("text", 0), ("truncated JPEG", 0), *((kind, 2) for kind in BROKEN)]
)
def test_a_broken_image_is_named_and_harms_nothing(loaded, kind, position):
    files = [GOOD, JPEG, GOOD]
    files[position] = BROKEN[kind]
    message = f"at position {position} of 3, counted from 0, of {len(BROKEN[kind])} bytes"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        from_files(loaded, files)
    assert from_files(loaded, [GOOD]).shape == (1, 10)


def test_the_first_of_several_broken_images_is_named(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at position 1 of 4"):
        from_files(loaded, [GOOD, b"", GOOD, b""])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at position 0 of 2"):
        from_files(loaded, [b"", b""])


def test_no_images_are_refused(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError, match="`image_bytes` must hold at least"):
        from_files(loaded, [])


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (2, 0, 8, 3), (2, 8, 0, 3), (2, 2, 101, 3)])
def test_arrays_without_sensible_sides_are_refused(loaded, shape):
    with pytest.raises(tf.errors.InvalidArgumentError, match="`image` must hold at least one"):
        from_uint8(loaded, np.zeros(shape, "uint8"))


def test_names_of_the_classes_come_with_the_scores(loaded):
    outputs = from_uint8(loaded, np.stack([pixels(20, 20, seed=seed) for seed in range(6)]))
    best = outputs["output_0"].numpy().argmax(axis=1)
    assert [name.decode() for name in outputs["class_name"].numpy()] == [CLASSES[i] for i in best]


def test_assets_say_what_the_network_reads_and_tells(folder):
    assets = folder / "assets"
    assert json.loads((assets / "classes.json").read_text()) == CLASSES
    attributes = json.loads((assets / "preprocessing.json").read_text())
    assert Preprocessing.from_dict(attributes) == PREPROCESSING


RUN_WITHOUT_KERAS = """
import json, pathlib, sys
sys.modules["keras"] = sys.modules["srm_keras"] = None  # importing them fails
import numpy as np
import tensorflow as tf
folder, arrays, file, outputs = sys.argv[1:]
run = tf.saved_model.load(folder).signatures
arrays = dict(np.load(arrays))
np.savez(
    outputs,
    serving_default=run["serving_default"](image=tf.constant(arrays["prepared"]))["output_0"],
    serve_uint8=run["serve_uint8"](image=tf.constant(arrays["raw"]))["output_0"],
    serve_jpeg=run["serve_jpeg"](image_bytes=tf.constant([pathlib.Path(file).read_bytes()]))["output_0"],
)
assert sys.modules["keras"] is None and sys.modules["srm_keras"] is None
"""


@pytest.mark.slow
def test_all_signatures_run_without_keras(folder, network, tmp_path):
    image = pixels(20, 30)
    arrays, file, outputs = (tmp_path / name for name in ("in.npz", "image.png", "out.npz"))
    np.savez(arrays, prepared=prepared(image)[None].astype("float32"), raw=image[None])
    file.write_bytes(encoded(image))
    subprocess.run(
        [sys.executable, "-c", RUN_WITHOUT_KERAS, *map(str, (folder, arrays, file, outputs))],
        check=True,
    )
    wanted = expected(network, image)
    for name, actual in np.load(outputs).items():
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5, err_msg=name)


def test_colour_files_become_grey_for_a_network_of_one_channel(tmp_path):
    """And the sides of its float images are free, as in the model."""
    inputs = keras.Input((None, None, 1), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same")(inputs)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x)))
    randomize(model)
    preprocessing = Preprocessing(image_size=12, channels=1, mean=0.0, std=1.0)
    samples = np.abs(feature_map((3, 12, 12, 1)) / 10).astype("float32")
    to_saved_model(model, tmp_path / "saved_model", samples, preprocessing=preprocessing)
    signatures = tf.saved_model.load(tmp_path / "saved_model").signatures

    image = Image.fromarray(pixels(12, 12))
    grey = np.asarray(image.convert("L"), "float32")[None, :, :, None] / 255
    for file, tolerance in ((image, 1 / 100), (image.convert("L"), 1e-5)):
        scores = signatures["serve_jpeg"](image_bytes=tf.constant([encoded(file)]))
        assert list(scores) == ["output_0"]
        np.testing.assert_allclose(scores["output_0"], model(grey), rtol=0, atol=tolerance)

    free = feature_map((2, 9, 21, 1))
    actual = signatures["serving_default"](image=tf.constant(free))["output_0"]
    np.testing.assert_allclose(actual, model(free), rtol=0, atol=1e-5)


def test_the_shorter_side_is_resized_as_in_evaluation(tmp_path):
    preprocessing = Preprocessing(image_size=8, resize=10)
    samples = feature_map((3, 8, 8, 3))
    to_saved_model(mirror(8), tmp_path / "sm", samples, preprocessing=preprocessing)
    images = np.stack([pixels(30, 17), pixels(30, 17, seed=1)])
    loaded = tf.saved_model.load(tmp_path / "sm")
    actual = from_uint8(loaded, images)["output_0"].numpy().reshape(2, 8, 8, 3)
    for image, seen_of_it in zip(images, actual, strict=True):
        resized = Image.fromarray(image).resize((10, 17), Image.Resampling.BILINEAR)
        wanted = np.asarray(resized, "float64")[4:12, 1:9] / 127.5 - 1
        np.testing.assert_allclose(seen_of_it, wanted, rtol=0, atol=1 / 127.5)


def test_a_wrong_signature_is_not_published(tmp_path, monkeypatch):
    right = saved_model.serving_signatures

    def wrong(network, preprocessing, classes):
        return right(network, Preprocessing(image_size=8, mean=0.4), classes)

    monkeypatch.setattr(saved_model, "serving_signatures", wrong)
    samples, preprocessing = feature_map((3, 8, 8, 3)), Preprocessing(image_size=8)
    with pytest.raises(ExportError, match=r"sm \(serve_uint8\) was not written"):
        to_saved_model(mirror(8), tmp_path / "sm", samples, preprocessing=preprocessing)
    assert list(tmp_path.iterdir()) == []


def test_without_preprocessing_there_is_one_signature(small_model, tmp_path):
    names = ["α", *"bcdefg"]
    to_saved_model(small_model, tmp_path / "sm", feature_map((3, 8, 8, 3)), classes=names)
    assert list(tf.saved_model.load(tmp_path / "sm").signatures) == ["serving_default"]
    assets = {
        path.name: json.loads(path.read_text()) for path in (tmp_path / "sm/assets").iterdir()
    }
    assert assets == {"classes.json": names}


WRONG_ARGUMENTS = {
    "no preprocessing": (
        {"preprocessing": {"image_size": 8}},
        "`preprocessing` must be a srm_keras.data.Preprocessing or None",
    ),
    "size": (
        {"preprocessing": Preprocessing(image_size=9)},
        r"`preprocessing` must make .* \(None, 8, 8, 3\).*\(None, 9, 9, 3\)",
    ),
    "channels": (
        {"preprocessing": Preprocessing(image_size=8, channels=1)},
        r"`preprocessing` must make .*\(None, 8, 8, 1\)",
    ),
    "one string": ({"classes": "abcdefg"}, "`classes` must be a list of names.*'abcdefg'"),
    "numbers": ({"classes": list(range(7))}, "`classes` must be a list of names"),
    "empty name": ({"classes": ["", *"bcdefg"]}, "`classes` must be a list of names"),
    "two of one name": ({"classes": ["a", *"bcdef", "a"]}, "Received: 'a' for the classes 0, 6"),
    "bytes": ({"classes": [b"a", *"bcdefg"]}, "`classes` must be a list of names.*b'a'"),
    "count": ({"classes": ["a", "b"]}, r"output is \(None, 7\). Received: 2 names"),
}


@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_wrong_arguments_are_refused_before_anything_is_written(case, small_model, tmp_path):
    arguments, message = WRONG_ARGUMENTS[case]
    with pytest.raises(ValueError, match=message):
        to_saved_model(small_model, tmp_path / "sm", feature_map((2, 8, 8, 3)), **arguments)
    assert list(tmp_path.iterdir()) == []
