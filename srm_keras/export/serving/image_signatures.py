"""Signatures of a SavedModel whose network turns images into images, and their parity."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srm_keras.data.image_folder.decode import decode
from srm_keras.export.checked import ExportError
from srm_keras.export.deploy import in_float32
from srm_keras.export.parity import Parity, parity
from srm_keras.export.runners import keras_runner, load_saved_model
from srm_keras.export.serving.graph import check_file
from srm_keras.export.serving.signatures import JPEG, OUTPUT, UINT8, encoded

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
    path: Path, model: keras.Model, samples: np.ndarray, levels: float
) -> dict[str, Parity]:
    """Compare ``serve_uint8`` and ``serve_jpeg`` with what ``model`` computes, clipped.

    Args:
        path: the SavedModel.
        model: the Keras model.
        samples: float images; for ``serve_jpeg`` they are encoded as JPEG and PNG in turn.
        levels: how far a pixel may be off beyond rounding, in grey levels.

    Raises:
        ExportError: a pixel differs by more than half a grey level and ``levels``.
    """
    loaded = load_saved_model(path)
    run = keras_runner(in_float32(model))
    raw = np.clip(np.rint(samples), 0, 255).astype("uint8")
    whole = None not in model.inputs[0].shape[1:3]
    files = [encoded(image, place, whole) for place, image in enumerate(raw)]
    arrays = [loaded.signatures[UINT8](image=tf.constant(image[None]))[OUTPUT][0] for image in raw]
    answers = loaded.signatures[JPEG](image_bytes=tf.constant(files))[OUTPUT].numpy()
    pairs = {
        UINT8: zip(raw, arrays, strict=True),
        JPEG: zip(map(decode, files), map(decode, answers), strict=True),
    }
    parities = {name: _parity(run, list(images), len(raw)) for name, images in pairs.items()}
    for name, one in parities.items():
        if not one.max_error <= ROUNDING + levels:
            raise ExportError(
                f"{path.name} was not written: pixels of {name} differ from the Keras model's by "
                f"up to {one.max_error:.3g}, more than rounding explains."
            )
    return parities


def _parity(run: Any, images: list, samples: int) -> Parity:
    expected = [
        np.clip(run(np.asarray(image, "float32")[None]), 0, 255).ravel() for image, _ in images
    ]
    actual = [np.ravel(stylized).astype("float64") for _, stylized in images]
    return parity(np.concatenate(expected).astype("float64"), np.concatenate(actual), samples)
