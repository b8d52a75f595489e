"""Models of models, against the model itself."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from srm_keras.export import fold, folding_plan
from srm_keras.layers import SRM
from srm_keras.models.flatten import flatten
from tests.support.weights import feature_map, randomize

SHAPE = (12, 12, 3)


def values(model, x):
    results = keras.tree.flatten(model(x, training=False))
    return [ops.convert_to_numpy(result).astype("float64") for result in results]


def assert_same(model, other, shape=SHAPE, tolerance=1e-5):
    x = feature_map((3, *shape), seed=5)
    for expected, actual in zip(values(model, x), values(other, x), strict=True):
        assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


def base(name, channels=6):
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(channels, 3, use_bias=False, name="conv")(inputs)
    x = ops.relu(layers.BatchNormalization(name="bn")(x))
    return keras.Model(inputs, SRM(name="srm")(x), name=name)


def transfer_learning():
    """Augmentation, preprocessing by operations, a base in inference mode, a Sequential head."""
    inputs = keras.Input(SHAPE, name="image")
    x = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)], name="augment")(inputs)
    x = base("base")(x / 127.5 - 1.0, training=False)
    head = [layers.GlobalAveragePooling2D(), layers.BatchNormalization(), layers.Dropout(0.3)]
    x = keras.Sequential([*head, layers.Dense(4, name="scores")], name="head")(x)
    return keras.Model(inputs, x, name="classifier")


def sequential():
    inner = keras.Sequential([layers.Conv2D(5, 3), layers.BatchNormalization()], name="inner")
    x = [keras.Input(SHAPE), inner, layers.ReLU(), layers.Flatten(), layers.Dense(3)]
    return keras.Sequential(x, name="outer")


def built_sequential():
    model = keras.Sequential([layers.Conv2D(5, 3), layers.BatchNormalization()], name="outer")
    model.build((None, *SHAPE))
    return model


def two_deep():
    inputs = keras.Input(SHAPE)
    middle = keras.Model(inputs, layers.Conv2D(4, 1, name="conv")(base("base")(inputs)), name="mid")
    outer = keras.Input(SHAPE)
    return keras.Model(outer, layers.BatchNormalization(name="bn")(middle(outer)), name="outer")


def siamese():
    """One base called twice, another one with the same names, named outputs."""
    shared, other = base("shared"), base("other")
    left, right = keras.Input(SHAPE, name="left"), keras.Input(SHAPE, name="right")
    features = [shared(left), shared(right), other(left)]
    pair = {"left": left, "right": right}
    outputs = {"sum": layers.Add()(features), "left": features[0]}
    return keras.Model(pair, outputs, name="siamese")


@keras.saving.register_keras_serializable("tests")
class Backbone(keras.Model):
    """A functional model with a class and a configuration of its own."""

    def __init__(self, channels=4, **kwargs):
        inputs = keras.Input(SHAPE)
        x = layers.BatchNormalization(name="bn")(layers.Conv2D(channels, 3, name="conv")(inputs))
        super().__init__(inputs=inputs, outputs=x, **kwargs)
        self.channels = channels

    def get_config(self):
        return {"channels": self.channels, "name": self.name}


def around_a_backbone():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.ReLU()(Backbone(name="backbone")(inputs)), name="outer")


MODELS = {
    "transfer_learning": transfer_learning,
    "sequential": sequential,
    "built_sequential": built_sequential,
    "two_deep": two_deep,
    "backbone": lambda: Backbone(name="backbone"),
    "around_a_backbone": around_a_backbone,
}


def batch_norms(model):
    return [v.path for v in model.variables if v.path.split("/")[-1] == "moving_mean"]


@pytest.mark.parametrize("name", MODELS)
def test_models_of_models_fold_as_one_graph(name, tmp_path):
    model = MODELS[name]()
    randomize(model, seed=1)
    before, nodes = model.get_weights(), model.get_config()

    folded = fold(model)

    assert_same(model, folded)
    assert folding_plan(model).kept == {}
    assert batch_norms(folded) == []
    assert not any(isinstance(layer, keras.Model) for layer in folded.layers)
    assert folded.name == model.name
    assert not folded.trainable_variables
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.get_config() == nodes
    folded.save(tmp_path / "folded.keras")
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    assert_same(folded, loaded, tolerance=0)
    assert type(folded) is type(keras.Model(*[keras.Input((1,))] * 2))


def test_batch_norm_merges_across_the_border_of_a_model():
    assert folding_plan(two_deep()).merged == {"base_bn": "conv", "bn": "mid_conv"}


def test_batch_norm_inside_merges_into_a_convolution_outside():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, name="outside")(inputs)
    inner = keras.Sequential([layers.BatchNormalization(name="inside"), layers.ReLU()])
    assert folding_plan(keras.Model(inputs, inner(x))).merged == {"inside": "outside"}


def test_what_an_inner_model_does_to_the_dtype_of_its_input_stays():
    half = keras.Input(SHAPE, dtype="float16")
    inner = keras.Model(half, half * 1.001)
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, inner(inputs * 1.0))
    flat = flatten(model)
    assert flat.output.dtype == model.output.dtype == "float16"
    assert_same(model, flat, tolerance=0)


def test_a_model_that_is_called_twice_stays_shared_and_its_batch_norm_too():
    model = siamese()
    randomize(model, seed=1)
    folded, plan = fold(model), folding_plan(model)
    assert plan.kept == {"bn": "it is called more than once"}
    assert plan.merged == {"other_bn": "other_conv"}
    assert sorted(plan.recalibrations) == ["other_srm", "srm"]
    x = {name: feature_map((2, *SHAPE), seed) for seed, name in enumerate(("left", "right"))}
    expected, actual = model(x, training=False), folded(x, training=False)
    assert list(actual) == list(expected) == ["sum", "left"]
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, atol=1e-5)


def test_a_base_in_training_mode_keeps_its_batch_norm():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, base("base")(inputs, training=True))
    randomize(model, seed=1)
    plan = folding_plan(model)
    assert plan.kept["bn"] == "it is called in training mode or with a mask"
    assert plan.kept["srm/bn"].startswith("it is inside of 'srm', a SRM")
    assert_same(model, fold(model))


def test_a_model_without_models_keeps_its_layers(small_model):
    flat = flatten(small_model)
    assert all(flat.get_layer(layer.name) is layer for layer in small_model.layers)


def test_an_adapted_normalization_keeps_its_statistics():
    normalization = layers.Normalization()
    normalization.adapt(feature_map((20, *SHAPE)) * 3)
    inner = keras.Sequential([keras.Input(SHAPE), normalization, layers.Conv2D(4, 3)])
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, layers.BatchNormalization()(inner(inputs)))
    assert_same(model, fold(model))


def test_mixed_precision_casts_as_before():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = transfer_learning()
        randomize(model, seed=1)
        flat = flatten(model)
    finally:
        keras.config.set_dtype_policy(before)
    assert_same(model, flat, tolerance=0)


class Block(keras.Model):
    """An inner model with a ``call`` of its own: a single layer to its user."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.bn = layers.BatchNormalization(name="bn")

    def call(self, inputs):
        return ops.relu(self.bn(inputs))


def test_an_inner_model_with_a_call_of_its_own_is_taken_as_a_whole():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, Block(name="block")(base("base")(inputs)))
    randomize(model, seed=1)
    plan = folding_plan(model)
    assert list(plan.kept) == ["block/bn"]
    assert "'block', a Block, which is taken as a whole" in plan.kept["block/bn"]
    assert plan.merged == {"bn": "conv"}
    assert_same(model, fold(model))
