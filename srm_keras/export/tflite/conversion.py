"""From a Keras network to the bytes of a TFLite file in a given precision."""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from srm_keras.export.deploy import Deployed
from srm_keras.export.pipeline import ExportError
from srm_keras.layers import Recalibration
from srm_keras.models.surgery.functional import all_layers
from srm_keras.support.foreign import first_line
from srm_keras.support.validation import boolean, one_of, positive_int

FORMATS = ("float32", "float16", "dynamic", "int8", "int16x8")
INTEGERS = {"int8": tf.int8, "int16x8": tf.int16}
_OPERATORS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}


def check_float(model: keras.Model) -> None:
    """Raise ``ValueError`` for a network that Keras' own ``quantize`` has changed."""
    for layer in all_layers(model):
        if layer.quantization_mode is not None:
            raise ValueError(
                "`model` must not be quantized by Keras' `quantize` for TFLite, which quantizes a "
                f"float network itself (format='int8'). Received: {layer.name!r}, a "
                f"{type(layer).__name__} in {layer.quantization_mode}"
            )


@dataclasses.dataclass(frozen=True)
class Conversion:
    """How a network becomes a TFLite file.

    Attributes:
        format: One of ``FORMATS``.
        integer_io: Whether an integer format takes and returns integers.
        batch_size: A fixed one, or None.
        representative: Inputs from which an integer format takes the range of every tensor.

    Raises:
        ValueError: An attribute is not one of the above.
    """

    format: str
    integer_io: bool = False
    batch_size: int | None = None
    representative: np.ndarray | None = None

    def __post_init__(self) -> None:
        one_of("format", self.format, FORMATS)
        if self.batch_size is not None:
            positive_int("batch_size", self.batch_size)
        if boolean("integer_io", self.integer_io) and not self.integer:
            raise ValueError(
                f"`integer_io` needs the format 'int8' or 'int16x8'. Received: {self.format!r}"
            )
        if self.representative is not None and not self.integer:
            raise ValueError(
                f"`representative` needs the format 'int8' or 'int16x8'. Received: {self.format!r}"
            )

    @property
    def integer(self) -> bool:
        """Whether all operators compute in integers."""
        return self.format in INTEGERS

    @property
    def name(self) -> str:
        """For reports."""
        batch = f", batch {self.batch_size}" if self.batch_size else ""
        return f"TFLite {self.format}{', integer input and output' * self.integer_io}{batch}"

    def convert(self, network: keras.Model | Deployed) -> bytes:
        """Return the file.

        Raises:
            ExportError: The converter has no form of an operator in this precision.
        """
        written = network if isinstance(network, Deployed) else Deployed(network)
        # By way of a SavedModel: converting a traced function directly has produced NaN.
        folder = written.saved_model(self.batch_size)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        self._configure(converter)
        try:
            return converter.convert()
        except Exception as error:  # The converter's own has no public name.
            raise ExportError(
                f"{written.network.name!r} has no form in the format {self.format!r}: "
                f"{first_line(error)}"
            ) from error

    def _configure(self, converter: tf.lite.TFLiteConverter) -> None:
        if self.format == "float32":
            return
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if self.format == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if self.integer:
            converter.representative_dataset = self._images
            converter.target_spec.supported_ops = [_OPERATORS[self.format]]
        if self.integer_io:
            converter.inference_input_type = INTEGERS[self.format]
            converter.inference_output_type = INTEGERS[self.format]

    def _images(self) -> Iterator[list[np.ndarray]]:
        assert self.representative is not None
        size = self.batch_size or 1
        for start in range(0, len(self.representative), size):
            images = self.representative[start : start + size]
            yield [np.resize(images, (size, *images.shape[1:]))]


PRODUCT = "product"


class PartlyInteger:
    """Makes int8 files of one network, calibrated once.

    Args:
        written: The network, in deploy form.
        parts: For each layer that a file may keep in floats, the name of the part of the network
            that it is (``recalibration_parts``).
        representative: Inputs from which the range of every tensor is taken.
    """

    def __init__(self, written: Deployed, parts: Mapping[str, str], representative: np.ndarray):
        def images() -> Iterator[list[np.ndarray]]:
            return ([image[np.newaxis]] for image in representative)

        converter = tf.lite.TFLiteConverter.from_saved_model(written.saved_model())
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = images
        self._debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=images
        )
        (graph,) = self._read([]).subgraphs
        self._nodes = _nodes_of_parts(graph, parts)

    def file(self, parts: Collection[str]) -> bytes:
        """Return an int8 file in which the layers of these parts compute in floats."""
        return self._convert([name for part in parts for name in self._nodes[part]])

    def _read(self, nodes: list[str]) -> schema.ModelT:
        return schema.ModelT.InitFromPackedBuf(self._convert(nodes), 0)

    def _convert(self, nodes: list[str]) -> bytes:
        self._debugger.options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=nodes
        )
        return self._debugger.get_nondebug_quantized_model()


def recalibration_parts(model: keras.Model, network: keras.Model) -> dict[str, str]:
    """Return the part that each layer of a recalibration's deploy form is.

    Args:
        model: Has the recalibration layers.
        network: Its deploy form.

    Returns:
        By name of the layer of ``network``: ``"mean"``, ``"cfc"``, ``"gates"`` or whatever follows
        the recalibration layer's name; ``"product"`` for the layer that applies the gates.
    """
    parts: dict[str, str] = {}
    for layer in model.layers:
        if isinstance(layer, Recalibration):
            prefix = f"{layer.name}_"
            for formed in network.layers:
                if formed.name.startswith(prefix):
                    parts[formed.name] = formed.name.removeprefix(prefix)
            parts[layer.name] = PRODUCT
    return parts


def _nodes_of_parts(graph: schema.SubGraphT, parts: Mapping[str, str]) -> dict[str, list[str]]:
    """Names of the operators of each part, in order of the parts' first layers.

    An operator that no layer is named after, such as one of ``keras.ops``, belongs to the part
    that takes its output, if there is only one.
    """
    nodes: dict[str, list[str]] = {part: [] for part in parts.values()}
    consumers: dict[int, set[str | None]] = {}
    for operator in reversed(graph.operators):
        output = operator.outputs[0]
        name = graph.tensors[output].name.decode()
        part = _part(name, parts)
        if part is None and len(consumers.get(output, ())) == 1 and "/" in name:
            (part,) = consumers[output]
        if part is not None:
            nodes[part].append(name)
        for tensor in operator.inputs:
            consumers.setdefault(tensor, set()).add(part)
    return nodes


def _part(name: str, parts: Mapping[str, str]) -> str | None:
    """The part of ``…/conv2_1_recalibration_mean_1/Mean``: names of scopes end in a number.

    The name of an operator that does what several layers say has those of all of them.
    """
    for scope in re.split("[;/]", name):
        for layer in (scope, re.sub(r"_\d+$", "", scope)):
            if layer in parts:
                return parts[layer]
    return None
