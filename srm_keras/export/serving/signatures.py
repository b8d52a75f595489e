"""Signatures of a SavedModel that take images as they come: their graphs, and their parity."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.data.decode import decode
from srm_keras.export.bounds import Bound
from srm_keras.export.parity import Parity, compare, parity
from srm_keras.export.pipeline import Exportable, ExportError, check_parity
from srm_keras.export.runners import load_saved_model

UINT8 = "serve_uint8"
JPEG = "serve_jpeg"
OUTPUT = "output_0"
CLASS_NAME = "class_name"


def serving_signatures(
    network: keras.Model, preprocessing: Preprocessing, classes: Sequence[str] | None
) -> dict[str, Any]:
    """The signatures ``serve_uint8`` and ``serve_jpeg`` as functions to be saved.

    Both return ``output_0``, what ``network`` returns, and with ``classes`` also ``class_name``,
    the name of the largest score of each image.
    """

    def outputs(images: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = network(tf.cast(images, network.inputs[0].dtype), training=False)
        named = {OUTPUT: scores}
        if classes is not None:
            named[CLASS_NAME] = tf.gather(tf.constant(list(classes)), tf.argmax(scores, axis=1))
        return named

    def serve_uint8(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return outputs(prepared_arrays(image, preprocessing))

    def serve_jpeg(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return outputs(prepared_files(image_bytes, preprocessing))

    return _signatures(serve_uint8, serve_jpeg, (None, None, None, preprocessing.channels))


def _signatures(serve_uint8: Any, serve_jpeg: Any, shape: Sequence[int | None]) -> dict[str, Any]:
    arrays = tf.TensorSpec(shape, tf.uint8, name="image")
    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    return {
        UINT8: tf.function(serve_uint8, input_signature=[arrays], autograph=False),
        JPEG: tf.function(serve_jpeg, input_signature=[files], autograph=False),
    }


def signature_parities(
    path: Path, file: str, source: Exportable, preprocessing: Preprocessing, bound: Bound
) -> dict[str, Parity]:
    """Compare ``serve_uint8`` and ``serve_jpeg`` with preprocessing and the network.

    Args:
        path: The SavedModel.
        file: What errors call it.
        source: The network. Its samples are turned back into raw images, which for ``serve_jpeg``
            are encoded as JPEG and PNG in turn and in two widths.
        preprocessing: Of both.
        bound: What both are held to.

    Raises:
        ExportError: The outputs differ by more than the bound.
    """
    loaded = load_saved_model(path)
    raw = raw_images(source.samples, preprocessing)
    files = np.array([encoded(image, place) for place, image in enumerate(raw)], dtype=object)

    def of_arrays(images: np.ndarray) -> np.ndarray:
        return loaded.signatures[UINT8](image=tf.constant(images))[OUTPUT].numpy()

    def of_files(contents: np.ndarray) -> np.ndarray:
        outputs = loaded.signatures[JPEG](image_bytes=tf.constant(contents.tolist()))
        return outputs[OUTPUT].numpy()

    def reference_of_arrays(images: np.ndarray) -> np.ndarray:
        return source.run(preprocessing.evaluation(tf.constant(images)).numpy())

    def reference_of_files(contents: np.ndarray) -> np.ndarray:
        return source.run(np.stack([_prepared(content, preprocessing) for content in contents]))

    parities = {
        UINT8: compare(reference_of_arrays, of_arrays, raw),
        JPEG: compare(reference_of_files, of_files, files),
    }
    for name, one in parities.items():
        check_parity(one, bound.of(one.kind), f"{file} ({name})")
    return parities


def raw_images(samples: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The uint8 images nearest to those that standardize to ``samples``."""
    scale, offset = preprocessing.scale_and_offset()
    return np.clip(np.rint((samples - np.array(offset)) / scale), 0, 255).astype("uint8")


