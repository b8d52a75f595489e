"""The AdaIN stylizer: sizes, strength, what is trained, and the mirror of the encoder."""

import keras
import numpy as np
import pytest

from srm_keras.export.stylize.stylizer import load_network
from srm_keras.models.adain import AdaINStylizer, Parts, encoder_layers, halves
from tests.support.weights import randomize

CUT = "block2_conv1"


@pytest.fixture(scope="module")
def stylizer():
    model = AdaINStylizer(CUT, weights=None)
    randomize(model)
    return model


def images(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (count, height, width, 3)).astype("float32")


def inputs(content, style, strength=1.0):
    return {
        "content": content,
        "style": style,
        "strength": np.full(len(content), strength, "float32"),
    }


@pytest.mark.parametrize("size", [(32, 32), (7, 18), (1, 1)])
@pytest.mark.parametrize("styles", [2, 1])
def test_output_has_the_size_of_the_content(stylizer, size, styles):
    painted = stylizer(inputs(images(2, *size), images(styles, 19, 33, seed=1)))
    assert painted.shape == (2, *size, 3)
    assert painted.dtype == "float32"
    assert np.isfinite(painted.numpy()).all()


def test_output_is_the_formula_of_its_parts(stylizer):
    """NumPy between the encoder and the decoder: eqs. 8 and 14 of the paper."""
    content, style = images(2, 16, 12), images(2, 20, 8, seed=1)
    encoder, decoder = (stylizer.get_layer(name) for name in ("encoder", "decoder"))
    f, s = (encoder(x)[-1].numpy().astype("float64") for x in (content, style))
    mean, std = (lambda z: z.mean((1, 2), keepdims=True)), (lambda z: z.std((1, 2), keepdims=True))
    target = std(s) * (f - mean(f)) / np.sqrt(std(f) ** 2 + 1e-5) + mean(s)
    strengths = np.array([0.25, 1.0], "float32")
    weight = strengths[:, None, None, None]
    expected = decoder((weight * target + (1 - weight) * f).astype("float32"))
    given = {**inputs(content, style), "strength": strengths}
    np.testing.assert_allclose(stylizer(given), expected, rtol=1e-3, atol=0.02)


def test_without_strength_the_style_does_not_matter(stylizer):
    content = images(2, 16, 16)
    one, other = (stylizer(inputs(content, images(2, 16, 16, seed), 0.0)) for seed in (1, 2))
    np.testing.assert_array_equal(one, other)
    one, other = (stylizer(inputs(content, images(2, 16, 16, seed), 0.5)) for seed in (1, 2))
    assert np.abs(one - other).max() > 1.0


def test_sides_that_the_stride_does_not_divide_are_mirrored(stylizer):
    parts = Parts.of(stylizer)
    image = images(1, 31, 30)
    mirrored = np.pad(image, [(0, 0), (0, 1), (0, 0), (0, 0)], "symmetric")
    for features, expected in zip(parts.encoded(image), parts.encoder(mirrored), strict=True):
        np.testing.assert_array_equal(features, expected)


def test_images_of_one_colour_have_features_without_a_frame(stylizer):
    for features in stylizer.get_layer("encoder")(np.full((1, 12, 10, 3), 200.0, "float32")):
        values = np.asarray(features)
        assert np.abs(values).max() > 1
        np.testing.assert_allclose(values, values[:, :1, :1] + 0 * values, rtol=1e-4, atol=1e-3)


def test_inside_the_encoder_is_that_of_its_weights(stylizer):
    """Beyond the reach of the borders, padding does not matter."""
    convolutions = [
        layer
        for part in stylizer.get_layer("encoder").layers
        for layer in getattr(part, "layers", [part])
        if isinstance(layer, keras.layers.Conv2D)
    ]
    image = images(1, 24, 24)
    plain = keras.applications.VGG16(include_top=False, weights=None)
    plain = keras.Model(plain.inputs[0], plain.get_layer(CUT).output)
    for layer in convolutions:
        plain.get_layer(layer.name).set_weights(layer.get_weights())
    expected = plain(keras.applications.vgg16.preprocess_input(image.copy()))
    got = stylizer.get_layer("encoder")(image)[-1]
    np.testing.assert_allclose(got[:, 4:-4, 4:-4], expected[:, 4:-4, 4:-4], rtol=1e-4, atol=1e-2)
    assert np.abs(got - expected).max() > 1


