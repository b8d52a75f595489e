"""What a TFLite file consists of, how LiteRT executes it, and its logits."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from srm_keras.export.runners import Runner, TFLiteRunner, dequantized, load_interpreter

_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}


def read_graph(path: Path) -> schema.ModelT:
    """Return the model in a TFLite file as objects."""
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def operator_name(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """Name of an operator's kind, such as ``CONV_2D``."""
    code = model.operatorCodes[operator.opcodeIndex]
    return _NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def tflite_details(path: Path, image_shape: Sequence[int] = ()) -> dict[str, Any]:
    """Return ``{"operators": {name: count}, "partitions": …}`` of a TFLite file.

    Args:
        path: Of the file.
        image_shape: Of one image, for files that leave it free.
    """
    model = read_graph(path)
    names = [operator_name(model, operator) for operator in model.subgraphs[0].operators]
    return {
        "operators": dict(Counter(names).most_common()),
        "partitions": partitions(path, model, image_shape),
    }


def partitions(path: Path, model: schema.ModelT, image_shape: Sequence[int] = ()) -> int:
    """Return the number of pieces in which LiteRT executes a graph; 1 where it stays whole.

    XNNPACK takes whatever neighbouring operators it supports as one piece, within which tensors
    have no memory of their own. So operators belong together where the tensor between them has
    none after the first run. An operator that XNNPACK does not know is a piece by itself.
    """
    interpreter = load_interpreter(path)
    (image,) = interpreter.get_input_details()
    if -1 in image["shape_signature"][1:]:
        interpreter.resize_tensor_input(image["index"], (image["shape"][0], *image_shape))
    interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    interpreter.set_tensor(image["index"], np.zeros(image["shape"], image["dtype"]))
    interpreter.invoke()

    operators = model.subgraphs[0].operators
    piece_of = list(range(len(operators)))
    producers = {tensor: i for i, operator in enumerate(operators) for tensor in operator.outputs}
    for consumer, operator in enumerate(operators):
        for tensor in operator.inputs:
            if tensor in producers and not _has_memory(interpreter, tensor):
                old, new = piece_of[consumer], piece_of[producers[tensor]]
                piece_of = [new if piece == old else piece for piece in piece_of]
    return len(set(piece_of))


def softmax_input(model: schema.ModelT) -> int | None:
    """Index of the tensor whose softmax is the model's output; None where it has no softmax."""
    (output,) = model.subgraphs[0].outputs
    producers = {
        tensor: operator for operator in model.subgraphs[0].operators for tensor in operator.outputs
    }
    producer = producers.get(output)
    while producer is not None and operator_name(model, producer) in ("DEQUANTIZE", "QUANTIZE"):
        producer = producers.get(producer.inputs[0])
    if producer is None or operator_name(model, producer) != "SOFTMAX":
        return None
    return int(producer.inputs[0])


def _has_memory(interpreter: Interpreter, tensor: int) -> bool:
    try:
        interpreter.get_tensor(tensor)
    except ValueError:
        return False
    return True


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
