"""ONNX, the format of ONNX Runtime, OpenVINO and many compilers for accelerators."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.export.bounds import exact_bound
from srm_keras.export.pipeline import Exportable, ExportError, Format, check_file_path, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import onnx_runner, signature
from srm_keras.export.serving.saved_model import check_classes, check_preprocessing
from srm_keras.models.surgery.functional import copied
from srm_keras.support.foreign import first_line, require
from srm_keras.support.validation import one_of

OPSET = 17
OPSETS = range(13, 19)
OUTPUT = "output_0"


def to_onnx(
    model: keras.Model,
    path: str | os.PathLike,
    samples: np.ndarray,
    fold: bool = True,
    tolerance: float | None = None,
    opset: int = OPSET,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
) -> ExportReport:
    """Export ``model`` as an ONNX file that computes the same, with a report beside it.

    The file has one input, called as that of ``model`` (``image`` in the networks of this package),
    in batches of any size, with height and width free where ``model`` leaves them so, and one
    output, ``output_0``. Its ``metadata_props`` hold ``preprocessing`` and ``classes`` as JSON.

    Before it is published it passes ``onnx.checker``, and ONNX Runtime computes its outputs.

    Args:
        model: A functional model with one input and one output; not changed.
        path: The file to write, ``….onnx``. ``report.json`` and ``report.md`` beside it hold the
            reports on all exports to the same place.
        samples: As of ``to_saved_model``.
        fold: As there. OpenVINO 2026.4 computes wrong gates for SRM layers that are not in deploy
            form, in batches of more than one image.
        tolerance: As there.
        opset: 13 to 18. tf2onnx knows no newer one, and in 18 writes global average pooling as a
            transposition and a mean.
        preprocessing: How images are made into ``samples``; for the file's metadata.
        classes: Names of the classes in the order of the outputs; for the file's metadata.

    Raises:
        ImportError: tf2onnx or onnxruntime is not installed.
        ValueError: An argument is not one of the above; nothing was written.
        ExportError: A part of ``model`` has no ONNX form, or the outputs differ by more than
            ``tolerance``; nothing was written.
    """
    source = Exportable(model, samples)
    return export(
        source, Path(path), onnx_format(source, tolerance, opset, preprocessing, classes), fold
    )


def onnx_format(
    source: Exportable,
    tolerance: float | None = None,
    opset: int = OPSET,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
) -> Format:
    """What ``to_onnx`` writes; see there."""
    one_of("opset", opset, OPSETS)
    for package in ("tf2onnx", "onnxruntime"):
        require(package)
    check_preprocessing(preprocessing, source.model)
    check_classes(classes, source.model)
    properties = metadata(preprocessing, classes)
    return Format(
        name=f"ONNX opset {opset}",
        write=lambda written, file: write_onnx(written.network, file, opset, properties),
        load=onnx_runner,
        bound=exact_bound(tolerance),
        check_path=partial(check_file_path, suffix=".onnx"),
        details=onnx_details,
        named=classes is not None,
    )


def metadata(preprocessing: Preprocessing | None, classes: Sequence[str] | None) -> dict[str, str]:
    """Preprocessing and class names as an ONNX file's ``metadata_props``, without what is None."""
    values = {
        "preprocessing": preprocessing and preprocessing.to_dict(),
        "classes": classes and list(classes),
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items() if value}


def write_onnx(
    network: keras.Model,
    path: str | os.PathLike,
    opset: int = OPSET,
    properties: dict[str, str] | None = None,
) -> None:
    """Write the inference of ``network`` with a free batch and ``metadata_props``.

    Raises:
        ExportError: An operation of ``network`` has no ONNX form.
    """
    tf2onnx, onnx = require("tf2onnx"), require("onnx")
    specification = [signature(network)]
    network = _with_plain_groups(network)
    function = tf.function(
        lambda images: {OUTPUT: network(images, training=False)}, input_signature=specification
    )
    # With its optimizer, which moves transpositions until they cancel out.
    model, _ = tf2onnx.convert.from_function(function, specification, opset=opset)
    model.graph.name, model.graph.doc_string = network.name, ""
    _hold_constants(model.graph, function.get_concrete_function())
    for value in (*model.graph.input, *model.graph.output):
        _name_free_sides(value.type.tensor_type.shape.dim)
    onnx.helper.set_model_props(model, properties or {})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"{network.name!r} was not written as ONNX: {first_line(error)}"
        ) from error
    onnx.save(model, os.fspath(path))


class _GroupedConv2D(keras.layers.Conv2D):
    """A grouped convolution as the one operator that it is.

    Keras on TensorFlow wraps it into a function for XLA, without which no CPU runs it; tf2onnx
    does not look into such a function. This one is written and never run.
    """

    def convolution_op(self, inputs, kernel):
        return tf.nn.convolution(
            inputs,
            kernel,
            self.strides,
            self.padding.upper(),
            "NHWC" if self.data_format == "channels_last" else "NCHW",
            self.dilation_rate,
        )


def _with_plain_groups(network: keras.Model) -> keras.Model:
    """``network`` with ``_GroupedConv2D`` where a convolution has groups; all else is shared."""

    def copy(layer):
        if type(layer) is keras.layers.Conv2D and layer.groups > 1:
            return _GroupedConv2D.from_config(layer.get_config())
        return layer

    return copied(network, copy) if any(copy(one) is not one for one in network.layers) else network


def _hold_constants(graph: Any, function: Any) -> None:
    """Make initializers of the inputs for tensors that layers hold beside their weights.

    A ``Normalization`` computes with such; tf2onnx takes variables in, and asks for these.

    Raises:
        ExportError: One is a lookup table.
    """
    helper = require("onnx").numpy_helper
    captured = function.captured_inputs
    places = function.inputs[len(function.inputs) - len(captured) :]
    held = {place.name: value for place, value in zip(places, captured, strict=True)}
    for value in [value for value in graph.input if value.name in held]:
        if held[value.name].dtype == tf.resource:
            raise ExportError(
                f"{graph.name!r} was not written as ONNX: its lookup table {value.name!r} has no "
                "form there"
            )
        graph.initializer.append(helper.from_array(held[value.name].numpy(), value.name))
        graph.input.remove(value)


def _name_free_sides(sides: Sequence[Any]) -> None:
    """Call the free sides of a tensor ``batch`` and ``side_1`` … instead of a running number."""
    for axis, side in enumerate(sides):
        if not side.HasField("dim_value"):
            side.dim_param = f"side_{axis}" if axis else "batch"


def onnx_details(path: str | os.PathLike) -> dict[str, Any]:
    """What a report says about an ONNX file: opset, producer and how often each operator occurs."""
    model = require("onnx").load(os.fspath(path), load_external_data=False)
    operators = Counter(node.op_type for node in model.graph.node)
    (opset,) = (entry.version for entry in model.opset_import if entry.domain == "")
    return {
        "opset": opset,
        "ir_version": model.ir_version,
        "producer": f"{model.producer_name} {model.producer_version.split()[0]}",
        "operators": dict(sorted(operators.items())),
        "transposes": operators["Transpose"],
    }
