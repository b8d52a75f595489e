"""Networks as plain functions from images to outputs, whatever executes them."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from srm_keras.support.files import plain_path
from srm_keras.support.foreign import check_counts, check_file, first_line, require, unreadable
from srm_keras.support.validation import positive_int

Runner = Callable[[np.ndarray], np.ndarray]

SIGNATURE = "serving_default"


def keras_runner(model: keras.Model) -> Runner:
    """Inference of a Keras model with one input and one output, as a graph, without XLA.

    Both may be alone in a list or dict. The runner raises ``ValueError`` for batches that the
    model does not take.
    """

    def infer(images: tf.Tensor) -> tf.Tensor:
        given = keras.tree.pack_sequence_as(_structures(model)[0], [images])
        (output,) = keras.tree.flatten(model(given, training=False))
        return output

    function = tf.function(infer, input_signature=[signature(model)])

    def run(images: np.ndarray) -> np.ndarray:
        try:
            result = function(images).numpy()
        except (tf.errors.OpError, ValueError) as error:
            raise ValueError(_other_batch(model, images, first_line(error))) from error
        if result.shape[:1] != images.shape[:1]:
            raise ValueError(_other_batch(model, images, f"gives {result.shape}"))
        return result

    return run


def _other_batch(model: keras.Model, images: np.ndarray, why: str) -> str:
    return (
        f"`model` must take batches of any size, and give one output for each image ({why}). "
        f"Received: {model.name!r} for a batch of shape {images.shape}"
    )


def one_tensor(model: keras.Model) -> keras.Model:
    """Return ``model`` from one tensor to one tensor, neither of them in a list or dict."""
    if any(keras.tree.is_nested(structure) for structure in _structures(model)):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def _structures(model: keras.Model) -> tuple[Any, Any]:
    """Input and output as ``model`` takes and returns them, which may be in lists or dicts."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def signature(model: keras.Model) -> tf.TensorSpec:
    """The input of ``model`` with its name and dtype and a dynamic batch."""
    (tensor,) = model.inputs
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name)


def load_saved_model(path: str | os.PathLike) -> Any:
    """``tf.saved_model.load`` from wherever it lies."""
    with plain_path(path) as plain:
        return tf.saved_model.load(plain)


def load_interpreter(path: str | os.PathLike, threads: int = 1, **options: Any) -> Interpreter:
    """LiteRT's interpreter of a TFLite file, wherever it lies."""
    with plain_path(path) as plain:
        return Interpreter(model_path=plain, num_threads=threads, **options)


def saved_model_runner(path: str | os.PathLike) -> Runner:
    """The signature ``serving_default`` of a SavedModel, which has one input and one output."""
    loaded = load_saved_model(path)
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
        path: Of the file.
        threads: Of the interpreter.
        **options: Further arguments of ``Interpreter``.
    """

    def __init__(self, path: str | os.PathLike, threads: int = 1, **options: Any):
        self.interpreter = load_interpreter(path, threads, **options)
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()
        self.shape: tuple[int, ...] = ()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run a batch of any size: at once, or in batches of the size that the file fixes.

        The last one is filled up with its first images.
        """
        batch = self.input["shape_signature"][0]
        if batch == -1:
            return self._run(images)
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        whole = (batch, *images.shape[1:])
        return np.concatenate([self._run(np.resize(part, whole))[: len(part)] for part in parts])

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
    scale, zero_point = details["quantization"]
    if not np.issubdtype(dtype, np.integer) or not scale:  # Integers may stand for themselves.
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def dequantized(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Real numbers that a TFLite tensor of these details stands for."""
    scale, zero_point = details["quantization"]
    if not np.issubdtype(values.dtype, np.integer) or not scale:
        return values
    return (values.astype("float32") - zero_point) * np.float32(scale)


def onnx_runner(path: str | os.PathLike, threads: int = 1) -> Runner:
    """Return an ONNX file with one input and one output as a function, run on the processor.

    Args:
        path: Of the ``.onnx`` file.
        threads: That one call may use.

    Raises:
        ImportError: Onnxruntime is not installed.
        ValueError: The file is missing, cannot be run, or has other inputs or outputs.
    """
    positive_int("threads", threads)
    runtime = require("onnxruntime")
    check_file(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    providers = ["CPUExecutionProvider"]
    try:
        with plain_path(path) as plain, contextlib.redirect_stdout(io.StringIO()):  # of its errors
            session = runtime.InferenceSession(plain, options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions have no class in common.
        raise unreadable(path, "ONNX Runtime", error) from error
    check_counts(path, session.get_inputs(), session.get_outputs())
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    return lambda images: session.run([result.name], {source.name: images})[0]


SUFFIXES = (".onnx", ".tflite")


def openvino_runner(path: str | os.PathLike, threads: int = 1) -> Runner:
    """Return a file with one input and one output as a function, run by OpenVINO in float32.

    OpenVINO computes in bfloat16 on processors that have it unless float32 is asked for, as here.

    Args:
        path: An ``.onnx`` or ``.tflite`` file. SavedModels are refused: the outputs of OpenVINO's
            reader were wrong for batches of more than one image.
        threads: That one call may use.

    Raises:
        ImportError: Openvino is not installed.
        ValueError: The file is missing, cannot be run, or has other inputs or outputs.
    """
    positive_int("threads", threads)
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(
            f"`path` must be a file {' or '.join(f'*{suffix}' for suffix in SUFFIXES)} for "
            "OpenVINO, whose SavedModel reader is wrong for batches of more than one image. "
            f"Received: path={os.fspath(path)!r}"
        )
    openvino = require("openvino")
    check_file(path)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    try:
        with plain_path(path) as plain:
            network = openvino.Core().compile_model(plain, "CPU", settings)
    except RuntimeError as error:
        raise unreadable(path, "OpenVINO", error) from error
    check_counts(path, network.inputs, network.outputs)
    return lambda images: np.array(network(images)[0])
