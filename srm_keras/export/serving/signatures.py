"""Signatures of a SavedModel that take images as they come, and their parity."""

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
from srm_keras.export.serving.graph import check_file, prepared_arrays, prepared_files
from srm_keras.support.validation import class_names

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

    arrays = tf.TensorSpec((None, None, None, preprocessing.channels), tf.uint8, name="image")
    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    return {
        UINT8: tf.function(serve_uint8, input_signature=[arrays], autograph=False),
        JPEG: tf.function(serve_jpeg, input_signature=[files], autograph=False),
    }


def check_preprocessing(preprocessing: Any, model: keras.Model) -> None:
    """Raise ``ValueError`` unless this is None or makes what ``model`` reads."""
    if preprocessing is None:
        return
    if not isinstance(preprocessing, Preprocessing):
        raise ValueError(
            "`preprocessing` must be a srm_keras.data.Preprocessing or None. "
            f"Received: preprocessing={preprocessing!r}"
        )
    dtype = model.inputs[0].dtype
    if "int" in dtype:
        raise ValueError(
            f"`preprocessing` must be None for a model that reads {dtype}: it makes fractions. "
            f"Received: preprocessing={preprocessing!r}"
        )
    size = preprocessing.image_size
    made, read = (None, size, size, preprocessing.channels), model.inputs[0].shape
    if not tf.TensorShape(read).is_compatible_with(made):
        raise ValueError(
            f"`preprocessing` must make what the model reads, {tuple(read)}. "
            f"Received: one that makes {made}"
        )


def check_classes(classes: Any, model: keras.Model) -> None:
    """Raise ``ValueError`` unless this is None or holds one name for each score of ``model``."""
    if classes is None:
        return
    names = isinstance(classes, Sequence) and not isinstance(classes, str)
    if not names or not all(isinstance(name, str) and name for name in classes):
        raise ValueError(
            f"`classes` must be a list of names or None. Received: classes={classes!r}"
        )
    class_names("classes", classes)
    if tuple(model.outputs[0].shape[1:]) != (len(classes),):
        raise ValueError(
            "`classes` must hold one name for each score of the model, whose output is "
            f"{tuple(model.outputs[0].shape)}. Received: {len(classes)} names"
        )


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

    arrays = tf.TensorSpec(network.inputs[0].shape, tf.uint8, name="image")
    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    return {
        UINT8: tf.function(serve_uint8, input_signature=[arrays], autograph=False),
        JPEG: tf.function(serve_jpeg, input_signature=[files], autograph=False),
    }


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
