"""Which operators of a TFLite file the GPU delegate of LiteRT takes, and why not the others.

The rules are those by which the delegate of TensorFlow Lite, and LiteRT's after it, chooses
(``tensorflow/lite/tools/versioning/gpu_compatibility.cc`` and the types of
``delegates/gpu/common/model_builder.cc``), as far as this package's files and Keras networks
have such operators. TensorFlow's own ``Analyzer.analyze(gpu_compatibility=True)`` cannot be asked:
that of 2.21 finds every file compatible, one of ``UNIQUE`` alone as well.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

RULES = "tensorflow 03a5e4e"
"""The commit of TensorFlow's repository that the rules were read off."""

_TYPES = {code: name for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
_COMPUTED = ("FLOAT32", "FLOAT16", "INT8", "UINT8")
_LARGEST_RANK = 4


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    type: str
    constant: bool


@dataclass(frozen=True)
class _Operator:
    """An operator, its options as in the file (None where it has none), its tensors."""

    name: str
    options: Any
    inputs: tuple[_Tensor, ...]
    outputs: tuple[_Tensor, ...]

    @property
    def computed(self) -> tuple[_Tensor, ...]:
        """Inputs that are no constants of the file."""
        return tuple(tensor for tensor in self.inputs if not tensor.constant)


_Rule = Callable[[_Operator], str | None]
"""Why an operator is refused; None where it is taken."""


def gpu_compatibility(model: schema.ModelT, name_of: Callable[..., str]) -> dict[str, Any]:
    """Return what the GPU delegate would do with each operator of a file.

    It leaves refused ones to the CPU: the map goes there and back, which costs more than it gains.

    Args:
        model: Of ``read_graph``.
        name_of: ``operator_name``.

    Returns:
        ``{"compatible": whether all are taken, "refused": […], "rules": RULES}`` with an entry
        ``{"operator", "count", "reason"}`` for each kind of refusal, the most frequent first.
    """
    (graph,) = model.subgraphs[:1]
    refused: Counter[tuple[str, str]] = Counter()
    for operator in graph.operators:
        name = name_of(model, operator)
        reason = _refusal(_read(model, graph, operator, name))
        if reason is not None:
            refused[name, reason] += 1
    entries = [
        {"operator": name, "count": count, "reason": reason}
        for (name, reason), count in refused.most_common()
    ]
    return {"compatible": not entries, "refused": entries, "rules": RULES}


def _read(model: schema.ModelT, graph: schema.SubGraphT, operator: Any, name: str) -> _Operator:
    def tensors(indices: Any) -> tuple[_Tensor, ...]:
        return tuple(_tensor(model, graph.tensors[index]) for index in indices if index >= 0)

    options = operator.builtinOptions
    return _Operator(name, options, tensors(operator.inputs), tensors(operator.outputs))


def _tensor(model: schema.ModelT, tensor: schema.TensorT) -> _Tensor:
    data = model.buffers[tensor.buffer].data
    shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
    return _Tensor(shape, _TYPES[tensor.type], data is not None and len(data) > 0)


def _refusal(operator: _Operator) -> str | None:
    rule = _RULES.get(operator.name)
    if rule is None:
        return "not an operator of the delegate"
    for tensor in (*operator.inputs, *operator.outputs):
        if len(tensor.shape) > _LARGEST_RANK:
            return f"a tensor of more than {_LARGEST_RANK} axes"
    if operator.name not in _OWN_TYPES:
        for tensor in (*operator.computed, *operator.outputs):
            if tensor.type not in _COMPUTED:
                return f"{tensor.type.lower()} values"
    return rule(operator)


def _taken(operator: _Operator) -> str | None:
    return None


def _one_input(operator: _Operator) -> str | None:
    count = len(operator.computed)
    return None if count == 1 else f"{count} inputs that are computed, where one is taken"


def _one_or_two(operator: _Operator) -> str | None:
    taken = len(operator.inputs) == 2 and len(operator.computed) in (1, 2)
    return None if taken else "other inputs than two, of which one is computed"


def _add(operator: _Operator) -> str | None:
    first, second = (tensor.shape for tensor in operator.inputs)
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if len(first) != len(second) and one != other and 1 not in (one, other):
            return "shapes that do not broadcast"
    return None


def _mul(operator: _Operator) -> str | None:
    first, second = (tensor.shape for tensor in operator.inputs)
    pairs = list(zip(first, second, strict=False))
    grows_both = any(one < other for one, other in pairs) and any(
        one > other for one, other in pairs
    )
    if len(first) == len(second) and grows_both:
        return "a product in which each factor is repeated along an axis of the other"
    return _add(operator)


def _convolution(operator: _Operator) -> str | None:
    return None if len(operator.computed) <= 2 else "more than two inputs that are computed"


def _depthwise(operator: _Operator) -> str | None:
    if any(len(tensor.shape) != 4 for tensor in (*operator.inputs[:2], *operator.outputs)):
        return "a tensor that has not four axes"
    depth = operator.inputs[0].shape[3]
    if operator.options.depthMultiplier != 1 and depth != 1:
        return "several filters a channel"
    return _convolution(operator)


def _dense(operator: _Operator) -> str | None:
    if operator.inputs[0].constant:
        return "a constant input"
    ranks = len(operator.inputs[0].shape), len(operator.outputs[0].shape)
    if operator.options.keepNumDims and ranks[0] != ranks[1]:
        return "other axes in the output"
    return _convolution(operator)


def _over_axes(operator: _Operator) -> str | None:
    axes = operator.inputs[1]
    if not axes.constant or axes.type != "INT32":
        return "axes that are no int32 constant"
    return _one_input(operator)


def _slice(operator: _Operator) -> str | None:
    if len(operator.inputs[0].shape) not in (3, 4):
        return "a tensor that has neither three nor four axes"
    return None


def _strided_slice(operator: _Operator) -> str | None:
    options = operator.options
    if options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask:
        return "axes that are added or taken away"
    return _slice(operator)


def _pad(operator: _Operator) -> str | None:
    if operator.inputs[1].shape not in ((3, 2), (4, 2)):
        return "a tensor that has neither three nor four axes"
    return _one_input(operator)


def _mirror_pad(operator: _Operator) -> str | None:
    reflects = operator.options.mode == schema.MirrorPadMode.REFLECT
    return _pad(operator) if reflects else "a border that is repeated"


def _softmax(operator: _Operator) -> str | None:
    return None if operator.options.beta == 1 else "another beta than 1"


def _blocks(operator: _Operator) -> str | None:
    return _one_input(operator) if operator.options.blockSize > 1 else "blocks of one pixel"


def _resize(operator: _Operator) -> str | None:
    options = operator.options
    if options.alignCorners and options.halfPixelCenters:
        return "aligned corners with centres at half pixels"
    return _one_input(operator)


def _cast(operator: _Operator) -> str | None:
    types = operator.inputs[0].type, operator.outputs[0].type
    floats = ("FLOAT32", "FLOAT16")
    between = all(type in ("FLOAT32", "INT32") for type in types)
    of_bool = "BOOL" in types and any(type in floats for type in types)
    return None if between or of_bool else f"from {types[0].lower()} to {types[1].lower()}"


def _gather(operator: _Operator) -> str | None:
    values, indices = operator.inputs[:2]
    if values.type == "INT32" or indices.type != "INT32" or len(indices.shape) != 1:
        return "indices that are not a list of int32"
    return None


_ELEMENTWISE = (
    *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "LOGISTIC", "NEG"),
    *("RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH", "RESHAPE", "TILE", "TRANSPOSE", "QUANTIZE"),
    *("AVERAGE_POOL_2D", "MAX_POOL_2D"),
)
_COMPARISONS = (
    *("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
    *("LOGICAL_AND", "NOT_EQUAL"),
)
_OF_TWO = (
    *("ATAN2", "DIV", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"),
    *("SUB", *_COMPARISONS),
)
_ALWAYS = (
    *(
        "BATCH_MATMUL",
        "CONCATENATION",
        "DEQUANTIZE",
        "LEAKY_RELU",
        "PACK",
        "PRELU",
        "RELU",
        "RELU6",
        "SPLIT",
    ),
    *("SPLIT_V", "RELU_N1_TO_1"),
)
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _one_input),
    **dict.fromkeys(_OF_TWO, _one_or_two),
    **dict.fromkeys(_ALWAYS, _taken),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), _over_axes),
    **dict.fromkeys(("CONV_2D", "TRANSPOSE_CONV"), _convolution),
    **dict.fromkeys(("PAD", "PADV2"), _pad),
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), _blocks),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize),
    "ADD": _add,
    "CAST": _cast,
    "CUMSUM": _over_axes,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "GATHER": _gather,
    "MIRROR_PAD": _mirror_pad,
    "MUL": _mul,
    "SLICE": _slice,
    "SOFTMAX": _softmax,
    "STRIDED_SLICE": _strided_slice,
}
_OWN_TYPES = ("CAST", "GATHER", *_COMPARISONS)
