import numpy as np
import pytest
import tensorflow as tf

from srm_keras.layers import SRM, list_recalibrations
from tools.studies.layer_benchmark import PASSES, layer_steps
from tools.studies.timed_steps import AUTODIFF_SRM, AutodiffSRM, modules

SHAPE = (3, 5, 4, 8)


def gradients(layer, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    weights = [weight.value for weight in layer.trainable_weights]
    return y, tape.gradient(y, [x, *weights], output_gradients=upstream)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_autodiff_srm_is_srm(data_format):
    random = np.random.default_rng(1)
    x, upstream = (tf.constant(random.standard_normal(SHAPE, "float32")) for _ in range(2))
    plain, ours = AutodiffSRM(data_format=data_format), SRM(data_format=data_format)
    plain.build(SHAPE)
    ours.build(SHAPE)
    for layer in (plain, ours):
        layer.set_weights(
            [
                np.random.default_rng(i).uniform(0.5, 1.5, w.shape)
                for i, w in enumerate(layer.weights)
            ]
        )
    (y, dy), (expected, d_expected) = gradients(plain, x, upstream), gradients(ours, x, upstream)
    np.testing.assert_allclose(y, expected, atol=1e-6)
    assert len(dy) == len(d_expected) == 4
    for mine, its in zip(dy, d_expected, strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-5)


def test_every_module_can_be_timed():
    assert modules() == ("multiply", *list_recalibrations(), AUTODIFF_SRM)


@pytest.mark.parametrize("xla", [False, True])
def test_a_step_pulls_one_element_of_every_gradient(xla):
    names = modules() if not xla else ("multiply", "se", "srm", AUTODIFF_SRM)
    steps = layer_steps(names, SHAPE, "forward+backward", xla)
    pulled = {name: step() for name, step in steps.items()}
    # x and g; x, two kernels and two biases; x, CFC, γ and β
    sizes = {"multiply": 2, "se": 5, "srm": 4, AUTODIFF_SRM: 4}
    assert {name: len(pulled[name]) for name in sizes} == sizes
    for name, values in pulled.items():
        assert np.isfinite(values).all(), name
        assert values[0] != 0, name


@pytest.mark.parametrize("direction", PASSES)
def test_both_forms_of_srm_do_the_same_work(direction):
    """The same seed draws the same x and weights for both."""
    ours, plain = (
        layer_steps([name], SHAPE, direction, xla=False)[name]() for name in ("srm", AUTODIFF_SRM)
    )
    np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-6)


def test_the_bare_product_is_the_product():
    random = np.random.default_rng(0)
    x = random.standard_normal(SHAPE, "float32")
    random.standard_normal(SHAPE, "float32")
    gates = random.random((SHAPE[0], 1, 1, SHAPE[-1]), "float32")
    first = layer_steps(["multiply"], SHAPE, "forward", xla=False)["multiply"]()
    assert first == pytest.approx(x[0, 0, 0, 0] * gates[0, 0, 0, 0])


def test_bad_arguments():
    with pytest.raises(ValueError, match="`names` must be one of"):
        layer_steps(["sse"], SHAPE, "forward", xla=False)
    with pytest.raises(ValueError, match="`direction` must be one of"):
        layer_steps(["se"], SHAPE, "backward", xla=False)
