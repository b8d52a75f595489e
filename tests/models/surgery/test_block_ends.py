"""Where blocks end, in small models and in those of ``keras.applications``."""

import re

import keras
import pytest

from srm_keras.models.surgery.insertion import insert_recalibration
from srm_keras.models.surgery.places import find_places
from tests.support.foreign_models import (
    cell_model,
    inception_model,
    nested_model,
    operator_model,
    plain_model,
    pyramid_model,
    residual_model,
)
from tools.studies.insertion_table import application_names, insertion_row, random_network

# By the names that Keras gives: a pattern of all layers with a module; or one of the additions, and
# what takes the place of "_add" in their names, the first that makes the name of a layer.
FAMILIES = {
    r"ResNet\d+": r"conv\d_block\d+_3_bn",
    r"ResNet\d+V2": r"conv\d_block\d+_3_conv",
    r"MobileNetV2": (r"block_\d+_add", "_project_BN"),
    r"MobileNetV3\w+": (r"expanded_conv(_\d+)?_add", "_project_bn"),
    r"EfficientNetB\d": (r"block\d\w_add", "_project_bn"),
    # The blocks of the first stage have one convolution, whose activation ends the branch.
    r"EfficientNetV2\w+": (r"block\d\w_add", "_project_activation", "_project_bn"),
    r"ConvNeXt\w+": r"\w+_pointwise_conv_2",
    r"InceptionResNetV2": r"block(35|17|8)_\d+_conv",
    r"Xception": r"block(2|3|4|13)_pool|block\d+_sepconv3_bn",
    r"NASNet\w+": r"(normal|reduction)_concat_\w+",
    r"DenseNet\d+": r"conv1_relu|pool\d_conv|relu",
    r"InceptionV3": r"activation_2|activation_4|mixed2|mixed7|mixed10",
    r"VGG16": r"block[12]_conv2|block[345]_conv3",
    r"VGG19": r"block[12]_conv2|block[345]_conv4",
    r"MobileNet": r"conv_pw_(1|3|5|11|13)_relu",
}
SMALL = ("MobileNetV2",)
# The number of blocks or cells, from the papers.
BLOCKS = {"ResNet50": 16, "ResNet101": 33, "ResNet152": 50, "InceptionResNetV2": 40}
BLOCKS |= {"ConvNeXtTiny": 18, "ConvNeXtBase": 36, "NASNetMobile": 16, "NASNetLarge": 22}


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (residual_model, ["bn2"]),
        (operator_model, ["a_bn2", "b_bn2"]),
        (pyramid_model, ["bn2"]),
        (cell_model, ["cell"]),
        (nested_model, ["backbone/bn2"]),
        (plain_model, ["conv1", "conv2", "conv3"]),
        (inception_model, ["stem", "mixed"]),
    ],
)
def test_small_models(build, expected):
    assert [place.path for place in find_places(build(), "block_ends")] == expected


def expected_names(name: str, model: keras.Model) -> set[str]:
    (rule,) = (rule for family, rule in FAMILIES.items() if re.fullmatch(family, name))
    pattern, *ends = rule if isinstance(rule, tuple) else (rule,)
    layers = [layer.name for layer in model.layers]
    names = [layer for layer in layers if re.fullmatch(pattern, layer)]
    if not ends:
        return set(names)
    blocks = [layer.removesuffix("_add") for layer in names]
    return {next(block + end for end in ends if block + end in layers) for block in blocks}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in SMALL else pytest.mark.slow) for n in application_names()],
)
def test_every_network_of_keras_applications(name, monkeypatch):
    keras.backend.clear_session()  # Layers without names of their own are counted from 0.
    found = {}

    def insert(model, *args, **kwargs):
        found["expected"] = expected_names(name, model)
        result = insert_recalibration(model, *args, **kwargs)
        names = [layer.name for layer in result.layers]
        found["names"] = {
            n.removesuffix("_recalibration") for n in names if n.endswith("_recalibration")
        }
        return result

    monkeypatch.setattr("tools.studies.insertion_table.insert_recalibration", insert)
    row = insertion_row(name)
    assert found["names"] == found["expected"]
    assert row["modules"] == len(found["names"]) == BLOCKS.get(name, row["modules"])
    assert row["largest_logit"] > 1e-3
    assert row["relative_difference"] <= 1e-5
    assert row["parameters_after"] > row["parameters"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pattern", "blocks"),
    [
        ("EfficientNetB0", r"_se_", 16),
        ("EfficientNetV2B0", r"_se_", 16),
        ("MobileNetV3Small", r"_squeeze_excite_", 9),
        ("MobileNetV3Large", r"_squeeze_excite_", 8),
    ],
)
def test_squeeze_and_excitation_of_keras_applications(name, pattern, blocks):
    model = random_network(name)
    result = insert_recalibration(model, "srm", "existing_se")
    new = [layer.name for layer in result.layers if layer.name.endswith("_recalibration")]
    left = [layer.name for layer in result.layers if re.search(pattern, layer.name)]
    assert len(new) == blocks
    assert left == new
    others = [layer for layer in model.layers if not re.search(pattern, layer.name)]
    gone = {layer.name for layer in others} - {layer.name for layer in result.layers}
    assert all(name.startswith("re_lu") for name in gone)  # of the hard sigmoids
