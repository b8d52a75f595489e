"""int8 files in which some layers go on computing in floats."""

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from srm_keras.export.runners import signature
from srm_keras.layers import Recalibration

PRODUCT = "product"


class PartlyInteger:
    """Makes int8 files of one network, calibrated once.

    Args:
        network: in deploy form.
        parts: for each layer that a file may keep in floats, the name of the part of the network
            that it is (``recalibration_parts``).
        representative: inputs from which the range of every tensor is taken.
    """

    def __init__(self, network: keras.Model, parts: Mapping[str, str], representative: np.ndarray):
        def images() -> Iterator[list[np.ndarray]]:
            return ([image[np.newaxis]] for image in representative)

        with tempfile.TemporaryDirectory() as folder:
            network.export(folder, input_signature=[signature(network)], verbose=False)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
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
        model: has the recalibration layers.
        network: its deploy form.

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
