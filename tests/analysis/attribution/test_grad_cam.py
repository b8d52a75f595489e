import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.analysis.attribution.grad_cam import METHODS, grad_cam
from srm_keras.layers.conventions import dtype_policy
from tests.support.cam import classifier, images, reference_logits, reference_maps
from tests.support.networks import small_network
from tests.support.specs import every_module
from tests.support.weights import feature_map, randomize


@pytest.mark.parametrize("layer", ["out", "branch"])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_finite_differences(method, layer):
    model, x = classifier(), images()
    classes = [0, 1, 2, 1]
    maps = grad_cam(model, x, classes, layer, method)
    expected = reference_maps(model, x, classes, layer, method)
    assert maps.dtype == np.float32
    assert expected.max() == 1
    np.testing.assert_allclose(maps, expected, atol=1e-4)


@pytest.mark.parametrize("ending", ["activation", "layer", "softmax", "sigmoid", "none"])
def test_gradients_are_those_of_logits(ending):
    """With logits so large that softmax and sigmoid are saturated and have no gradient."""
    model, x = classifier(ending), images()
    scores = model.get_layer("scores")
    scores.set_weights([100 * scores.get_weights()[0], scores.get_weights()[1]])
    expected = reference_maps(model, x, reference_logits(model, x).argmax(-1), "out", "grad_cam")
    np.testing.assert_allclose(grad_cam(model, x), expected, atol=1e-4)


def pooled_classifier():
    x = keras.Input((6, 7, 3))
    y = layers.Conv2D(5, 3, activation="relu", name="features")(x)
    y = layers.GlobalAveragePooling2D()(y)
    model = keras.Model(x, layers.Dense(4, "softmax", name="scores")(y))
    randomize(model)
    return model


def test_with_a_pooled_linear_head_it_is_cam():
    """Zhou et al. 2016, eq. 2: the classifier's weights are those of the feature maps."""
    model = pooled_classifier()
    kernel = model.get_layer("scores").get_weights()[0]
    x = feature_map((3, 6, 7, 3))
    features = keras.Model(model.input, model.get_layer("features").output).predict(x, verbose=0)
    seen = 0
    for number in range(4):
        cam = np.maximum(features @ kernel[:, number], 0)
        highest = cam.max(axis=(1, 2), keepdims=True)
        expected = cam / np.where(highest > 0, highest, 1)
        np.testing.assert_allclose(grad_cam(model, x, number), expected, atol=1e-5)
        seen += (highest > 0).sum()
    assert seen >= 3


