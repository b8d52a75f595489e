"""Adaptive instance normalization against its equation in float64."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers.instance_norm import AdaptiveInstanceNormalization
from tests.support.gradients import function_gradient
from tests.support.weights import feature_map, to_channels_last, to_format

CONTENT, STYLE = (2, 7, 5, 6), (2, 4, 9, 6)
EPSILON = 1e-5


def reference(content, style):
    """Image by image and channel by channel."""
    content, style = content.astype("float64"), style.astype("float64")
    result = np.empty_like(content)
    for n in range(content.shape[0]):
        for c in range(content.shape[-1]):
            x, s = content[n, :, :, c], style[min(n, len(style) - 1), :, :, c]
            deviation, wanted = (np.sqrt(z.var() + EPSILON) for z in (x, s))
            result[n, :, :, c] = wanted * (x - x.mean()) / deviation + s.mean()
    return result


def maps(style_shape=STYLE):
    return feature_map(CONTENT, seed=1), 3.0 * feature_map(style_shape, seed=2) + 1.0


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("style_shape", [STYLE, (1, 4, 9, 6)])
def test_equals_the_equation(data_format, style_shape):
    content, style = maps(style_shape)
    layer = AdaptiveInstanceNormalization(data_format=data_format)
    y = layer([to_format(content, data_format), to_format(style, data_format)])
    expected = reference(content, style)
    np.testing.assert_allclose(to_channels_last(y, data_format), expected, rtol=2e-5, atol=2e-5)


def test_large_means_do_not_cancel():
    content, style = maps()
    content += 1000.0
    y = ops.convert_to_numpy(AdaptiveInstanceNormalization()([content, style]))
    np.testing.assert_allclose(y, reference(content, style), rtol=1e-3, atol=2e-3)


def test_features_of_magnitude_300_do_not_overflow_in_float16():
    content, style = (np.float16(100.0 * each) for each in maps())
    layer = AdaptiveInstanceNormalization(dtype="mixed_float16")
    y = layer([ops.convert_to_tensor(content), ops.convert_to_tensor(style)])
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    np.testing.assert_allclose(
        ops.convert_to_numpy(y), reference(content, style), rtol=0.01, atol=2
    )


def test_features_in_their_own_style_stay_as_they_are():
    content, _ = maps()
    y = AdaptiveInstanceNormalization()([content, content])
    np.testing.assert_allclose(ops.convert_to_numpy(y), content, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("constant", ["content", "style"])
def test_constant_channels_give_finite_numbers_and_gradients(constant):
    content, style = maps()
    (content if constant == "content" else style)[:] = 4.0
    layer = AdaptiveInstanceNormalization()
    y = ops.convert_to_numpy(layer([content, style]))
    expected = np.broadcast_to(style.mean((1, 2), keepdims=True), content.shape)
    np.testing.assert_allclose(y, expected, atol=0.02)
    upstream = feature_map(CONTENT, seed=3)
    for function, x in (
        (lambda x: layer([x, ops.convert_to_tensor(style)]), content),
        (lambda x: layer([ops.convert_to_tensor(content), x]), style),
    ):
        assert np.isfinite(function_gradient(function, x, upstream)).all()


def test_gradients_equal_differences_of_the_equation():
    content, style = maps()
    upstream = feature_map(CONTENT, seed=3)
    layer = AdaptiveInstanceNormalization()
    got = (
        function_gradient(lambda x: layer([x, ops.convert_to_tensor(style)]), content, upstream),
        function_gradient(lambda x: layer([ops.convert_to_tensor(content), x]), style, upstream),
    )
    for position, gradient in enumerate(got):
        step = np.zeros((2, *gradient.shape))
        for place in ((0, 1, 2, 3), (1, 3, 0, 5)):
            step[:] = 0
            step[:, *place] = (1e-5, -1e-5)
            sides = []
            for each in step:
                moved = [content.astype("float64"), style.astype("float64")]
                moved[position] = moved[position] + each
                sides.append(np.sum(upstream * reference(*moved)))
            expected = (sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(gradient[place], expected, rtol=2e-3, atol=1e-4)


def test_saved_and_loaded_for_any_size(tmp_path):
    inputs = [keras.Input((None, None, 6)), keras.Input((None, None, 6))]
    layer = AdaptiveInstanceNormalization(epsilon=0.5, name="adain")
    model = keras.Model(inputs, layer(inputs))
    assert model.output.shape == (None, None, None, 6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("adain").get_config() == layer.get_config()
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(each(list(maps()))) for each in (model, loaded))
    )


@pytest.mark.parametrize(
    "shapes", [[(1, 4, 4, 3), (1, 4, 4, 5)], [(1, 4, 4, 3), (1, 4, 3)], [(1, 4, 4, 3)]]
)
def test_other_inputs_are_refused(shapes):
    with pytest.raises(ValueError, match=r"expects \[content, style\]"):
        AdaptiveInstanceNormalization()([np.zeros(shape, "float32") for shape in shapes])


def test_a_single_map_is_refused():
    with pytest.raises(ValueError, match=r"expects \[content, style\]"):
        AdaptiveInstanceNormalization()(np.zeros((1, 4, 4, 3), "float32"))


def test_epsilon_must_be_positive():
    with pytest.raises(ValueError, match="`epsilon` must be a positive number"):
        AdaptiveInstanceNormalization(epsilon=0.0)
