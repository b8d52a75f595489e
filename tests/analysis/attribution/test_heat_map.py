import matplotlib
import numpy as np
import pytest
from PIL import ImageColor

from srm_keras.analysis.attribution.heat_map import Explained, heat_map_sheet, overlay


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("heat", [0.0, 0.5, 1.0])
def test_color_is_that_of_the_map_and_grey_that_of_the_image(heat, channels):
    image = np.full((9, 8, channels), 80, "uint8")
    color = 255 * np.array(matplotlib.colormaps["turbo"](heat)[:3])
    expected = 0.4 * 80 + 0.6 * color
    blended = overlay(image, np.full((3, 2), heat))
    assert blended.shape == (9, 8, 3)
    np.testing.assert_allclose(blended, np.broadcast_to(expected, (9, 8, 3)), atol=0.51)


def test_maps_are_enlarged_linearly():
    blended = overlay(np.zeros((16, 16, 3), "uint8"), np.eye(2))
    np.testing.assert_array_equal(blended, blended.transpose(1, 0, 2))
    high = overlay(np.zeros((16, 16, 3), "uint8"), np.ones((2, 2)))
    np.testing.assert_array_equal(blended[:4, :4], high[:4, :4])
    assert len({tuple(blended[7, x]) for x in range(16)}) > 4


def count(picture, color):
    return int((np.asarray(picture) == ImageColor.getrgb(color)).all(axis=-1).sum())


@pytest.mark.parametrize("labels", [None, [0, 0]])
def test_right_is_green_and_wrong_is_red(labels):
    images = np.zeros((2, 8, 8, 3), "uint8")
    network = Explained(
        np.zeros((2, 2, 2)), np.array([0, 1]), np.array([0, 1]), np.array([0.9, 0.8])
    )
    other = Explained(network.maps, network.shown, np.array([0, 0]), network.scores)
    both = {"se": network, "srm": other}
    picture = heat_map_sheet(images, ["I", "I"], both, ["MMM", "WWW"], "", labels)
    green, red = count(picture, "#1a7f37"), count(picture, "#cf222e")
    assert (green > red > 0) if labels else (green == red == 0)


@pytest.mark.parametrize(("count", "networks"), [(3, 1), (7, 1), (30, 3), (84, 1), (85, 4)])
def test_many_images_make_a_sheet_and_no_strip(count, networks):
    """84 images were one strip of 560×6276 pixels."""
    images = np.zeros((count, 32, 32, 3), "uint8")
    one = Explained(np.zeros((count, 2, 2)), *(np.zeros(count, "int64") for _ in range(3)))
    explained = {f"net {number}": one for number in range(networks)}
    picture = heat_map_sheet(images, ["I"] * count, explained, ["A"], "title")
    assert count < 7 or 0.5 < picture.width / picture.height < 2
    assert picture.width * picture.height < 1.5 * count * (1 + networks) * 170**2


def test_ranks_are_checked():
    with pytest.raises(ValueError, match=r"shapes \(8, 8\) and \(2, 2\)"):
        overlay(np.zeros((8, 8), "uint8"), np.zeros((2, 2)))
