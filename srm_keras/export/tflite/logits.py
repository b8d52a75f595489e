"""The logits of an integer TFLite file, whose probabilities are multiples of 1/256."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import OpResolverType

from srm_keras.export.runners import Runner, TFLiteRunner, dequantized
from srm_keras.export.tflite.graph import read_graph, softmax_input


def tflite_logits(path: Path) -> Runner | None:
    """Return a runner of what the last softmax in a file takes; None unless it takes integers."""
    index = softmax_input(read_graph(path))
    if index is None:
        return None
    runner = _LogitsRunner(path, index)
    return runner if np.issubdtype(runner.logits["dtype"], np.integer) else None


class _LogitsRunner(TFLiteRunner):
    """A file run by LiteRT's own kernels, which, unlike XNNPACK, leave every tensor readable."""

    def __init__(self, path: Path, index: int):
        super().__init__(
            path,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self.logits = next(
            details
            for details in self.interpreter.get_tensor_details()
            if details["index"] == index
        )

    def _run(self, images: np.ndarray) -> np.ndarray:
        self.invoke(images)
        return dequantized(self.interpreter.get_tensor(self.logits["index"]), self.logits)
