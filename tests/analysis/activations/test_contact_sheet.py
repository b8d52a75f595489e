import numpy as np
import pytest
from PIL import Image

from srm_keras.analysis.activations.pictures import (
    GAP,
    Tile,
    contact_sheet,
    fitted,
    image_grid,
    ranked_sheet,
    save_picture,
    tile_side,
)
from srm_keras.analysis.activations.top_activations import BlockActivations

SIDE = 64


def colored(count, channels=3, side=32):
    """Images of one colour each, no two the same."""
    images = np.zeros((count, side, side, channels), "uint8")
    images[..., 0] = np.arange(count)[:, None, None] * 5
    return images


def activations(indices, tied=None, images=40):
    indices = np.array(indices)
    weights = np.linspace(0.9, 0.1, indices.size, dtype="float32").reshape(indices.shape)
    tied = np.zeros(len(indices), bool) if tied is None else np.array(tied)
    return BlockActivations(images, indices, weights, tied)


def reds(picture, left, top, rows, columns, step_y=SIDE + GAP):
    """Red in the middle of each cell of a grid."""
    pixels = np.asarray(picture)
    return [
        [
            int(pixels[top + row * step_y + 32, left + column * (SIDE + GAP) + 32, 0])
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def origin(picture):
    """Left upper corner of the first tile; it must not show the first image, which is black."""
    red, green, blue = np.moveaxis(np.asarray(picture), -1, 0)
    rows, columns = np.nonzero((red > 0) & (green == 0) & (blue == 0))
    return columns.min(), rows.min()


def test_every_channel_shows_its_top_image_beside_the_other_network():
    images = colored(40)
    one, other = np.arange(8)[:, None] + 3, np.arange(8)[::-1, None] + 20
    sheet = contact_sheet(
        {"se": activations(one), "srm": activations(other)}, images, "conv2_1", 6, columns=3
    )
    left, top = origin(sheet)
    assert reds(sheet, left, top, 2, 3) == (5 * one[:6, 0].reshape(2, 3)).tolist()
    second = left + 3 * (SIDE + GAP) - GAP + 6 * GAP
    assert reds(sheet, second, top, 2, 3) == (5 * other[:6, 0].reshape(2, 3)).tolist()


def test_a_tied_channel_shows_no_image():
    sheet = contact_sheet({"se": activations([[1], [2]], [False, True])}, colored(40), "conv2_1")
    left, top = origin(sheet)
    assert reds(sheet, left, top, 1, 2) == [[5, 225]]


def test_a_row_of_the_ranked_sheet_is_a_channel():
    indices = np.arange(6).reshape(2, 3) + 10
    sheet = ranked_sheet({"se": activations(indices)}, colored(40), "conv2_1")
    left, top = origin(sheet)
    assert reds(sheet, left, top, 2, 3, SIDE + GAP + 16) == (5 * indices).tolist()


def test_pixels_are_enlarged_by_integers_without_smoothing():
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 3)).astype("uint8")
    drawn = np.asarray(fitted(image, tile_side(image, SIDE)))
    np.testing.assert_array_equal(drawn, image.repeat(2, 0).repeat(2, 1))
    grey = image[..., :1]
    drawn = np.asarray(fitted(grey, 28))
    np.testing.assert_array_equal(drawn, grey.repeat(3, 2))


def test_large_and_oblong_images_are_made_to_fit():
    assert fitted(np.zeros((300, 200, 3), "uint8"), 64).size == (42, 64)
    assert fitted(np.zeros((10, 20, 3), "uint8"), 64).size == (60, 30)
    assert tile_side(np.zeros((224, 200, 3)), 64) == 64
    assert tile_side(np.zeros((72, 72, 3)), 64) == 64
    assert tile_side(np.zeros((32, 30, 3)), 64) == 64
    assert tile_side(np.zeros((50, 50, 3)), 64) == 50


def test_captions_stay_in_their_column():
    black = np.zeros((32, 32, 3), "uint8")
    long = "a name that is far too long for its image"
    picture = image_grid([[Tile(black, (long,), "red"), Tile(black)]], SIDE)
    below = np.asarray(picture)[SIDE:]
    assert below[:, :SIDE].min() == 0
    assert below[:, SIDE:].min() == 255


def test_pictures_are_files(tmp_path):
    save_picture(image_grid([[Tile(colored(1)[0])]], SIDE), tmp_path / "new" / "picture.png")
    with Image.open(tmp_path / "new" / "picture.png") as picture:
        assert picture.size == (SIDE, SIDE)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["picture.png"]


@pytest.mark.parametrize("draw", [contact_sheet, ranked_sheet])
def test_bad_arguments(draw):
    block = activations([[0]])
    with pytest.raises(ValueError, match=r"`images` must be those .* 'se' .* 40\. Received: 39"):
        draw({"se": block}, colored(39), "")
    with pytest.raises(ValueError, match="`channels` must be a positive integer"):
        draw({"se": block}, colored(40), "", 0)
    with pytest.raises(ValueError, match="`activations` must be of at least one network"):
        draw({}, colored(40), "")
