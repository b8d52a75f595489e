"""The objective of a feed-forward stylizer."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.feature_network import feature_network
from srm_keras.models.stylization import StylizationNet
from srm_keras.training.stylization.losses import StyleLoss, perceptual_objective
from tests.support.feature_files import small_feature_file
from tests.support.weights import assert_checkpoint_round_trip, randomize

LAYERS = ["conv1", "conv2"]


@pytest.fixture
def features(tmp_path) -> keras.Model:
    return feature_network(LAYERS, small_feature_file(tmp_path), preprocessing="tf")


def images(count=2, height=12, width=9, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (count, height, width, 3)).astype("float32")


def stylizer(module=None, shape=(None, None, 3)) -> keras.Model:
    model = StylizationNet("instance", module, 4, 1, shape)
    randomize(model)
    return model


def gram(x) -> np.ndarray:
    x = np.asarray(x, "float64")
    return np.einsum("nhwc,nhwd->ncd", x, x) / np.prod(x.shape[1:])


def test_terms_are_the_losses_of_the_output(features):
    network, style = stylizer(), images(1, 7, 8, seed=1)[0]
    inputs, terms = perceptual_objective(
        network, features, style.astype("uint8"), "conv2", ["conv2", "conv1"], True
    )
    assert {name: tuple(term.shape) for name, term in terms.items()} == dict.fromkeys(
        ("content_loss", "style_loss", "total_variation_loss"), (None,)
    )
    x = images(3)
    result = keras.Model(inputs, terms)(x)

    y = np.asarray(network(x), "float64")
    ours, theirs = features(y.astype("float32")), features(x)
    expected = ((np.asarray(ours[1], "float64") - np.asarray(theirs[1])) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(result["content_loss"], expected, rtol=1e-4)
    targets = [gram(target) for target in features(np.floor(style)[None])]
    pairs = zip(ours, targets, strict=True)
    expected = sum(((gram(own) - target) ** 2).mean((1, 2)) for own, target in pairs)
    np.testing.assert_allclose(result["style_loss"], expected, rtol=1e-4)
    expected = sum((np.diff(y, axis=axis) ** 2).mean((1, 2, 3)) for axis in (1, 2))
    np.testing.assert_allclose(result["total_variation_loss"], expected, rtol=1e-4)


def test_a_tensorflow_checkpoint_restores_the_style(tmp_path):
    ours, theirs = (StyleLoss([np.ones((1, 3, 3)), np.ones((1, 4, 4))]) for _ in range(2))
    randomize(ours)
    assert_checkpoint_round_trip(ours, theirs, tmp_path / "checkpoint")


def test_a_network_that_changes_nothing_keeps_the_content_and_the_style(features):
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Identity()(image))
    x = images(2)
    inputs, terms = perceptual_objective(network, features, x[0], "conv2", LAYERS)
    content, style = (np.asarray(v) for v in keras.Model(inputs, list(terms.values()))(x))
    np.testing.assert_array_equal(content, [0.0, 0.0])
    assert style[0] < 1e-6 * style[1]


def test_the_stylizer_alone_is_trained_and_adam_lowers_the_loss(features):
    network = StylizationNet("batch", "srm", 4, 1)
    inputs, terms = perceptual_objective(network, features, images(1)[0], "conv2", LAYERS)
    total = terms["content_loss"] + terms["style_loss"]
    model = keras.Model(inputs, total)
    assert [v.path for v in model.trainable_variables] == [
        v.path for v in network.trainable_variables
    ]
    frozen = [ops.convert_to_numpy(v) for v in features.variables]
    model.compile(keras.optimizers.Adam(0.05), lambda _, loss: loss, run_eagerly=True)
    x = images(2, seed=2)
    losses = [float(model.train_on_batch(x, np.zeros(2))) for _ in range(5)]
    assert losses[-1] < 0.9 * losses[0]
    for before, variable in zip(frozen, features.variables, strict=True):
        np.testing.assert_array_equal(before, ops.convert_to_numpy(variable))


def test_terms_are_float32_under_mixed_precision(features):
    with dtype_policy("mixed_float16"):
        network = stylizer(shape=(12, 12, 3))
        inputs, terms = perceptual_objective(network, features, images(1)[0], "conv1", LAYERS, True)
    assert tuple(inputs.shape) == (None, 12, 12, 3)
    for value in keras.Model(inputs, terms)(images(2, 12, 12)).values():
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        assert np.all(np.isfinite(value))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"content_layer": "conv3"}, r"`content_layer` must name .*did you mean 'conv\d'"),
        ({"style_layers": ["conv1", "cnov2"]}, r"Received: 'cnov2' \(did you mean 'conv2'"),
        ({"style_layers": "conv1"}, "`style_layers` must be a list"),
        ({"style_layers": []}, "`style_layers` must be a list"),
        ({"style_layers": ["conv1", "conv1"]}, "each once"),
        ({"style_image": np.zeros((1, 8, 8, 3))}, r"array \(H, W, 3\)"),
        ({"style_image": np.zeros((8, 8, 4))}, r"array \(H, W, 3\)"),
        ({"total_variation": 1e-4}, "`total_variation` must be True or False"),
    ],
)
def test_bad_arguments(arguments, message, features):
    good = {"style_image": images(1)[0], "content_layer": "conv2", "style_layers": LAYERS}
    with pytest.raises(ValueError, match=message):
        perceptual_objective(stylizer(), features, **{**good, **arguments})


def test_a_network_that_makes_no_pictures(features):
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 1)(image), name="other")
    with pytest.raises(ValueError, match="`stylizer` must have one input and one output"):
        perceptual_objective(network, features, images(1)[0], "conv2", LAYERS)
