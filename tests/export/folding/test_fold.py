import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.export import deploy, fold, folding_plan
from srm_keras.layers import SRM, list_recalibrations
from srm_keras.models import CifarResNet, ResNet, ResNet18, ResNet50, pyramid_outputs
from tests.support.networks import VARIANT
from tests.support.specs import FIRST
from tests.support.weights import feature_map, randomize, weights_by_path

MODULES = [None, *list_recalibrations()]
NETWORKS = {
    "bottleneck": lambda **options: CifarResNet(8, **options),
    "basic": lambda **options: CifarResNet(8, block="basic", shortcut="identity", **options),
    "resnet18": lambda **options: ResNet18(classes=10, input_shape=(32, 32, 3), **options),
    "variant": lambda **options: ResNet(**VARIANT, classes=10, input_shape=(32, 32, 3), **options),
}


# One network is tested with modules that have batch norms or not always, the others with SRM, and
# with all when there is time: the modules stand in the same place of every block.
CASES = [
    pytest.param(
        network,
        module,
        marks=[]
        if module == "srm" or (network == "bottleneck" and module in (None, *FIRST))
        else [pytest.mark.slow],
    )
    for network in NETWORKS
    for module in MODULES
]


def with_random_weights(model, seed=1):
    randomize(model, seed)
    return model


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False)).astype("float64")


def relative_error(model, folded, samples=3):
    x = feature_map((samples, *model.input_shape[1:]), seed=5)
    expected = outputs(model, x)
    return np.abs(outputs(folded, x) - expected).max() / np.abs(expected).max()


def batch_norms(model):
    """Names of all batch norms in a model, those inside of other layers included."""
    paths = [variable.path.split("/") for variable in model.variables]
    return [path[-2] for path in paths if path[-1] == "moving_mean"]


@pytest.mark.parametrize(("network", "module"), CASES)
def test_a_folded_network_computes_the_same_without_batch_norm(network, module):
    model = NETWORKS[network](recalibration=module, classifier_activation=None)
    randomize(model, seed=1)
    before = model.get_weights()

    folded = fold(model)

    assert relative_error(model, folded) <= 1e-5
    assert batch_norms(folded) == []
    kept = {layer.name for layer in model.layers if not layer.name.endswith("_bn")}
    assert {layer.name for layer in folded.layers} == kept
    assert folded.name == model.name
    assert not folded.trainable
    assert not folded.trainable_variables
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.trainable
    assert len(batch_norms(model)) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_resnet50_folds_to_1e_5(module):
    model = with_random_weights(ResNet50(recalibration=module, classifier_activation=None))
    for layer in model.layers:
        # Small residual branches, as trained networks have. Without this the activations of a
        # random network grow a thousandfold and float32 itself is 4e-3 off (SE, against float64).
        if layer.name.endswith("_3_bn"):
            layer.gamma.assign(0.25 * layer.gamma)
    assert relative_error(model, fold(model), samples=2) <= 1e-5


@pytest.fixture
def float64_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.usefixtures("float64_policy")
@pytest.mark.parametrize("module", MODULES)
def test_resnet50_folds_exactly_in_float64(module):
    options = {"include_top": False, "pooling": "avg", "input_shape": (64, 64, 3)}
    model = with_random_weights(ResNet50(recalibration=module, **options))
    assert model.output.dtype == "float64"
    assert relative_error(model, fold(model), samples=2) <= 1e-10


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "srm", "integration": "mlp", "reduction": 4},
        {"name": "ge", "extent": 4, "params": "theta_plus", "use_bias": False, "reduction": 4},
        ["srm", {"name": "ge", "gain": 2}, {"name": "cbam", "gain": 4}],
    ],
    ids=["srm-mlp", "ge-theta-plus", "one-a-stage"],
)
def test_options_and_mixtures_fold(spec):
    model = CifarResNet(8, block="basic", recalibration=spec, classifier_activation=None)
    randomize(model, seed=1)
    folded = fold(model)
    assert relative_error(model, folded) <= 1e-5
    assert batch_norms(folded) == []


def channels_first(side):
    options = {"recalibration": "srm", "classifier_activation": None}
    model = CifarResNet(8, data_format="channels_first", input_shape=(3, side, side), **options)
    return with_random_weights(model)


@pytest.mark.parametrize(("side", "kept"), [(24, []), (32, ["conv3_1_1_bn"])])
def test_channels_first_folds_but_where_keras_gets_biases_wrong(side, kept):
    model = channels_first(side)
    folded = fold(model)
    assert relative_error(model, folded) <= 1e-5
    assert batch_norms(folded) == kept
    assert list(folding_plan(model).kept) == kept


