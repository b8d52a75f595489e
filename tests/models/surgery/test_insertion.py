"""Modules in other people's models."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from srm_keras.analysis import gate_model
from srm_keras.export import fold
from srm_keras.export.deploy import deploy
from srm_keras.layers import SRM, GatherExcite, SqueezeExcite
from srm_keras.models import CifarResNet
from srm_keras.models.surgery.insertion import insert_recalibration
from tests.support.foreign_models import (
    nested_model,
    plain_model,
    residual_model,
    siamese_model,
    squeeze_excite_model,
)
from tests.support.networks import with_factors
from tests.support.specs import spec_id
from tests.support.weights import feature_map, randomize, to_format

NEUTRAL = [
    "srm",
    {"name": "se", "reduction": 1},
    "eca",
    {"name": "cbam", "reduction": 1},
    "ge",
    {"name": "ge", "extent": 2, "params": "theta_plus", "reduction": 1},
    "gct",
    {"name": "fca", "reduction": 1},
    {"name": "ge", "extent": 4, "batch_norm": False},
    {"name": "srm", "batch_norm": False},
    {"name": "srm", "integration": "mlp", "reduction": 1},
    {"name": "srm", "integration": "mlp", "reduction": 1, "batch_norm": False},
]


def modules(model) -> list[str]:
    return [layer.name for layer in model.layers if layer.name.endswith("_recalibration")]


def images(model, count: int = 3) -> np.ndarray:
    return feature_map((count, *model.input_shape[1:]))


def outputs(model, x, training: bool = False) -> np.ndarray:
    return ops.convert_to_numpy(model(x, training=training))


def test_the_result_is_the_model_with_the_module_on_the_branch():
    model = residual_model()
    randomize(model)
    result = insert_recalibration(model, "srm")
    randomize(result.get_layer("bn2_recalibration"))
    module = SRM()
    module.build((None, 8, 8, 4))
    module.set_weights(result.get_layer("bn2_recalibration").get_weights())

    x = images(model)
    part = {layer.name: layer for layer in model.layers}
    branch = x
    for name in ("conv1", "bn1", "relu1", "conv2", "bn2"):
        branch = part[name](branch)
    y = ops.relu(module(branch) + part["shortcut"](x))
    expected = part["logits"](ops.mean(y, axis=(1, 2)))
    np.testing.assert_allclose(outputs(result, x), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(outputs(result, x) - outputs(model, x)).max() > 1e-2


def test_the_model_itself_is_left_alone():
    model = residual_model()
    randomize(model)
    weights, names = model.get_weights(), [layer.name for layer in model.layers]
    tensors = [layer.output for layer in model.layers]
    result = insert_recalibration(model, "se", neutral=True, name="new")
    randomize(result, seed=1)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [layer.name for layer in model.layers] == names
    assert all(a.output is b for a, b in zip(model.layers, tensors, strict=True))
    assert (model.name, result.name) == ("residual", "new")


@pytest.mark.parametrize(
    "where",
    [
        ["bn2", "bn1"],
        iter(["bn1", "bn2"]),
        lambda layer: isinstance(layer, layers.BatchNormalization),
    ],
)
def test_names_and_predicates_choose_in_the_order_of_the_network(where):
    result = insert_recalibration(residual_model(), ["srm", "se"], where)
    assert modules(result) == ["bn1_recalibration", "bn2_recalibration"]
    kinds = [type(result.get_layer(name)) for name in modules(result)]
    assert kinds == [SRM, SqueezeExcite]


def test_places_without_a_module():
    assert modules(insert_recalibration(residual_model(), [None, "srm"], ["bn1", "bn2"])) == [
        "bn2_recalibration"
    ]
    model = residual_model()
    randomize(model)
    copy = insert_recalibration(model, None)
    np.testing.assert_array_equal(outputs(copy, images(model)), outputs(model, images(model)))


class GivenGates(SqueezeExcite):
    """A module with gates of its own, of which nobody says how they start."""

    def gates(self, inputs, training=None):
        return 0.5 * super().gates(inputs, training=training)


@pytest.mark.parametrize("spec", NEUTRAL, ids=spec_id)
def test_a_neutral_module_changes_nothing(spec):
    model = residual_model()
    randomize(model)
    model.get_layer("dropout").rate = 0.0
    result = insert_recalibration(model, spec, neutral=True)
    module = result.get_layer("bn2_recalibration")
    known = {layer.name for layer in model.layers}
    assert [layer for layer in result.layers if layer.name not in known] == [module]
    x = images(model)
    for training in (False, True):
        expected = outputs(model, x, training)
        np.testing.assert_allclose(outputs(result, x, training), expected, rtol=1e-5, atol=1e-6)
    randomize(module)
    assert np.abs(outputs(result, x) - outputs(model, x)).max() > 1e-3


@pytest.mark.parametrize("spec", NEUTRAL[:8], ids=spec_id)
def test_every_weight_of_a_neutral_module_learns_in_two_steps(spec):
    model = residual_model()
    randomize(model)
    model.trainable = False
    result = insert_recalibration(model, spec, neutral=True)
    initial = [ops.convert_to_numpy(variable) for variable in result.trainable_variables]
    result.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    x, y = images(model, 8), np.random.default_rng(2).normal(size=(8, 3))
    for _ in range(2):
        result.train_on_batch(x, y)
    for before, variable in zip(initial, result.trainable_variables, strict=True):
        assert not np.array_equal(before, ops.convert_to_numpy(variable)), variable.path


def test_gates_can_be_read_and_the_result_folds_and_survives_a_file(tmp_path):
    model = residual_model()
    randomize(model)
    result = insert_recalibration(model, "srm", neutral=True)
    x = images(model)
    (gates,) = gate_model(result).predict_on_batch(x).values()
    np.testing.assert_array_equal(gates, np.full((3, 1, 1, 4), 0.5))

    randomize(result.get_layer("bn2_recalibration"))
    folded = fold(result)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in folded.layers)
    for exported in (folded, deploy(result)):
        np.testing.assert_allclose(outputs(exported, x), outputs(result, x), rtol=1e-4, atol=1e-5)

    result.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, x), outputs(result, x))


def test_data_formats_compute_the_same():
    last, first = (residual_model(kind) for kind in ("channels_last", "channels_first"))
    results = [insert_recalibration(model, "srm") for model in (last, first)]
    module = results[1].get_layer("bn2_recalibration")
    assert module.data_format == "channels_first"
    randomize(results[0])
    results[1].set_weights(results[0].get_weights())
    x = images(last)
    np.testing.assert_allclose(
        outputs(results[1], to_format(x, "channels_first")), outputs(results[0], x), atol=1e-5
    )


def test_modules_compute_in_the_policy_of_the_layer_before_them():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = residual_model()
    finally:
        keras.config.set_dtype_policy("float32")
    randomize(model)
    result = insert_recalibration(model, "srm", neutral=True)
    module = result.get_layer("bn2_recalibration")
    assert (module.compute_dtype, module.variable_dtype) == ("float16", "float32")
    assert keras.config.dtype_policy().name == "float32"
    np.testing.assert_array_equal(outputs(result, images(model)), outputs(model, images(model)))


def test_any_image_size_unless_the_module_needs_one():
    model = residual_model(shape=(None, None, 3))
    result = insert_recalibration(model, "srm")
    for side in (5, 9):
        assert np.all(np.isfinite(outputs(result, feature_map((2, side, side, 3)))))
    with pytest.raises(ValueError, match="needs a static height and width"):
        insert_recalibration(model, "ge")


def test_frozen_layers_stay_frozen_and_modules_train():
    model = residual_model()
    model.trainable = False
    result = insert_recalibration(model, "srm")
    module = result.get_layer("bn2_recalibration")
    assert [v.path for v in result.trainable_variables] == [
        v.path for v in module.trainable_variables
    ]
    assert len(result.trainable_variables) == 3
    model.trainable = True
    model.get_layer("bn1").trainable = False
    flags = {layer.name: layer.trainable for layer in insert_recalibration(model, "srm").layers}
    assert [name for name, trainable in flags.items() if not trainable] == ["bn1"]


def test_a_shared_layer_has_one_shared_module():
    model = siamese_model()
    randomize(model)
    result = insert_recalibration(model, "se", ["bn"])
    assert modules(result) == ["bn_recalibration"]
    module = result.get_layer("bn_recalibration")
    x = [feature_map((2, 8, 8, 3), seed) for seed in (1, 2)]
    left, right = (model.get_layer("bn")(model.get_layer("conv")(image)) for image in x)
    np.testing.assert_allclose(outputs(result, x), module(left) - module(right), atol=1e-6)


def test_an_output_of_the_model_is_recalibrated_too():
    model = residual_model()
    both = keras.Model(
        {"image": model.input},
        {"features": model.get_layer("bn2").output, "logits": model.output},
    )
    randomize(both)
    result = insert_recalibration(both, "srm", ["bn2"])
    randomize(result.get_layer("bn2_recalibration"))
    x = {"image": images(model)}
    before, after = both(x), result(x)
    assert sorted(after) == ["features", "logits"]
    np.testing.assert_allclose(
        after["features"],
        result.get_layer("bn2_recalibration")(before["features"]),
        rtol=1e-5,
        atol=1e-6,
    )


def test_inner_models_stay_models(tmp_path):
    model = nested_model()
    randomize(model)
    result = insert_recalibration(model, "srm", neutral=True)
    assert modules(result) == []
    assert modules(result.get_layer("backbone")) == ["bn2_recalibration"]
    assert modules(result.get_layer("stem")) == []
    x = images(model)
    np.testing.assert_array_equal(outputs(result, x), outputs(model, x))
    result.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, x), outputs(model, x))


def test_an_inner_model_that_is_called_twice_has_one_module():
    inner = residual_model()
    randomize(inner)
    pair = [keras.Input((8, 8, 3), name=name) for name in ("left", "right")]
    model = keras.Model(pair, layers.Subtract(name="difference")([inner(x) for x in pair]))
    result = insert_recalibration(model, "se")
    assert [layer.name for layer in result.layers] == ["left", "right", "residual", "difference"]
    assert modules(result.get_layer("residual")) == ["bn2_recalibration"]
    x = [feature_map((2, 8, 8, 3), seed) for seed in (1, 2)]
    new = result.get_layer("residual")
    np.testing.assert_allclose(outputs(result, x), new(x[0]) - new(x[1]), atol=1e-6)
    assert np.abs(outputs(result, x) - outputs(model, x)).max() > 1e-3


def test_layers_of_inner_models_by_name():
    model = nested_model()
    result = insert_recalibration(model, "srm", ["bn1", "stem/conv1", "backbone", "between"])
    assert modules(result) == ["backbone_recalibration", "between_recalibration"]
    assert modules(result.get_layer("backbone")) == ["bn1_recalibration"]
    assert modules(result.get_layer("stem")) == ["conv1_recalibration"]
    with pytest.raises(ValueError, match=r"which 'conv1' it means: one of \['stem/conv1', 'backb"):
        insert_recalibration(model, "srm", ["conv1"])


def test_stock_squeeze_and_excitation_is_replaced():
    model = squeeze_excite_model()
    randomize(model)
    result = insert_recalibration(model, "srm", "existing_se")
    names = [layer.name for layer in result.layers]
    assert names == ["image", "conv", "excite_recalibration", "pool"]
    x = images(model)
    features = result.get_layer("excite_recalibration")(model.get_layer("conv")(x))
    np.testing.assert_allclose(outputs(result, x), ops.mean(features, axis=(1, 2)), rtol=1e-5)


def own_call() -> keras.Model:
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    return Own(name="own")


def spatial_attention() -> keras.Model:
    x = image = keras.Input((8, 8, 4))
    return keras.Model(image, x * ops.sigmoid(ops.mean(x, axis=-1, keepdims=True)))


def custom(name=None) -> keras.layers.Layer:
    return layers.ReLU(name=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"where": "block_end"}, r"did you mean 'block_ends'"),
        ({"where": ["bn3"]}, r"'bn3' \(did you mean 'bn2'\?\)"),
        ({"where": 3}, r"where=3"),
        ({"where": [3]}, r"must name layers of the model. Received: 3"),
        ({"where": []}, r"it finds none"),
        ({"where": lambda layer: False}, r"it finds none"),
        ({"where": "existing_se"}, r"it finds none"),
        ({"model": spatial_attention, "where": "existing_se"}, r"it finds none"),
        ({"where": ["image"]}, r"must not choose an input"),
        ({"where": ["pool"]}, r"'pool', a GlobalAveragePooling2D with output \(None, 4\)"),
        ({"spec": "sr"}, r"did you mean 'srm'"),
        ({"spec": ["srm", "se"]}, r"each of the 1 places where it is a list: bn2. Received 2"),
        ({"neutral": 1}, r"`neutral` must be True or False"),
        ({"spec": custom, "neutral": True}, r"do not begin as the identity.* a ReLU of which"),
        (
            {"spec": GivenGates, "neutral": True},
            r"a GivenGates of which it is not",
        ),
        ({"spec": {"name": "eca", "gain": 4}, "neutral": True}, r"an? ECA with gain=4.0 and"),
        (
            {"spec": {"name": "ge", "params": "theta_minus"}, "neutral": True},
            r"`neutral` must be False.* a GatherExcite of which it is not known",
        ),
        ({"model": own_call}, r"a Own with a `call` of its own"),
        ({"model": lambda: keras.Sequential([layers.Conv2D(2, 3)])}, r"is not built"),
        (
            {"model": squeeze_excite_model, "where": "existing_se", "neutral": True},
            r"must be False for where='existing_se'",
        ),
        (
            {"model": lambda: CifarResNet(8, recalibration="srm")},
            r"replace_recalibration exchanges them. Received: 'conv2_1_recalibration'",
        ),
        (
            {"model": lambda: insert_recalibration(residual_model(), "srm"), "where": ["bn2"]},
            r"replace_recalibration exchanges them. Received: 'bn2'",
        ),
        (
            {"model": lambda: with_factors(insert_recalibration(residual_model(), "se"))},
            r"replace_recalibration exchanges them. Received: 'bn2_recalibration_scale'",
        ),
    ],
)
def test_refusals(arguments, message):
    arguments = {"model": residual_model, "spec": "srm", **arguments}
    arguments["model"] = arguments["model"]()
    with pytest.raises(ValueError, match=message):
        insert_recalibration(**arguments)


def test_a_callable_makes_any_layer():
    result = insert_recalibration(plain_model(), custom)
    assert modules(result) == [f"conv{number}_recalibration" for number in (1, 2, 3)]


def test_a_layer_class_is_a_spec():
    result = insert_recalibration(residual_model(), GatherExcite)
    assert isinstance(result.get_layer("bn2_recalibration"), GatherExcite)
