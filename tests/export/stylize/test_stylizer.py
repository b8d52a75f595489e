"""Painting whole and in pieces, against the network called by hand."""

import functools

import keras
import numpy as np
import pytest

from srm_keras.export.stylize.stylizer import Stylizer, load_stylizer
from srm_keras.models.adain import AdaINStylizer
from srm_keras.models.stylization import StylizationNet
from tests.export.stylize.networks import noise, one_convolution, small_net, visible
from tests.support.encoded_images import pixels
from tests.support.weights import randomize

KINDS = ("batch", "instance", "srm")


@pytest.fixture(scope="module")
def stylizers():
    """``stylizers(kind)``: one for all tests, for its graph is made once."""
    return functools.cache(lambda kind: Stylizer(small_net(kind)))


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


@pytest.mark.parametrize("size", [(61, 70), (64, 64), (5, 40)])
def test_a_small_image_is_painted_whole(size, stylizers):
    image = noise(*size)
    assert_same_grey_levels(stylizers("srm")(image), by_hand(stylizers("srm").model, image))


# Sizes that are no multiples of 4, of the tile, or of anything.
@pytest.mark.parametrize("size", [(67, 82), (64, 49), (20, 101)])
@pytest.mark.parametrize("kind", KINDS)
def test_pieces_make_the_picture_that_the_whole_makes(size, kind, stylizers):
    image = noise(*size)
    assert_same_grey_levels(stylizers(kind)(image, 33), by_hand(stylizers(kind).model, image))


def test_pieces_of_the_whole_network_make_the_picture_that_the_whole_makes():
    """The smallest network of its kind, whose reach is 28 pixels."""
    model = visible(StylizationNet("batch", "srm", filters=4, blocks=1))
    image = noise(40, 97)
    assert_same_grey_levels(Stylizer(model)(image, tile=68), by_hand(model, image))


def test_pieces_with_statistics_of_their_own_would_not(stylizers):
    stylizer = stylizers("instance")
    image = noise(67, 82)
    image[:40] //= 8
    expected = by_hand(stylizer.model, image).clip(0, 255)
    piece = stylizer(np.ascontiguousarray(image[:32, :32]), tile=0)
    assert np.abs(piece[:16, :16] - expected[:16, :16]).mean() > 5
    assert_same_grey_levels(stylizer(image, tile=32), expected)


def test_statistics_of_a_reduced_image_are_near_those_of_the_whole():
    model = small_net("instance")
    image = pixels(61, 70)
    expected = by_hand(model, image).clip(0, 255)
    painted = Stylizer(model, statistics_pixels=61 * 70 // 4)(image, tile=32)
    assert 0 < np.abs(painted - expected).mean() < 5


def test_large_images_are_cut_into_pieces_by_themselves(monkeypatch, stylizers):
    monkeypatch.setattr("srm_keras.export.stylize.stylizer.WHOLE_PIXELS", 48 * 48)
    monkeypatch.setattr("srm_keras.export.stylize.stylizer.TILE", 32)
    sizes = []
    stylizer = stylizers("batch")
    paint = stylizer._paint
    monkeypatch.setattr(stylizer, "_paint", lambda p, x: sizes.append(x.shape[:2]) or paint(p, x))
    stylizer(noise(48, 48))
    assert sizes.pop() == (48, 48)
    stylizer(noise(48, 49))
    assert len(sizes) > 1
    assert max(max(size) for size in sizes) == 32
    sizes.clear()
    stylizer(noise(48, 49), tile=0)
    assert sizes == [(48, 49)]


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
    for tile in (0, 40):
        assert_same_grey_levels(stylizer(image, tile), expected)
    others["strength"] *= 0
    assert np.abs(by_hand(adain, image, **others) - expected).max() > 5


def test_a_run_folder_and_a_file_are_loaded(tmp_path):
    model, image = small_net("instance"), noise(20, 24)
    model.save(tmp_path / "last.keras")
    for path in (tmp_path, tmp_path / "last.keras"):
        assert np.array_equal(load_stylizer(path)(image), Stylizer(model)(image))


def test_files_that_are_no_networks_are_refused(tmp_path):
    (tmp_path / "broken.keras").write_text("no network")
    with pytest.raises(ValueError, match="a network that can be loaded"):
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


def test_a_tile_that_cannot_be_is_refused_before_any_work(stylizers):
    stylizers("batch").check_tile(None)
    with pytest.raises(ValueError, match="0 or at least 10"):
        stylizers("batch").check_tile(9)
    with pytest.raises(ValueError, match="a gate for each pixel"):
        stylizers("cbam").check_tile(128)