def test_channels_first_of_unknown_width_does_not_fold():
    assert folding_plan(channels_first(None)).merged == {}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_convolution_takes_batch_norm_in_by_the_formula(bias, affine):
    inputs = keras.Input((5, 6, 3))
    x = layers.Conv2D(4, 3, use_bias=bias, name="conv")(inputs)
    x = layers.BatchNormalization(epsilon=0.01, scale=affine, center=affine, name="bn")(x)
    model = with_random_weights(keras.Model(inputs, x))
    weights = weights_by_path_of(model)

    kernel, offset = fold(model).get_layer("conv").get_weights()

    for channel in range(4):
        gamma = weights["bn/gamma"][channel] if affine else 1.0
        beta = weights["bn/beta"][channel] if affine else 0.0
        b = weights["conv/bias"][channel] if bias else 0.0
        m, v = weights["bn/moving_mean"][channel], weights["bn/moving_variance"][channel]
        scale = gamma / np.sqrt(v + 0.01)
        np.testing.assert_allclose(
            kernel[..., channel], weights["conv/kernel"][..., channel] * scale, rtol=1e-6
        )
        np.testing.assert_allclose(offset[channel], beta + (b - m) * scale, rtol=1e-6, atol=1e-7)


def weights_by_path_of(model):
    return {
        f"{layer.name}/{path}": value
        for layer in model.layers
        for path, value in weights_by_path(layer).items()
    }


