"""ONNX files run by ONNX Runtime."""

import contextlib
import io
import os

from srm_keras.export.foreign import check_counts, check_file, require, unreadable
from srm_keras.export.runners import Runner
from srm_keras.files import plain_path
from srm_keras.validation import positive_int


def onnx_runner(path: str | os.PathLike, threads: int = 1) -> Runner:
    """Return an ONNX file with one input and one output as a function, run on the processor.

    Args:
        path: of the ``.onnx`` file.
        threads: that one call may use.

    Raises:
        ImportError: onnxruntime is not installed.
        ValueError: the file is missing, cannot be run, or has other inputs or outputs.
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
