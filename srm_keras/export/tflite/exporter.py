"""TFLite, the format of LiteRT on phones, small machines and in browsers.

``to_tflite`` writes a file; what such a file consists of, how LiteRT executes it and its logits are
read by the functions below it.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from srm_keras.data import Preprocessing
from srm_keras.export.bounds import Bound, exact_bound, lossy_bound
from srm_keras.export.deploy import Deployed
from srm_keras.export.pipeline import Exportable, Format, check_file_path, check_samples, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import Runner, TFLiteRunner, dequantized, load_interpreter
from srm_keras.export.serving.saved_model import check_classes, check_preprocessing
from srm_keras.export.tflite.conversion import (
    Conversion,
    PartlyInteger,
    check_float,
    recalibration_parts,
)
from srm_keras.export.tflite.gpu import gpu_compatibility
from srm_keras.export.tflite.metadata import add_metadata
from srm_keras.layers import Recalibration
from srm_keras.models.flatten import flatten
from srm_keras.support.validation import boolean

# The smallest signal-to-noise ratio that a format passes for good with, in dB.
MIN_SNR_DB = {"float16": 40.0, "dynamic": 25.0, "int8": 20.0, "int16x8": 25.0}
# What pictures are held to instead, in grey levels: eleven bits do not hold a quarter of one.
MAX_GREY_LEVELS = {"float16": 1.0}


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike,
    samples: np.ndarray,
    format: str = "float32",
    representative: np.ndarray | None = None,
    integer_io: bool = False,
    float_modules: bool = False,
    batch_size: int | None = None,
    input_shape: Sequence[int] | None = None,
    fold: bool = True,
    tolerance: float | None = None,
    min_snr_db: float | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
) -> ExportReport:
    """Export ``model`` as a TFLite file that computes the same, with a report beside it.

    ========= ========= ============================== =============
    format    weights   activations                    held to
    ========= ========= ============================== =============
    float32   float32   float32                        ``tolerance``
    float16   float16   float32                        40 dB
    dynamic   int8      float32, int8 inside products  25 dB
    int8      int8      int8                           20 dB
    int16x8   int8      int16                          25 dB
    ========= ========= ============================== =============

    Weights in int8 have a scale a channel. The decibels are the signal-to-noise ratio on
    ``samples``: of the logits where ``model`` ends in a softmax, else of the outputs; more in
    ``lossy_bound``. Pictures in float16 are held to one grey level instead. In the integer formats
    every operator computes in integers, but for the conversion of a float input and output.

    Args:
        model: A functional model with one input and one output; not changed.
        path: The file to write, ``….tflite``, replaced only by one that computes the same;
            ``report.json`` and ``report.md`` beside it hold all reports.
        samples: Real inputs, prepared as for training: floating, of the input's shape.
        format: One of the above.
        representative: Inputs that the integer formats take the range of every tensor from, at best
            a hundred or more of the training split; by default ``samples``.
        integer_io: Whether an integer format takes and returns integers (the file has the scale).
        float_modules: Whether modules in an int8 file compute in float32: more exact, but not for
            hardware that has integers alone.
        batch_size: A fixed one, as LiteRT.js needs; None for any (``resize_tensor_input``).
        input_shape: A fixed one of images whose size ``model`` leaves free; None for any.
        fold: Whether to write the deploy form of ``model`` (``srm_keras.export.deploy``).
        tolerance: Of float32, the largest difference from outputs up to 1, relative to larger ones;
            None: 10⁻⁵, or of pictures (``Kind.PICTURES``) a quarter of a grey level.
        min_snr_db: What the other formats are held to instead of the above, in dB.
        preprocessing: How images are made into inputs, for the file's metadata.
        classes: Names of the classes, for the file's metadata (``labels.txt``).

    Raises:
        ValueError: An argument is not one of the above; nothing was written.
        ExportError: An operator has no such form, or the outputs differ too much; likewise.
    """
    source = Exportable(model, samples)
    file_format = tflite_format(
        source,
        Conversion(format, integer_io, batch_size, representative),
        boolean("float_modules", float_modules),
        input_shape,
        fold,
        tolerance,
        min_snr_db,
        preprocessing,
        classes,
    )
    return export(source, Path(path), file_format, fold)


def tflite_format(
    source: Exportable,
    conversion: Conversion,
    float_modules: bool = False,
    input_shape: Sequence[int] | None = None,
    fold: bool = True,
    tolerance: float | None = None,
    min_snr_db: float | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
) -> Format:
    """What ``to_tflite`` writes; see there."""
    check_float(source.model)
    check_preprocessing(preprocessing, source.model)
    check_classes(classes, source.model)
    model = source.reading(input_shape)
    if conversion.integer:
        conversion = _with_representative(conversion, source, model)
    if float_modules:
        _check_float_modules(conversion, model, fold)

    def write(written: Deployed, file: Path) -> None:
        partly = float_modules and _partly_integer(model, written, conversion)
        file.write_bytes(partly or conversion.convert(written))
        if conversion.format == "int8":
            _check_scales(read_graph(file))
        if preprocessing is not None or classes is not None:
            add_metadata(file, preprocessing, classes, source.model.name)

    return Format(
        name=conversion.name + ", modules in float32" * float_modules,
        write=write,
        load=TFLiteRunner,
        bound=_bound(conversion.format, tolerance, min_snr_db),
        check_path=partial(check_file_path, suffix=".tflite"),
        details=lambda file: tflite_details(file, source.samples.shape[1:]),
        logits=tflite_logits,
        named=classes is not None,
        batch_size=conversion.batch_size or 1,
        input_shape=input_shape,
    )


def _with_representative(
    conversion: Conversion, source: Exportable, model: keras.Model
) -> Conversion:
    if conversion.representative is None:
        return replace(conversion, representative=check_samples(source.samples, model))
    images = check_samples(conversion.representative, model, "representative")
    return replace(conversion, representative=images)


def _check_float_modules(conversion: Conversion, model: keras.Model, fold: bool) -> None:
    """Raise ``ValueError`` where modules cannot stay in float32."""
    plain_int8 = conversion.format == "int8" and not conversion.integer_io
    if not (plain_int8 and conversion.batch_size is None and fold):
        raise ValueError(
            "`float_modules` needs the format 'int8' with float input and output, any batch and "
            f"fold=True. Received: {conversion.name}, fold={fold}"
        )
    if not any(isinstance(x, Recalibration) for x in flatten(model).layers):
        raise ValueError(
            "`float_modules` needs a model with recalibration layers. "
            f"Received: {model.name!r}, which has none"
        )


def _partly_integer(model: keras.Model, written: Deployed, conversion: Conversion) -> bytes:
    assert conversion.representative is not None
    parts = recalibration_parts(flatten(model), written.network)
    converter = PartlyInteger(written, parts, conversion.representative)
    return converter.file(set(parts.values()))


def _check_scales(model: schema.ModelT) -> None:
    """Raise ``ValueError`` where XNNPACK refuses a product; LiteRT may end the process there.

    That is one whose integers stand for 256 times what those of its output do: the output was zero,
    or nearly, on all images from which its range was taken, as of hidden units that are all dead.
    """
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        if operator_name(model, operator) not in _PRODUCTS:
            continue
        image, weights, output = (tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
        kept = [tensor.quantization for tensor in (image, weights, output)]
        scales = [one.scale for one in kept if one is not None and one.scale is not None]
        if len(scales) < len(kept) or not all(map(len, scales)):
            continue
        of_image, of_weights, of_output = (float(np.max(scale)) for scale in scales)
        if of_image * of_weights >= _LARGEST_RATIO * of_output:
            name = output.name.decode().split("/")[-1] if output.name else "?"
            raise ValueError(
                f"LiteRT cannot run it in integers: {name!r} is 0, or nearly, on all "
                "representative images (dead units), which leaves it no range"
            )


_PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_LARGEST_RATIO = 256


def _bound(format: str, tolerance: float | None, min_snr_db: float | None) -> Bound:
    if format == "float32":
        return exact_bound(tolerance)
    if min_snr_db is None:
        return lossy_bound(MIN_SNR_DB[format], MAX_GREY_LEVELS.get(format))
    return lossy_bound(min_snr_db)


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
    """Return ``{"operators": {name: count}, "partitions": …, "gpu": …}`` of a TFLite file.

    ``"gpu"`` is of ``gpu_compatibility``.

    Args:
        path: Of the file.
        image_shape: Of one image, for files that leave it free.
    """
    model = read_graph(path)
    names = [operator_name(model, operator) for operator in model.subgraphs[0].operators]
    return {
        "operators": dict(Counter(names).most_common()),
        "partitions": partitions(path, model, image_shape),
        "gpu": gpu_compatibility(model, operator_name),
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