def test_srm_takes_its_batch_norm_in_by_the_formula():
    inputs = keras.Input((4, 4, 6))
    model = with_random_weights(keras.Model(inputs, SRM(name="srm")(inputs)))
    weights = weights_by_path(model.get_layer("srm"))

    folded = weights_by_path(fold(model).get_layer("srm"))

    scale = weights["bn/gamma"] / np.sqrt(weights["bn/moving_variance"] + 1e-5)
    kernel = weights["cfc/kernel"] * scale[:, None]
    bias = weights["bn/beta"] - weights["bn/moving_mean"] * scale
    assert sorted(folded) == ["cfc/bias", "cfc/kernel"]
    np.testing.assert_allclose(folded["cfc/kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(folded["cfc/bias"], bias, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("depth_multiplier", [1, 3])
def test_a_depthwise_convolution_takes_batch_norm_in(depth_multiplier):
    inputs = keras.Input((6, 6, 4))
    x = layers.DepthwiseConv2D(3, depth_multiplier=depth_multiplier, name="conv")(inputs)
    model = keras.Model(inputs, layers.BatchNormalization(name="bn")(x))
    randomize(model)
    folded = fold(model)
    assert batch_norms(folded) == []
    assert relative_error(model, folded) <= 1e-6


def test_a_dense_layer_takes_batch_norm_in():
    inputs = keras.Input((4,))
    x = layers.BatchNormalization(name="bn")(layers.Dense(3, name="dense")(inputs))
    model = with_random_weights(keras.Model(inputs, x))
    folded = fold(model)
    assert batch_norms(folded) == []
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(outputs(folded, x), outputs(model, x), rtol=1e-5, atol=1e-6)


def test_a_folded_network_survives_saving(tmp_path):
    model = with_random_weights(CifarResNet(8, recalibration="ge", input_shape=(16, 16, 3)))
    folded = fold(model)
    folded.save(tmp_path / "folded.keras")
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    x = feature_map((2, 16, 16, 3))
    np.testing.assert_array_equal(outputs(loaded, x), outputs(folded, x))
    assert not loaded.trainable
    assert batch_norms(loaded) == []


def test_folding_twice_changes_nothing(small_model):
    once = fold(small_model)
    twice = fold(once)
    assert all(map(np.array_equal, once.get_weights(), twice.get_weights()))


def test_a_compiled_model_folds_to_an_uncompiled_one(small_model):
    small_model.compile("sgd", "sparse_categorical_crossentropy")
    folded = fold(small_model)
    assert not folded.compiled
    assert small_model.compiled


def test_named_outputs_keep_their_structure():
    network = CifarResNet(8, recalibration="srm", include_top=False)
    model = with_random_weights(keras.Model(network.input, pyramid_outputs(network)))
    folded = fold(model)
    x = feature_map((1, 32, 32, 3))
    expected, actual = model(x, training=False), folded(x, training=False)
    assert list(actual) == list(expected) == ["P0", "P1", "P2"]
    for name in expected:
        error = np.abs(actual[name] - expected[name]).max()
        assert error <= 1e-5 * np.abs(expected[name]).max()


class BatchNormalizationOfMine(layers.BatchNormalization):
    pass


def conv(**options):
    return layers.Conv2D(4, 1, name="conv", **options)


def bn(**options):
    return layers.BatchNormalization(name="bn", **options)


def shared_convolution(x):
    shared = conv()
    return [bn()(shared(x)), shared(layers.ReLU()(x))]


def shared_batch_norm(x):
    shared = bn()
    return [shared(conv()(x)), shared(x)]


def used_elsewhere(x):
    x = conv()(x)
    return layers.Add()([bn()(x), x])


def is_an_output(x):
    x = conv()(x)
    return [x, bn()(x)]


CANNOT_BE_MERGED = {
    "'conv' is called more than once": shared_convolution,
    "it is called more than once": shared_batch_norm,
    "used elsewhere too": used_elsewhere,
    "of 'conv' is used elsewhere": is_an_output,
    "'conv' has an activation": lambda x: bn()(conv(activation="relu")(x)),
    "its input 'relu' is no layer": lambda x: bn()(layers.ReLU(name="relu")(conv()(x))),
    "normalizes axis 1": lambda x: bn(axis=1)(conv()(x)),
    "in training mode": lambda x: bn()(conv()(x), training=True),
    "BatchNormalizationOfMine": lambda x: BatchNormalizationOfMine(name="bn")(conv()(x)),
}


@pytest.mark.parametrize("reason", CANNOT_BE_MERGED)
def test_a_batch_norm_that_nothing_can_take_in_stays(reason):
    inputs = keras.Input((5, 5, 4))
    model = keras.Model(inputs, CANNOT_BE_MERGED[reason](inputs))
    randomize(model)

    plan, folded = folding_plan(model), fold(model)

    assert plan.merged == {}
    assert reason in plan.kept["bn"]
    assert batch_norms(folded) == ["bn"]
    x = feature_map((3, 5, 5, 4))
    expected, actual = model(x, training=False), folded(x, training=False)
    for one, other in zip(keras.tree.flatten(expected), keras.tree.flatten(actual), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def test_a_recalibration_in_training_mode_stays():
    inputs = keras.Input((5, 5, 4))
    model = keras.Model(inputs, SRM(name="srm")(inputs, training=True))
    randomize(model)
    assert folding_plan(model).recalibrations == ()
    x = feature_map((3, 5, 5, 4))
    copies = fold(model), deploy(model)
    # As at inference first: in the other mode moving statistics move.
    at_inference, in_its_mode = outputs(model, x), model(x)
    for copy in copies:
        np.testing.assert_allclose(outputs(copy, x), at_inference, rtol=1e-6)
        np.testing.assert_allclose(copy(x), in_its_mode, rtol=1e-5, atol=1e-6)


def test_the_plan_names_what_goes_where(small_model):
    plan = folding_plan(small_model)
    assert plan.merged == {"bn": "conv"}
    assert plan.kept == {}
    assert plan.recalibrations == ("recalibration",)


def test_batch_norms_inside_of_other_layers_are_told():
    inputs = keras.Input((4, 5, 5, 3))
    inner = keras.Sequential([conv(), bn()], name="inner")
    x = layers.TimeDistributed(inner, name="every_frame")(inputs)
    model = with_random_weights(keras.Model(inputs, x))
    assert folding_plan(model).kept == {
        "every_frame/bn": "it is inside of 'every_frame', a TimeDistributed, which is taken as a "
        "whole"
    }
    x = feature_map((2, 4, 5, 5, 3))
    np.testing.assert_allclose(outputs(fold(model), x), outputs(model, x), rtol=1e-5, atol=1e-6)


def weighted(seed=1):
    """A network with every kind of merge, to be built under any policy with the same weights."""
    inputs = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = SRM()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    x = layers.Dense(10)(layers.Dropout(0.5)(layers.BatchNormalization()(x)))
    return with_random_weights(keras.Model(inputs, x), seed)


@pytest.mark.parametrize(("policy", "digits"), [("mixed_float16", 11), ("mixed_bfloat16", 8)])
def test_mixed_precision_folds_to_what_its_digits_allow(policy, digits):
    x = feature_map((8, 12, 12, 3), seed=5)
    exact = outputs(weighted(), x)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = weighted()
        folded = fold(model)
    finally:
        keras.config.set_dtype_policy(before)
    assert batch_norms(folded) == []
    assert [layer.compute_dtype for layer in folded.layers] == [
        model.get_layer(layer.name).compute_dtype for layer in folded.layers
    ]
    assert all(variable.dtype == "float32" for variable in folded.weights)
    bound = 4 * 2.0**-digits * np.abs(exact).max()
    assert np.abs(outputs(model, x) - exact).max() <= bound
    assert np.abs(outputs(folded, x) - exact).max() <= bound


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Unclonable(layers.Layer):
    def __init__(self, function):
        super().__init__(name="unclonable")
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def with_unclonable_layer():
    inputs = keras.Input((2,))
    return keras.Model(inputs, Unclonable(keras.ops.relu)(inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, "functional or Sequential.*a Subclassed with a `call` of its own"),
        (lambda: keras.Sequential([layers.Dense(1)], name="head"), "'head', which is not built"),
        (with_unclonable_layer, "made from their configuration.*Object Unclonable was created by"),
        (lambda: "model", "functional or Sequential keras.Model. Received: model='model'"),
    ],
    ids=["subclassed", "unbuilt", "unclonable", "no-model"],
)
def test_what_cannot_be_read_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        fold(make())
