import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from srm_keras.export import deploy
from srm_keras.export.deploy import Deployed
from srm_keras.export.tflite.conversion import PartlyInteger, recalibration_parts
from srm_keras.layers import recalibration
from srm_keras.models import CifarResNet
from tests.support.weights import feature_map, randomize

SRM_PARTS = [
    *("mean", "deviation", "square", "variance", "std", "style", "cfc", "gates"),
    "product",
]
IMAGES = feature_map((8, 8, 8, 3), seed=2)
CODES = {code: name for name, code in vars(schema.BuiltinOperator).items()}
INT8 = schema.TensorType.INT8


@pytest.fixture(scope="module")
def files():
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(16, 3, name="conv")(inputs)
    x = keras.layers.ReLU(name="relu")(recalibration("srm", name="recalibration")(x))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, name="out")(x))
    randomize(model, seed=3)
    network = deploy(model)
    return PartlyInteger(Deployed(network), recalibration_parts(model, network), IMAGES)


def operators(content):
    """(kind, types of its variable inputs) of each operator but conversions."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = CODES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        types = {
            graph.tensors[i].type
            for i in operator.inputs
            if i >= 0 and model.buffers[graph.tensors[i].buffer].data is None
        }
        if "QUANTIZE" not in kind:
            found.append((kind, types))
    return found


def in_float(content):
    return [kind for kind, types in operators(content) if types != {INT8}]


def test_parts_are_the_layers_of_the_deploy_form_in_order():
    model = CifarResNet(8, block="basic", recalibration="srm", input_shape=(16, 16, 3))
    parts = recalibration_parts(model, deploy(model))
    assert list(dict.fromkeys(parts.values())) == SRM_PARTS
    assert parts["conv3_1_recalibration_cfc"] == "cfc"
    assert parts["conv3_1_recalibration"] == "product"
    assert len(parts) == 3 * len(SRM_PARTS)


def test_without_a_part_in_float_all_is_integer(files):
    assert in_float(files.file([])) == []


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        (["cfc"], ["DEPTHWISE_CONV_2D"]),
        (["std"], ["ADD", "RSQRT", "MUL"]),  # two of them are no layers
        (["style", "gates"], ["CONCATENATION", "LOGISTIC"]),
        (["square", "product"], ["MUL", "MUL"]),
    ],
)
def test_a_part_in_float_is_all_of_its_operators_and_no_others(files, parts, kinds):
    assert in_float(files.file(parts)) == kinds


def test_files_do_not_depend_on_those_before(files):
    first = files.file(["cfc"])
    files.file(SRM_PARTS)
    assert operators(files.file(["cfc"])) == operators(first)


def test_with_all_parts_in_float_only_convolutions_are_integer(files):
    integer = [kind for kind, types in operators(files.file(SRM_PARTS)) if types == {INT8}]
    assert integer.count("CONV_2D") == 2
    assert set(integer) <= {"CONV_2D", "RELU"}
    assert np.isin(["RSQRT", "LOGISTIC", "SUB"], in_float(files.file(SRM_PARTS))).all()
