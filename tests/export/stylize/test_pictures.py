"""Picture files, against Pillow and the pixels that they were made of."""

import numpy as np
import pytest
from PIL import Image

from srm_keras.export.stylize.stylizer import Picture, read_picture, resized, write_picture
from tests.support.encoded_images import encoded, pixels, sixteen_bits

IMAGE = pixels(9, 14)
ORIENTATION = 0x0112


def read(tmp_path, content, name="image.png", **options):
    (tmp_path / name).write_bytes(content)
    return read_picture(tmp_path / name, **options)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP"])
def test_pixels_are_read_as_they_are(form, tmp_path):
    picture = read(tmp_path, encoded(IMAGE, form, lossless=True), f"image.{form}")
    assert np.array_equal(picture.pixels, IMAGE)
    assert picture.alpha is None


# What each EXIF orientation says was done to the upright picture, undone.
UPRIGHT = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: np.swapaxes(x, 0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2),
    8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photographs_are_turned_upright(orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = read(tmp_path, encoded(IMAGE, exif=exif))
    assert np.array_equal(picture.pixels, UPRIGHT[orientation](IMAGE))


def test_other_kinds_of_pixels_become_rgb(tmp_path):
    grey = Image.fromarray(IMAGE[..., 0])
    repeated = np.repeat(IMAGE[..., :1], 3, axis=-1)
    assert np.array_equal(read(tmp_path, encoded(grey)).pixels, repeated)
    deep = Image.fromarray(IMAGE[..., 0].astype("uint16") * 256 + 200)
    assert np.array_equal(read(tmp_path, encoded(deep)).pixels, repeated)
    assert np.array_equal(read(tmp_path, sixteen_bits(IMAGE)).pixels, IMAGE)
    palette = Image.fromarray(IMAGE).quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(read(tmp_path, encoded(palette)).pixels, expected)
    cmyk = Image.fromarray(IMAGE).convert("CMYK")
    assert read(tmp_path, encoded(cmyk, "JPEG"), "image.jpg").pixels.shape == IMAGE.shape


def test_opacity_is_kept_where_the_format_has_it(tmp_path):
    alpha = pixels(9, 14, 1)[..., 0]
    content = encoded(np.dstack([IMAGE, alpha]))
    picture = read(tmp_path, content, size=7)
    assert picture.pixels.shape == (4, 7, 3)
    assert picture.alpha.shape == (4, 7)
    picture = read(tmp_path, content)
    assert np.array_equal(picture.alpha, alpha)
    write_picture(tmp_path / "out.png", picture)
    assert np.array_equal(read_picture(tmp_path / "out.png").alpha, alpha)
    for suffix in ("jpg", "jfif", "jpe", "bmp", "BMP"):
        write_picture(tmp_path / f"out.{suffix}", picture)
        assert read_picture(tmp_path / f"out.{suffix}").alpha is None


def test_metadata_is_not_copied_and_jpeg_loses_little(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    picture = read(tmp_path, encoded(pixels(40, 60), "JPEG", exif=exif, quality=100), "image.jpg")
    write_picture(tmp_path / "out.jpg", picture)
    with Image.open(tmp_path / "out.jpg") as file:
        assert not file.getexif()
        assert np.abs(np.asarray(file).astype(int) - picture.pixels).mean() < 2


@pytest.mark.parametrize(("size", "shape"), [(7, (4, 7)), (14, (9, 14)), (100, (9, 14))])
def test_larger_pictures_are_reduced_and_none_enlarged(size, shape, tmp_path):
    assert read(tmp_path, encoded(IMAGE), size=size).pixels.shape == (*shape, 3)
    assert resized(IMAGE, size).shape == (*shape, 3)


def test_a_strip_keeps_one_pixel():
    assert resized(np.zeros((1, 300, 3), "uint8"), 10).shape == (1, 10, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no picture", "it is no picture"),
        (encoded(IMAGE)[:-40], "."),
        (b"", "it is no picture"),
    ],
)
def test_broken_files_are_told_with_the_reason(content, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_picture(tmp_path / "gone.png")


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_picture(tmp_path / "out.png", Picture(IMAGE))

    def fail(self, path, **options):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_picture(tmp_path / "out.png", Picture(255 - IMAGE))
    assert np.array_equal(read_picture(tmp_path / "out.png").pixels, IMAGE)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