def encoded(image: np.ndarray, position: int, whole: bool = False) -> bytes:
    """One image as a file: of even positions whole as JPEG, of odd ones in part as PNG.

    With ``whole``, for networks that read one size alone, the latter are whole too.
    """
    if position % 2:
        width = image.shape[1]
        return tf.io.encode_png(image[:, : width if whole else max(3 * width // 4, 1)]).numpy()
    return tf.io.encode_jpeg(image).numpy()


def _prepared(content: bytes, preprocessing: Preprocessing) -> np.ndarray:
    image = decode(tf.constant(content))
    if preprocessing.channels == 1:
        image = tf.image.rgb_to_grayscale(image)
    return preprocessing.evaluation(image).numpy()


ROUNDING = 0.5


def image_signatures(network: keras.Model) -> dict[str, Any]:
    """The signatures ``serve_uint8`` and ``serve_jpeg`` as functions to be saved.

    ``serve_uint8`` takes and returns uint8 images (N, H, W, 3); ``serve_jpeg`` takes (N,) JPEG or
    PNG files, each of a size of its own, and returns (N,) PNG files of the same sizes.
    """
    dtype = network.inputs[0].dtype

    def pixels(images: tf.Tensor) -> tf.Tensor:
        result = network(tf.cast(images, dtype), training=False)
        same = tf.reduce_all(tf.equal(tf.shape(result), tf.shape(images)))
        check = tf.debugging.Assert(same, ["Images are too small for the network."])
        with tf.control_dependencies([check]):
            return tf.cast(tf.clip_by_value(tf.round(result), 0, 255), tf.uint8)

    def file(content: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([check_file(content)]):
            image = decode(tf.identity(content))
        return tf.io.encode_png(pixels(image[tf.newaxis])[0])

    def serve_uint8(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: pixels(image)}

    def serve_jpeg(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: tf.map_fn(file, image_bytes, fn_output_signature=tf.string)}

    return _signatures(serve_uint8, serve_jpeg, network.inputs[0].shape)


def check_image_output(model: keras.Model) -> None:
    """Raise ``ValueError`` unless ``model`` turns RGB images into RGB images of their size."""
    read, made = (tuple(tensor.shape) for tensor in (model.inputs[0], model.outputs[0]))
    if read != made or len(read) != 4 or read[-1] != 3:
        raise ValueError(
            "`image_output` needs a model from images (N, H, W, 3) to images of the same size. "
            f"Received: {model.name!r} from {read} to {made}"
        )


def image_signature_parities(
    path: Path, file: str, source: Exportable, levels: float
) -> dict[str, Parity]:
    """Compare ``serve_uint8`` and ``serve_jpeg`` with what the network computes, clipped.

    Args:
        path: The SavedModel.
        file: What errors call it.
        source: The network and images; for ``serve_jpeg`` they are encoded as JPEG and PNG in turn.
        levels: How far a pixel may be off beyond rounding, in grey levels.

    Raises:
        ExportError: A pixel differs by more than half a grey level and ``levels``.
    """
    loaded = load_saved_model(path)
    raw = np.clip(np.rint(source.samples), 0, 255).astype("uint8")
    whole = None not in source.model.inputs[0].shape[1:3]
    files = [encoded(image, place, whole) for place, image in enumerate(raw)]
    arrays = [loaded.signatures[UINT8](image=tf.constant(image[None]))[OUTPUT][0] for image in raw]
    answers = loaded.signatures[JPEG](image_bytes=tf.constant(files))[OUTPUT].numpy()
    pairs = {
        UINT8: zip(raw, arrays, strict=True),
        JPEG: zip(map(decode, files), map(decode, answers), strict=True),
    }
    parities = {name: _parity(source.run, list(images), len(raw)) for name, images in pairs.items()}
    for name, one in parities.items():
        if not one.max_error <= ROUNDING + levels:
            raise ExportError(
                f"{file} was not written: pixels of {name} differ from the Keras model's by "
                f"up to {one.max_error:.3g}, more than rounding explains."
            )
    return parities


def _parity(run: Any, images: list, samples: int) -> Parity:
    expected = [
        np.clip(run(np.asarray(image, "float32")[None]), 0, 255).ravel() for image, _ in images
    ]
    actual = [np.ravel(stylized).astype("float64") for _, stylized in images]
    return parity(np.concatenate(expected).astype("float64"), np.concatenate(actual), samples)


MAX_PIXELS = 2**26
"""Of one encoded image: 200 MB decoded."""

MAX_RATIO = 50
"""Of an image's longer side to its shorter: resizing the shorter one lengthens the other too."""

_PNG = b"\x89PNG\r\n\x1a\n"


def prepared_arrays(images: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """What the network reads of raw images.

    Args:
        images: uint8 (N, H, W, channels), N, H and W at least 1, the longer of H and W at most
            ``MAX_RATIO`` times the shorter.
        preprocessing: Of the network.

    Returns:
        float32 (N, image_size, image_size, channels). As a graph it fails with
        ``InvalidArgumentError`` for other images.
    """
    check = _check(
        tf.logical_and(tf.shape(images)[0] > 0, _is_moderate(tf.shape(images)[1:3])),
        "`image` must hold at least one image, of at least one pixel, whose longer side is at most "
        f"{MAX_RATIO} times the shorter. Received: shape (",
        tf.strings.reduce_join(tf.strings.as_string(tf.shape(images)), separator=", "),
        ")",
    )
    with tf.control_dependencies([check]):
        images = tf.identity(images)
    if preprocessing.resize is None:
        return preprocessing.evaluation(images)
    # One by one: the resized form of a narrow image is large.
    size, channels = preprocessing.image_size, preprocessing.channels
    spec = tf.TensorSpec((size, size, channels), tf.float32)
    return tf.map_fn(preprocessing.evaluation, images, fn_output_signature=spec)


def prepared_files(contents: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """What the network reads of encoded images, which may differ in size.

    Grey values are repeated, or colours made grey, to what the network reads; palettes are looked
    up, CMYK converted, alpha dropped, and of 16 bits the upper 8 kept. An EXIF orientation is
    ignored.

    Args:
        contents: (N,) strings, N at least 1, each a JPEG or PNG file of at most ``MAX_PIXELS``
            pixels, the longer side at most ``MAX_RATIO`` times the shorter.
        preprocessing: Of the network.

    Returns:
        float32 (N, image_size, image_size, channels). As a graph it fails with
        ``InvalidArgumentError`` that names the position of the first other image.
    """
    count = tf.size(contents)
    empty = _check(count > 0, "`image_bytes` must hold at least one image. Received: none")
    size, channels = preprocessing.image_size, preprocessing.channels
    with tf.control_dependencies([empty]):
        files = tf.data.Dataset.from_tensor_slices(contents).enumerate()
    decoded = files.map(
        lambda position, content: (position, _prepared_file(content, preprocessing)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    ).ignore_errors()
    # One more than was sent, so that something is left where every image is broken.
    end = (tf.cast(count, tf.int64), tf.zeros((size, size, channels)))
    batch = decoded.concatenate(tf.data.Dataset.from_tensors(end)).batch(end[0] + 1)
    positions, images = batch.get_single_element()
    with tf.control_dependencies([_check_none_missing(positions, contents)]):
        return tf.ensure_shape(images[:-1], (None, size, size, channels))


def _check_none_missing(positions: tf.Tensor, contents: tf.Tensor) -> tf.Operation:
    """Fail unless ``positions``, of those decoded and of the end, are consecutive from 0."""
    missing = positions != tf.range(tf.size(positions, tf.int64))
    first = tf.argmax(missing)  # Where one is missing a later one stands instead.
    length = tf.strings.length(contents)[tf.minimum(first, tf.size(contents, tf.int64) - 1)]
    return _check(
        tf.logical_not(tf.reduce_any(missing)),
        f"`image_bytes` must hold whole JPEG or PNG files of at most {MAX_PIXELS} pixels, the "
        f"longer side at most {MAX_RATIO} times the shorter. Received: something else at position ",
        tf.strings.as_string(first),
        " of ",
        tf.strings.as_string(tf.size(contents)),
        ", counted from 0, of ",
        tf.strings.as_string(length),
        " bytes",
    )


def _prepared_file(content: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """One image (image_size, image_size, channels); fails for what is none."""
    with tf.control_dependencies([check_file(content)]):
        image = decode(tf.identity(content))
    if preprocessing.channels == 1:
        image = tf.image.rgb_to_grayscale(image)
    return preprocessing.evaluation(image)


def check_file(content: tf.Tensor) -> tf.Operation:
    """Fail unless the header is that of a JPEG or PNG file of a moderate size."""
    sides = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.extract_jpeg_shape(content)[:2],
        lambda: _sides_of_png(content),
    )
    pixels = tf.reduce_prod(tf.cast(sides, tf.int64))
    fits = tf.logical_and(pixels <= MAX_PIXELS, _is_moderate(sides))
    return _check(fits, "image too large or too narrow")


def _sides_of_png(content: tf.Tensor) -> tf.Tensor:
    """Height and width from the header; fails where there is none."""
    is_png = _check(tf.strings.substr(content, 0, len(_PNG)) == _PNG, "neither JPEG nor PNG")
    with tf.control_dependencies([is_png]):
        header = tf.strings.substr(content, 16, 8)
    return tf.reverse(tf.io.decode_raw(header, tf.int32, little_endian=False), [0])


def _is_moderate(sides: tf.Tensor) -> tf.Tensor:
    """Whether both sides are at least 1 and the longer one at most ``MAX_RATIO`` the shorter."""
    sides = tf.cast(sides, tf.int64)
    return tf.logical_and(
        tf.reduce_min(sides) >= 1,
        tf.reduce_max(sides) <= MAX_RATIO * tf.reduce_min(sides),
    )


def _check(condition: tf.Tensor, *message: str | tf.Tensor) -> tf.Operation:
    """Fail with the parts of ``message``, joined, unless ``condition``."""
    return tf.debugging.Assert(condition, [tf.strings.join(message)])
