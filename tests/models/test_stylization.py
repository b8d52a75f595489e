"""The stylization network: the numbers of the example, and what every variant must do."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import Recalibration, neutral
from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.stylization import StylizationNet
from srm_keras.models.surgery.graph import read_graph
from tests.support.gradients import layer_gradients
from tests.support.specs import every_module
from tests.support.weights import randomize, to_channels_last, to_format

TORCH_PARAMETERS = 1_679_235
# The convolutions that a normalization follows: two ends, 2 × 2 between, two in each of 5 blocks.
DEAD_BIASES = 2 * 32 + 2 * 64 + (1 + 2 * 5) * 128
# Where modules are: two at full resolution, two at half, one and one in each block at a quarter.
MODULE_CHANNELS = 2 * [32] + 2 * [64] + (1 + 5) * [128]

every_normalization = pytest.mark.parametrize("normalization", ["instance", "batch"])
most_modules = pytest.mark.parametrize("module", every_module(None, "srm"))


def tiny(normalization="batch", module=None, shape=(None, None, 3), **options) -> keras.Model:
    if module == "ge":  # its kernel has the size of the map
        module = {"name": "ge", "extent": 2}
    return StylizationNet(normalization, module, 4, 1, shape, **options)


def images(count=2, height=16, width=20) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, height, width, 3)).astype("float32")


def trainable(model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def squeeze_excite(channels: int) -> int:
    hidden = channels // 16
    return channels * hidden + hidden + hidden * channels + channels


@pytest.mark.parametrize(
    ("normalization", "module", "expected"),
    [
        ("batch", None, 1_677_635),
        ("instance", None, 1_677_635),
        ("batch", "se", 1_692_223),
        ("batch", "srm", 1_681_475),
    ],
)
def test_parameters_of_the_four_variants(normalization, module, expected):
    extra = {None: lambda c: 0, "se": squeeze_excite, "srm": lambda c: 4 * c}[module]
    by_hand = TORCH_PARAMETERS - DEAD_BIASES + sum(map(extra, MODULE_CHANNELS))
    model = StylizationNet(normalization, module)
    assert trainable(model) == by_hand == expected
    moving = model.count_params() - trainable(model)
    norms = 2 * DEAD_BIASES if normalization == "batch" else 0
    assert moving == norms + (2 * sum(MODULE_CHANNELS) if module == "srm" else 0)


@every_normalization
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_it_computes_what_the_pytorch_example_does(normalization, data_format):
    torch = pytest.importorskip("torch")
    from tests.support.torch_stylization import Stylizer, torch_stylizer

    assert sum(p.numel() for p in Stylizer(normalization, 32, 5).parameters()) == TORCH_PARAMETERS
    model = tiny(normalization, shape=None, data_format=data_format)
    randomize(model)
    x = images(2, 18, 21)
    with torch.no_grad():
        theirs = torch_stylizer(model, normalization, 4, 1)(torch.tensor(np.moveaxis(x, -1, 1)))
    assert theirs.shape[2:] == (20, 24)
    y = to_channels_last(model(to_format(x, data_format)), data_format)
    scale = float(theirs.abs().max())
    np.testing.assert_allclose(y, theirs[:, :, :18, :21].permute(0, 2, 3, 1), atol=1e-5 * scale)


@most_modules
@every_normalization
def test_every_weight_gets_a_gradient_and_the_size_stays(normalization, module):
    # Of so few channels a reduction leaves one hidden unit, which may be dead.
    has_mlp = module in ("se", "cbam", "fca")
    model = tiny(normalization, {"name": module, "reduction": 1} if has_mlp else module)
    randomize(model)
    x = images(2, 13, 18)
    upstream = np.random.default_rng(1).normal(size=x.shape).astype("float32")
    y, dx, dw = layer_gradients(model, x, upstream, training=True)
    assert y.shape == x.shape
    assert np.any(dx != 0.0)
    for variable, gradient in zip(model.trainable_variables, dw, strict=True):
        assert gradient is not None, variable.path
        assert np.all(np.isfinite(gradient)), variable.path
        assert np.any(gradient != 0.0), variable.path


@most_modules
@every_normalization
def test_keras_file_round_trip_and_any_size(normalization, module, tmp_path):
    model = tiny(normalization, module)
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(model.layers, loaded.layers, strict=True):
        # Dtype policies are serialized as other objects than they are given as.
        assert type(theirs) is type(ours)
        assert {**theirs.get_config(), "dtype": None} == {**ours.get_config(), "dtype": None}
    for side in (8, 11):
        x = images(1, side, 2 * side)
        y = ops.convert_to_numpy(loaded(x))
        assert y.shape == x.shape
        np.testing.assert_array_equal(y, ops.convert_to_numpy(model(x)))


def test_neutral_modules_change_nothing_in_the_beginning():
    plain, network = tiny("batch"), tiny("batch", neutral("srm"))
    randomize(plain)
    for layer in plain.layers:
        network.get_layer(layer.name).set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        ops.convert_to_numpy(network(images())), ops.convert_to_numpy(plain(images()))
    )


@pytest.mark.parametrize("module", every_module("srm"))
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gives_float32_pictures_near_those_of_float32(policy, module):
    wide = tiny("instance", module)
    randomize(wide)
    with dtype_policy(policy):
        mixed = tiny("instance", module)
    mixed.set_weights(wide.get_weights())
    y, expected = (ops.convert_to_numpy(model(images())) for model in (mixed, wide))
    assert keras.backend.standardize_dtype(mixed(images()).dtype) == "float32"
    bound = {"mixed_float16": 0.02, "mixed_bfloat16": 0.15}[policy] * np.abs(expected).max()
    np.testing.assert_allclose(y, expected, atol=bound)


def test_modules_are_after_normalizations_and_once_in_a_block():
    graph = read_graph(tiny("instance", "srm"))
    place = {name: calls[0].inputs for name, calls in graph.calls.items() if calls}
    modules = {n.removesuffix("_recalibration"): n for n in place if n.endswith("_recalibration")}
    assert list(modules) == ["conv1", "conv2", "conv3", "block1", "up1", "up2"]
    for unit, module in modules.items():
        block = unit.startswith("block")
        assert place[module] == (f"{unit}_2_in" if block else f"{unit}_in",)
        assert graph.readers[module] == [f"{unit}_out" if block else f"{unit}_relu"]
    assert place["block1_out"] == ("conv3_relu", "block1_recalibration")


def test_a_list_places_modules_by_part_and_by_layer():
    model = tiny("batch", [None, ["srm"], "se"])
    names = [layer.name for layer in model.layers if isinstance(layer, Recalibration)]
    assert names == ["block1_recalibration", "up1_recalibration", "up2_recalibration"]
    with pytest.raises(ValueError, match="one entry a stage, 3 of them"):
        tiny("batch", ["srm", "se"])


def test_a_module_that_needs_a_static_size():
    with pytest.raises(ValueError, match="needs a static height and width"):
        StylizationNet(recalibration="ge", filters=4)
    model = StylizationNet(recalibration="ge", filters=4, blocks=1, input_shape=(10, 12, 3))
    assert model.output_shape == (None, 10, 12, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "instnace"}, r"did you mean 'instance'\?"),
        ({"filters": 0}, "`filters` must be a positive integer"),
        ({"blocks": -1}, "`blocks` must be a positive integer"),
        ({"input_shape": (4, 9, 3)}, "sides of at least 5 pixels"),
        ({"input_shape": (None, None, 1)}, "must have 3 channels, RGB"),
        ({"weights": "imagenet"}, "`weights` must be None or a .weights.h5 or .keras file"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        StylizationNet(**options)


def test_the_smallest_image():
    assert tuple(tiny()(images(1, 5, 5)).shape) == (1, 5, 5, 3)
