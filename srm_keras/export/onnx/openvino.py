"""ONNX and TFLite files run by OpenVINO."""

import os
from pathlib import Path

import numpy as np

from srm_keras.export.foreign import check_counts, check_file, require, unreadable
from srm_keras.export.runners import Runner
from srm_keras.files import plain_path
from srm_keras.validation import positive_int

SUFFIXES = (".onnx", ".tflite")


def openvino_runner(path: str | os.PathLike, threads: int = 1) -> Runner:
    """Return a file with one input and one output as a function, run by OpenVINO in float32.

    OpenVINO computes in bfloat16 on processors that have it unless float32 is asked for, as here.

    Args:
        path: an ``.onnx`` or ``.tflite`` file. SavedModels are refused: the outputs of OpenVINO's
            reader were wrong for batches of more than one image.
        threads: that one call may use.

    Raises:
        ImportError: openvino is not installed.
        ValueError: the file is missing, cannot be run, or has other inputs or outputs.
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