def test_plus_plus_weights_are_those_of_derivatives_of_exp():
    """With a linear head the derivatives of exp(S) can be had by differences of exp(S) itself."""
    model = pooled_classifier()
    x = feature_map((1, 6, 7, 3))
    features = keras.Model(model.input, model.get_layer("features").output).predict(x, verbose=0)
    a = features[0].astype("float64")
    kernel, bias = (w.astype("float64")[..., 1] for w in model.get_layer("scores").get_weights())
    h, heat = 0.3, np.zeros(a.shape[:2])
    for k in range(a.shape[-1]):
        weight = 0.0
        for place in np.ndindex(a.shape[:2]):

            def y(steps, at=(*place, k)):
                moved = a.copy()
                moved[at] += steps * h
                return np.exp(moved.mean(axis=(0, 1)) @ kernel + bias)

            first = (y(1) - y(-1)) / (2 * h)
            second = (y(1) - 2 * y(0) + y(-1)) / h**2
            third = (y(2) - 2 * y(1) + 2 * y(-1) - y(-2)) / (2 * h**3)
            weight += second / (2 * second + a[..., k].sum() * third) * max(first, 0)
        heat += weight * a[..., k]
    expected = np.maximum(heat, 0) / heat.max()
    np.testing.assert_allclose(grad_cam(model, x, 1, method="grad_cam++")[0], expected, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_speaks_for_the_class_maps_are_zero(method):
    model = pooled_classifier()
    kernel, bias = model.get_layer("scores").get_weights()
    kernel[:, 0], kernel[:, 1] = -1, 0
    model.get_layer("scores").set_weights([kernel, bias])
    x = feature_map((2, 6, 7, 3))
    np.testing.assert_array_equal(grad_cam(model, x, [0, 1], method=method), np.zeros((2, 4, 5)))
    silent = np.full_like(x, -100.0)
    model.get_layer("features").set_weights([np.ones((3, 3, 3, 5)), np.zeros(5)])
    assert not grad_cam(model, silent, 2, method=method).any()


@pytest.mark.parametrize("module", every_module(None, "cbam"))
def test_networks_with_and_without_modules(module):
    model = small_network("cifar_bottleneck", module)
    randomize(model)
    x = feature_map((2, 32, 32, 3))
    maps = grad_cam(model, x)
    assert maps.shape == (2, 8, 8)
    assert maps.min() >= 0
    assert set(maps.max(axis=(1, 2))) <= {0.0, 1.0}
    np.testing.assert_allclose(maps, grad_cam(model, x, layer="conv4_1_out"))
    predicted = model.predict(x, verbose=0).argmax(-1)
    np.testing.assert_allclose(maps, grad_cam(model, x, predicted), atol=1e-6)


def test_channels_first_is_the_same():
    with dtype_policy("float64"):
        last = small_network("cifar_basic", "srm")
    randomize(last)
    first = small_network("cifar_basic", "srm", "channels_first")
    first.set_weights(last.get_weights())
    x = feature_map((2, 32, 32, 3))
    # In float32 either form is 3 to 5e-4 from float64 at the early layer, 5e-7 at the last.
    for layer, tolerance in (("conv4_1_out", 1e-5), ("conv2_1_recalibration", 5e-4)):
        expected = grad_cam(last, x, 1, layer, "grad_cam++")
        actual = grad_cam(first, np.moveaxis(x, -1, 1), 1, layer, "grad_cam++")
        np.testing.assert_allclose(actual, expected, atol=tolerance)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_nearly_the_same(policy):
    x = images()
    expected = grad_cam(classifier(), x, [0, 1, 2, 1])
    assert expected.any(axis=(1, 2)).sum() >= 2
    np.testing.assert_allclose(
        grad_cam(classifier(dtype=policy), x, [0, 1, 2, 1]), expected, atol=0.05
    )


def test_more_images_than_one_batch():
    model, x = classifier(), images(70)
    whole = grad_cam(model, x)
    np.testing.assert_allclose(whole[60:], grad_cam(model, x[60:]), atol=1e-5)


def test_the_model_stays_as_it_was(tmp_path):
    model, x = classifier(), images()
    config, expected = model.get_config(), model.predict(x, verbose=0)
    grad_cam(model, x, layer="branch")
    assert model.get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "cam"}, "`method` must be one of"),
        ({"layer": "brunch"}, "did you mean 'branch'"),
        ({"layer": "hidden"}, "must have one 4-D feature map as output.*'hidden' of class Dense"),
        ({"layer": "image"}, "must be the name of a layer"),
        ({"classes": 3}, "`classes` must be an integer in 0 … 2"),
        ({"classes": [0, 1]}, "or one for each of the 4 images"),
        ({"classes": [0.0, 1.0, 0.0, 1.0]}, "`classes` must be an integer"),
        ({"images": np.zeros((0, 5, 4, 3))}, "at least one prepared image"),
        ({"images": np.zeros((2, 9, 4, 3))}, r"Received: shape \(2, 9, 4, 3\)"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        grad_cam(classifier(), **{"images": images(), **arguments})


def backbone_and_head(kind):
    """``pooled_classifier`` in two models, the second with a batch norm, beside the same in one."""
    x = image = keras.Input((6, 7, 3))
    y = layers.Conv2D(5, 3, activation="tanh", name="early")(x)
    y = layers.Conv2D(5, 1, activation="relu", name="features")(y)
    backbone = keras.Model(x, y, name="backbone")
    norm, pool = layers.BatchNormalization(name="late"), layers.GlobalAveragePooling2D()
    dense = layers.Dense(4, "softmax", name="scores")
    head = keras.Sequential([keras.Input((4, 5, 5)), norm, pool, dense], name="head")
    flat = keras.Model(image, dense(pool(norm(y))))
    randomize(flat)
    outer = keras.Input((6, 7, 3), name="photo")
    if kind == "sequential":
        return flat, keras.Sequential([outer, backbone, norm, pool, dense])
    scores = head(backbone(outer, training=False))
    if kind == "deep":
        scores = keras.Model(outer, scores, name="middle")(outer)
    return flat, keras.Model(outer, scores)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("functional", "backbone/early"),
        ("functional", "backbone/features"),
        ("functional", "features"),
        ("functional", "backbone"),
        ("sequential", "backbone/early"),
        ("sequential", "backbone"),
        ("deep", "middle/backbone/early"),
        ("deep", "middle/backbone"),
    ],
)
def test_layers_of_a_network_within_a_network(kind, layer):
    flat, nested = backbone_and_head(kind)
    x, name = feature_map((3, 6, 7, 3)), layer.rpartition("/")[2].replace("backbone", "features")
    for method in METHODS:
        expected = grad_cam(flat, x, 2, name, method)
        assert expected.max() == 1
        np.testing.assert_allclose(grad_cam(nested, x, 2, layer, method), expected, atol=1e-5)


