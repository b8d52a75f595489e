import math

import keras
import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import TensorType

from srm_keras.analysis import Cost, complexity
from srm_keras.export import to_tflite
from srm_keras.export.tflite.exporter import operator_name, read_graph
from srm_keras.layers import Recalibration, recalibration
from srm_keras.models import CifarResNet


def residual_network():
    """A padded convolution with batch norm and a module, added to a 1×1 convolution."""
    x = keras.Input((6, 6, 3))
    y = keras.layers.ZeroPadding2D(1)(x)
    y = keras.layers.Conv2D(4, 3, use_bias=False)(y)
    y = keras.layers.BatchNormalization()(y)
    y = recalibration("se", name="conv2_1_recalibration")(y)
    y = keras.layers.Add()([y, keras.layers.Conv2D(4, 1)(x)])
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(y))
    return keras.Model(x, keras.layers.Dense(5)(y))


def test_memory_traffic_by_hand():
    """Numbers that each layer reads and writes; every map is 6×6, the padded one 8×8."""
    layers = {layer.type: layer.cost for layer in complexity(residual_network()).layers}
    expected = {
        "ZeroPadding2D": (108, 192),
        "BatchNormalization": (4, 0),
        "SqueezeExcite": ((144 + (4 + 5) + (1 + 8) + 144 + 4), (4 + 1 + 4 + 144)),
        "Add": (2 * 144, 144),
        "ReLU": (0, 0),
        "GlobalAveragePooling2D": (144, 4),
        "Dense": (4 + 25, 5),
    }
    for name, (read, written) in expected.items():
        assert (layers[name].bytes_read, layers[name].bytes_written) == (4 * read, 4 * written)
    convolutions = 192 + 4 * 27 + 144 + 108 + (12 + 4) + 144
    moved = convolutions + sum(map(sum, expected.values()))
    total = complexity(residual_network()).total
    assert total.bytes_moved == total.bytes_read + total.bytes_written == 4 * moved
    assert complexity(residual_network(), bytes_per_element=1).total.bytes_moved == moved


@pytest.mark.slow
@pytest.mark.parametrize("spec", [None, "se", {"name": "se", "gain": 2}])
def test_memory_traffic_is_that_of_the_tensors_in_a_tflite_file(spec, tmp_path):
    """Every operator's inputs and output, but for reshapes and activations that stand alone."""
    model = CifarResNet(8, recalibration=spec, classes=5, input_shape=(16, 16, 3))
    path = tmp_path / "model.tflite"
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype("float32")
    to_tflite(model, path, image, batch_size=1)
    graph = read_graph(path)
    tensors = graph.subgraphs[0].tensors
    moved = 0
    for operator in graph.subgraphs[0].operators:
        if operator_name(graph, operator) not in ("RESHAPE", "LOGISTIC", "SOFTMAX"):
            used = [tensors[index] for index in (*operator.inputs, *operator.outputs)]
            floats = [tensor for tensor in used if tensor.type == TensorType.FLOAT32]
            moved += sum(math.prod(tensor.shape) for tensor in floats)
    assert complexity(model).total.bytes_moved == 4 * moved


class Strange(Recalibration):
    def gates(self, inputs, training=None):
        return inputs


def test_a_module_without_a_count_is_traced_and_named():
    result = complexity(CifarResNet(8, recalibration=Strange))
    block = next(layer for layer in result.layers if layer.name == "conv2_1_recalibration")
    elements = 32 * 32 * 64
    assert block.traced
    assert block.cost == Cost(
        module_operations=elements, bytes_read=8 * elements, bytes_written=4 * elements
    )
    assert result.traced == ["Strange"]
    assert result.to_text().endswith("Counted by tracing their gates: Strange")


def test_bad_bytes_per_element():
    with pytest.raises(ValueError, match="`bytes_per_element` must be a positive integer"):
        complexity(residual_network(), bytes_per_element=0)
