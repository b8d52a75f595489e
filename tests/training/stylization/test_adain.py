"""The objective of AdaIN training: its numbers, its gradients, and that it can be made smaller."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.models.adain import AdaINStylizer
from srm_keras.training.stylization.losses import adain_objective
from tests.support.weights import randomize


@pytest.fixture(scope="module")
def stylizer():
    model = AdaINStylizer("block2_conv1", weights=None)
    randomize(model)
    return model


@pytest.fixture(scope="module")
def objective(stylizer):
    return keras.Model(*adain_objective(stylizer))


def images(size, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (2, *size, 3)).astype("float32")


def batch():
    return [images((16, 12), 0), images((10, 18), 1)]


def test_terms_are_the_equations(stylizer, objective):
    content, style = batch()
    encoder, decoder = (stylizer.get_layer(name) for name in ("encoder", "decoder"))

    def features(x):
        return [each.numpy().astype("float64") for each in encoder(x)]

    def mean(z):
        return z.mean((1, 2), keepdims=True)

    def std(z):
        return np.sqrt(z.var((1, 2), keepdims=True) + 1e-5)

    f, s = features(content)[-1], features(style)
    target = std(s[-1]) * (f - mean(f)) / std(f) + mean(s[-1])
    painted = features(decoder(target.astype("float32")))
    terms = objective(batch())
    assert set(terms) == {"content_loss", "style_loss"}
    expected = np.mean((painted[-1] - target) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(terms["content_loss"], expected, rtol=1e-3)
    expected = sum(
        np.mean((g(p) - g(q)) ** 2, axis=(1, 2, 3))
        for p, q in zip(painted, s, strict=True)
        for g in (mean, std)
    )
    np.testing.assert_allclose(terms["style_loss"], expected, rtol=1e-3)


def test_every_decoder_weight_and_no_other_is_trained(stylizer, objective):
    decoder = stylizer.get_layer("decoder").trainable_variables
    assert [v.path for v in objective.trainable_variables] == [v.path for v in decoder]
    for name in ("content_loss", "style_loss"):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(objective(batch())[name])
        for gradient in tape.gradient(loss, [variable.value for variable in decoder]):
            assert np.isfinite(gradient).all()
            assert np.abs(gradient).max() > 0


def test_sides_that_the_stride_does_not_divide(objective):
    terms = objective([images((7, 9), 0), images((5, 3), 1)])
    assert all(np.isfinite(term).all() and term.shape == (2,) for term in terms.values())


def test_a_few_steps_make_both_losses_smaller_and_leave_the_encoder_alone():
    stylizer = AdaINStylizer("block1_conv2", weights=None)
    encoder = stylizer.get_layer("encoder")
    randomize(encoder)
    objective = keras.Model(*adain_objective(stylizer))
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(objective.trainable_variables)
    before = encoder.get_weights()

    @tf.function
    def step(content, style):
        with tf.GradientTape() as tape:
            terms = {k: tf.reduce_mean(x) for k, x in objective([content, style]).items()}
            loss = terms["content_loss"] + terms["style_loss"]
        variables = objective.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return terms

    losses = [step(*batch()) for _ in range(20)]
    for name in ("content_loss", "style_loss"):
        assert losses[-1][name] < 0.5 * losses[0][name]
    for weight, now in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, now)


def test_another_network_is_refused():
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="`stylizer` must be a network made by AdaINStylizer"):
        adain_objective(keras.Model(x, x))