def test_halves_paint_what_the_whole_paints(stylizer):
    content, style = images(2, 9, 14), images(1, 21, 10, seed=1)
    encode, paint = halves(stylizer)
    given = inputs(content, style, 0.7)
    features = encode(given.pop("style")).numpy()
    np.testing.assert_allclose(
        paint({**given, "features": features}), stylizer(inputs(content, style, 0.7)), rtol=1e-5
    )


def test_only_the_decoder_is_trained_also_after_loading(stylizer, tmp_path):
    stylizer.save(tmp_path / "stylizer.keras")
    loaded = keras.saving.load_model(tmp_path / "stylizer.keras", compile=False)
    for model in (stylizer, loaded):
        shapes = [tuple(weight.shape) for weight in model.trainable_weights]
        assert shapes == [
            *((3, 3, 128, 64), (64,)),
            *((3, 3, 64, 64), (64,)),
            *((3, 3, 64, 3), (3,)),
        ]
        assert not model.get_layer("encoder").trainable_weights
    given = inputs(images(1, 9, 9), images(1, 8, 8, seed=1))
    np.testing.assert_array_equal(loaded(given), stylizer(given))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cut", "network", "convolutions", "upsamplings"),
    [
        ("block4_conv1", "vgg19", 9, 3),
        ("block4_conv1", "vgg16", 8, 3),
        ("block2_conv2", "vgg16", 4, 1),
    ],
)
def test_the_decoder_mirrors_the_encoder(cut, network, convolutions, upsamplings):
    """For VGG-19 to relu4_1: the decoder of Huang and Belongie's code."""
    model = AdaINStylizer(cut, network, weights=None)
    source = getattr(keras.applications, network.upper())(include_top=False, weights=None)
    names = [layer.name for layer in source.layers]
    walked = source.layers[: names.index(cut) + 1]
    channels = [
        layer.kernel.shape[-2:] for layer in walked if isinstance(layer, keras.layers.Conv2D)
    ]
    decoder = model.get_layer("decoder").layers
    kernels = [
        layer.kernel.shape[-2:] for layer in decoder if isinstance(layer, keras.layers.Conv2D)
    ]
    assert kernels == [tuple(pair[::-1]) for pair in channels[::-1]]
    assert len(kernels) == convolutions
    kinds = [type(layer).__name__ for layer in decoder]
    assert kinds.count("UpSampling2D") == upsamplings
    last = [layer for layer in decoder if isinstance(layer, keras.layers.Conv2D)][-1]
    assert last.activation is keras.activations.linear


def test_mixed_precision_keeps_the_encoder_and_the_output_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = AdaINStylizer("block1_conv2", weights=None)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("decoder").get_layer("block1_conv2_mirrored").compute_dtype == "float16"
    given = inputs(images(1, 8, 8), images(1, 8, 8, seed=1))
    assert model(given).dtype == "float32"
    assert {output.dtype for output in model.get_layer("encoder").outputs} == {"float32"}


def test_layers_of_the_encoder():
    assert encoder_layers("block4_conv1") == [f"block{k}_conv1" for k in (1, 2, 3, 4)]
    assert encoder_layers("block2_conv2") == ["block1_conv1", "block2_conv1", "block2_conv2"]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"`cut` must be one of .*did you mean 'block4_conv"):
        AdaINStylizer("block4_conv", weights=None)
    with pytest.raises(ValueError, match=r"`cut` must be one of"):
        AdaINStylizer("block3_conv4", network="vgg16", weights=None)
    with pytest.raises(ValueError, match=r"`network` must be one of \['vgg16', 'vgg19'\]"):
        AdaINStylizer(network="resnet50", weights=None)


def test_another_network_has_no_parts():
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="`stylizer` must be a network made by AdaINStylizer"):
        Parts.of(keras.Model(x, x, name="other"))


def test_its_file_is_read_by_the_loader_that_makes_no_class_but_known_ones(stylizer, tmp_path):
    stylizer.save(tmp_path / "last.keras")
    loaded = load_network(tmp_path / "last.keras")
    given = inputs(images(1, 9, 8), images(1, 9, 8, seed=1))
    np.testing.assert_array_equal(loaded(given), stylizer(given))