def test_the_default_map_of_a_network_within_a_network_is_its_last():
    _, nested = backbone_and_head("functional")
    x = feature_map((3, 6, 7, 3))
    np.testing.assert_array_equal(grad_cam(nested, x, 1), grad_cam(nested, x, 1, "head/late"))


def test_a_name_that_two_inner_layers_have_is_told():
    _, nested = backbone_and_head("functional")
    image = keras.Input((6, 7, 3))
    twins = [backbone_and_head("functional")[1].get_layer("backbone") for _ in range(2)]
    twins[1].name = "other"
    features = layers.Add()([twin(image) for twin in twins])
    both = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(features)))
    with pytest.raises(ValueError, match=r"one of \['backbone/early', 'other/early'\]"):
        grad_cam(both, feature_map((1, 6, 7, 3)), 1, "early")
    with pytest.raises(ValueError, match=r"Received: layer='backbone/erly' \(did you mean"):
        grad_cam(nested, feature_map((1, 6, 7, 3)), 1, "backbone/erly")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one backend is enough")
def test_what_a_normalization_was_adapted_to_is_kept():
    model = pooled_classifier()
    image = keras.Input((6, 7, 3))
    normalization = layers.Normalization()
    outer = keras.Model(image, model(normalization(image)))
    x = 50 * feature_map((4, 6, 7, 3)) + 120
    normalization.adapt(x)
    expected = grad_cam(model, keras.ops.convert_to_numpy(normalization(x)), 2)
    assert expected.max() == 1
    np.testing.assert_allclose(grad_cam(outer, x, 2), expected, atol=1e-5)


def test_bad_models():
    headless = small_network("cifar_basic", None, include_top=False)
    with pytest.raises(ValueError, match="one vector of scores for each image"):
        grad_cam(headless, images())
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="must have a 4-D feature map"):
        grad_cam(keras.Model(x, layers.Dense(2)(x)), np.zeros((1, 4)))
    y = layers.Dense(2)(layers.Flatten()(image := keras.Input((4, 4, 3))))
    with pytest.raises(ValueError, match="must end in a layer"):
        grad_cam(keras.Model(image, keras.ops.softmax(y)), np.zeros((1, 4, 4, 3)))
    with pytest.raises(ValueError, match="must know the shape of its input"):
        grad_cam(keras.Sequential([layers.Flatten(), layers.Dense(2)]), images())
