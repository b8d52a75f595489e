"""Networks as plain functions from images to outputs, whatever executes them."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

Runner = Callable[[np.ndarray], np.ndarray]

SIGNATURE = "serving_default"


def keras_runner(model: keras.Model) -> Runner:
    """Inference of a Keras model with one input and one output, as a graph, without XLA."""
    function = tf.function(
        lambda images: model(images, training=False), input_signature=[signature(model)]
    )
    return lambda images: function(images).numpy()


def signature(model: keras.Model) -> tf.TensorSpec:
    """The input of ``model`` with its name and dtype and a dynamic batch."""
    (tensor,) = model.inputs
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name)


def saved_model_runner(path: str | os.PathLike) -> Runner:
    """The signature ``serving_default`` of a SavedModel, which has one input and one output."""
    loaded = tf.saved_model.load(os.fspath(path))
    function = loaded.signatures[SIGNATURE]
    (name,) = function.structured_input_signature[1]

    def run(images: np.ndarray) -> np.ndarray:
        # `function` alone does not keep the variables that `loaded` owns.
        (output,) = loaded.signatures[SIGNATURE](**{name: tf.constant(images)}).values()
        return output.numpy()

    return run


class TFLiteRunner:
    """A TFLite file with one input and one output, run by LiteRT with its XNNPACK kernels.

    Takes and returns real numbers: where the file's input or output are integers, they are
    quantized and dequantized here with the scale and zero point that the file names.

    Args:
        path: of the file.
        threads: of the interpreter.
        **options: further arguments of ``Interpreter``.
    """

    def __init__(self, path: str | os.PathLike, threads: int = 1, **options: Any):
        self.interpreter = Interpreter(model_path=os.fspath(path), num_threads=threads, **options)
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()
        self.shape: tuple[int, ...] = ()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run a batch of any size: at once, or image by image where the file fixes the batch."""
        batch = self.input["shape_signature"][0]
        if batch in (-1, len(images)):
            return self._run(images)
        if batch != 1:
            raise ValueError(
                f"`images` must be a batch of {batch}, which the file was made for. "
                f"Received: {len(images)} images"
            )
        return np.concatenate([self._run(image[np.newaxis]) for image in images])

    def _run(self, images: np.ndarray) -> np.ndarray:
        self.invoke(images)
        return dequantized(self.interpreter.get_tensor(self.output["index"]), self.output)

    def invoke(self, images: np.ndarray) -> None:
        """Run a batch; a change of shape allocates the tensors anew."""
        if images.shape != self.shape:
            self.interpreter.resize_tensor_input(self.input["index"], images.shape)
            self.interpreter.allocate_tensors()
            self.shape = images.shape
        self.interpreter.set_tensor(self.input["index"], quantized(images, self.input))
        self.interpreter.invoke()


def quantized(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Real numbers as a TFLite tensor of these details holds them: ``value / scale + zero``."""
    dtype = details["dtype"]
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype)
    scale, zero_point = details["quantization"]
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def dequantized(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Real numbers that a TFLite tensor of these details stands for."""
    if not np.issubdtype(values.dtype, np.integer):
        return values
    scale, zero_point = details["quantization"]
    return (values.astype("float32") - zero_point) * np.float32(scale)
