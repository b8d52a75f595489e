"""Painting, against the network called by hand."""

import re

import keras
import numpy as np
import pytest

from srm_keras.export.stylize.stylizer import Stylizer, load_stylizer, resized
from srm_keras.models.adain import AdaINStylizer
from tests.export.stylize.networks import noise, one_convolution, small_net
from tests.support.weights import randomize


def by_hand(model, image, **others):
    inputs = image[None].astype("float32")
    if others:
        inputs = {"content": inputs, **others}
    return np.asarray(model(inputs, training=False))[0]


def assert_same_grey_levels(painted, expected):
    """Up to float rounding at the border between two grey levels."""
    assert painted.dtype == np.uint8
    clipped = np.clip(expected, 0, 255)
    assert np.abs(painted - clipped).max() < 0.51
    assert clipped.std() > 10  # a picture, neither black nor white


@pytest.mark.parametrize("kind", ["batch", "instance", "srm"])
def test_images_of_all_sizes_become_what_the_network_makes_of_them(kind):
    stylizer = Stylizer(small_net(kind))
    for size in ((61, 70), (64, 64), (5, 40)):
        image = noise(*size)
        assert_same_grey_levels(stylizer(image), by_hand(stylizer.model, image))


@pytest.mark.parametrize("size", [(61, 70), (70, 61), (40, 107), (20, 213), (1, 4400)])
def test_an_image_above_the_limit_is_refused_with_the_size_that_fits(size):
    stylizer = Stylizer(one_convolution(), max_pixels=4200)
    image = noise(*size)
    with pytest.raises(ValueError, match=r"at most 4,200 pixels") as error:
        stylizer(image)
    message = str(error.value)
    assert "\n" not in message
    assert f"Received: {size[1]}×{size[0]}, {size[0] * size[1]:,} pixels" in message
    fits = int(re.search(r"--size=(\d+)\)", message)[1])
    assert stylizer(resized(image, fits)).size <= 3 * 4200
    with pytest.raises(ValueError, match=r"at most 4,200 pixels"):
        stylizer(resized(image, fits + 1))


def test_an_image_of_as_many_pixels_as_the_limit_is_painted():
    model, image = one_convolution(), noise(60, 70)
    assert_same_grey_levels(Stylizer(model, max_pixels=4200)(image), by_hand(model, image))
    with pytest.raises(ValueError, match="`max_pixels` must be"):
        Stylizer(model, max_pixels=0)


@pytest.fixture(scope="module")
def adain():
    model = AdaINStylizer("block2_conv1", weights=None)
    randomize(model.get_layer("decoder"))
    return model


def test_an_adain_network_paints_with_the_style_and_strength_it_is_given(adain):
    image, style = noise(45, 66), noise(20, 30, seed=1) // 2
    others = {"style": style[None].astype("float32"), "strength": np.array([0.6], "float32")}
    expected = by_hand(adain, image, **others)
    scale = 60 / expected.std()
    last = adain.get_layer("decoder").layers[-1]
    kernel, bias = last.get_weights()
    last.set_weights([kernel * scale, bias * scale + 128 - expected.mean() * scale])
    expected = by_hand(adain, image, **others)
    stylizer = Stylizer(adain, style, 0.6)
    assert_same_grey_levels(stylizer(image), expected)
    others["strength"] *= 0
    assert np.abs(by_hand(adain, image, **others) - expected).max() > 5


def test_a_run_folder_and_a_file_are_loaded(tmp_path):
    model, image = small_net("instance"), noise(20, 24)
    model.save(tmp_path / "last.keras")
    for path in (tmp_path, tmp_path / "last.keras"):
        assert np.array_equal(load_stylizer(path)(image), Stylizer(model)(image))


def test_files_that_are_no_networks_are_refused(tmp_path):
    (tmp_path / "broken.keras").write_text("no network")
    with pytest.raises(ValueError, match=r"broken.keras is no whole zip file"):
        load_stylizer(tmp_path / "broken.keras")
    with pytest.raises(ValueError, match=r"run folder with last.keras.*nowhere"):
        load_stylizer(tmp_path / "nowhere")
    code = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Lambda(lambda x: x)])
    code.save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match="Lambda"):
        load_stylizer(tmp_path / "code.keras")


def test_networks_that_do_not_paint_are_refused():
    image = keras.Input((8, 8, 3), name="image")
    classifier = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))
    with pytest.raises(ValueError, match="must map images"):
        Stylizer(classifier)
    with pytest.raises(ValueError, match=r"size of its input.*\(9, 9, 3\) became \(7, 7, 3\)"):
        Stylizer(one_convolution("valid"))(noise(9, 9))


def test_styles_where_they_do_not_belong_are_refused(adain):
    with pytest.raises(ValueError, match="`style` is needed"):
        Stylizer(adain)
    with pytest.raises(ValueError, match="are for AdaIN networks"):
        Stylizer(one_convolution(), noise(9, 9))
    with pytest.raises(ValueError, match="strength="):
        Stylizer(adain, noise(9, 9), 1.5)


@pytest.mark.parametrize("image", [np.zeros((9, 9), "uint8"), np.zeros((9, 9, 3), "float32")])
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match="uint8 RGB"):
        Stylizer(one_convolution())(image)
