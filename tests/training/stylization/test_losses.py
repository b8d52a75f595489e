"""Perceptual losses against their formulas in float64 and against PyTorch."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.models.feature_network import feature_network
from srm_keras.training.stylization.losses import (
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)
from tests.support.feature_files import small_vgg
from tests.support.weights import feature_map, randomize

SHAPE = (3, 6, 5, 4)


def test_gram_matrices_are_those_of_the_formula():
    x = feature_map(SHAPE)
    expected = np.einsum("nhwc,nhwd->ncd", x.astype("float64"), x.astype("float64")) / (6 * 5 * 4)
    np.testing.assert_allclose(gram_matrix(x), expected, rtol=1e-5, atol=1e-6)


def test_gram_matrices_are_float32_where_float16_would_overflow():
    x = ops.cast(np.full((1, 64, 64, 2), 1000.0), "float16")
    gram = gram_matrix(x)
    assert keras.backend.standardize_dtype(gram.dtype) == "float32"
    np.testing.assert_allclose(gram, np.full((1, 2, 2), 5e5), rtol=1e-6)


def test_content_and_style_losses_are_means_of_squares_for_each_example():
    x, y = feature_map(SHAPE).astype("float64"), feature_map(SHAPE, seed=1).astype("float64")
    np.testing.assert_allclose(content_loss(x, y), ((x - y) ** 2).mean((1, 2, 3)), rtol=1e-5)
    rng = np.random.default_rng(2)
    grams, targets = ([rng.normal(size=(n, c, c)) for c in (2, 5)] for n in (3, 1))
    expected = sum(((g - t) ** 2).mean((1, 2)) for g, t in zip(grams, targets, strict=True))
    np.testing.assert_allclose(style_loss(grams, targets), expected, rtol=1e-5)


def test_total_variation_adds_both_directions():
    x = feature_map(SHAPE).astype("float64")
    down, across = np.diff(x, axis=1) ** 2, np.diff(x, axis=2) ** 2
    expected = down.mean((1, 2, 3)) + across.mean((1, 2, 3))
    np.testing.assert_allclose(total_variation(x), expected, rtol=1e-5)
    np.testing.assert_array_equal(total_variation(np.full(SHAPE, 3.0)), np.zeros(3))


def test_losses_of_half_precision_features_are_float32():
    x, y = (ops.cast(300 * feature_map(SHAPE, seed), "float16") for seed in (0, 1))
    wide = [ops.convert_to_numpy(ops.cast(value, "float32")) for value in (x, y)]
    np.testing.assert_allclose(content_loss(x, y), content_loss(*wide), rtol=1e-6)
    np.testing.assert_allclose(total_variation(x), total_variation(wide[0]), rtol=1e-6)


def test_losses_equal_those_of_pytorch_with_the_same_weights(monkeypatch):
    """A slim VGG16 up to relu2_2, random weights, and the losses as fast_neural_style has them."""
    torch = pytest.importorskip("torch")
    small_vgg(monkeypatch)
    names = ["block1_conv2", "block2_conv2"]
    features = feature_network(names, weights=None)
    randomize(features)
    relu = torch.nn.ReLU()
    convs = [torch.nn.Conv2d(*shape, 3, padding=1) for shape in ((3, 4), (4, 4), (4, 6), (6, 6))]
    first = torch.nn.Sequential(convs[0], relu, convs[1], relu)
    second = torch.nn.Sequential(torch.nn.MaxPool2d(2), convs[2], relu, convs[3], relu)
    for conv, kernel, bias in zip(
        convs, features.weights[::2], features.weights[1::2], strict=True
    ):
        kernel = ops.convert_to_numpy(kernel).transpose(3, 2, 0, 1)
        conv.weight.data = torch.tensor(kernel).double()
        conv.bias.data = torch.tensor(ops.convert_to_numpy(bias)).double()

    def their_features(x):
        mean = torch.tensor([103.939, 116.779, 123.68]).double()
        x = (torch.tensor(x).double().flip(-1) - mean).permute(0, 3, 1, 2)
        shallow = first(x)
        return shallow, second(shallow)

    def their_gram(x):
        flat = x.flatten(2)
        return flat @ flat.mT / x[0].numel()

    rng = np.random.default_rng(0)
    output, image, style = (
        rng.uniform(0, 255, (n, 12, 10, 3)).astype("float32") for n in (2, 2, 1)
    )
    with torch.no_grad():
        theirs = [their_features(x) for x in (output, image, style)]
        mse = torch.nn.functional.mse_loss
        content = mse(theirs[0][1], theirs[1][1])
        grams, targets = ([their_gram(x) for x in theirs[index]] for index in (0, 2))
        pairs = zip(grams, targets, strict=True)
        styles = sum(mse(gram, target.expand_as(gram)) for gram, target in pairs)
    ours = [features(x) for x in (output, image, style)]
    mine = content_loss(ours[0][1], ours[1][1])
    np.testing.assert_allclose(ops.convert_to_numpy(mine).mean(), content, rtol=1e-4)
    mine = style_loss([gram_matrix(x) for x in ours[0]], [gram_matrix(x) for x in ours[2]])
    np.testing.assert_allclose(ops.convert_to_numpy(mine).mean(), styles, rtol=1e-4)
