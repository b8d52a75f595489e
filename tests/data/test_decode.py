"""Every kind of file, against Pillow or the numbers that were written."""

import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from srm_keras.data import decode as module
from srm_keras.support import timing

ROWS, COLUMNS = np.mgrid[:24, :40]
GREY = ((ROWS * 5 + COLUMNS * 4) % 256).astype("uint8")
SMOOTH = (ROWS * 4 + COLUMNS * 3).astype("uint8")
RGB = np.stack([SMOOTH, 255 - SMOOTH, np.full_like(SMOOTH, 90)], axis=-1)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return module.decode(tf.constant(content)).numpy()


PALETTE = Image.fromarray(RGB).quantize(16)
PNG = {
    "rgb": (Image.fromarray(RGB), {}),
    "grey": (Image.fromarray(GREY), {}),
    "one_bit": (Image.fromarray(GREY).convert("1"), {}),
    "palette": (PALETTE, {}),
    "palette_with_transparency": (PALETTE, {"transparency": 3}),
    "rgba": (Image.fromarray(np.dstack([RGB, GREY])), {}),
    "grey_with_alpha": (Image.fromarray(np.dstack([GREY, GREY[::-1]]), "LA"), {}),
}


@pytest.mark.parametrize("name", PNG)
def test_png_of_every_colour_type(name):
    image, options = PNG[name]
    result = decoded(encoded(image, "PNG", **options))
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, np.asarray(image.convert("RGB")))


def test_png_of_16_bits_keeps_the_upper_8():
    deep = (GREY.astype("uint16") << 8) + 200
    result = decoded(encoded(Image.fromarray(deep), "PNG"))
    np.testing.assert_array_equal(result, np.repeat(GREY[..., None], 3, axis=-1))
    colours = tf.io.encode_png((RGB.astype("uint16") << 8) + 130).numpy()
    np.testing.assert_array_equal(decoded(colours), RGB)


BMP = {
    "rgb": Image.fromarray(RGB),
    "grey": Image.fromarray(GREY),
    "palette": PALETTE,
    "palette of all colours": Image.fromarray(RGB).quantize(256),
    "rgba": Image.fromarray(np.dstack([RGB, GREY])),
}


@pytest.mark.parametrize("name", BMP)
def test_bmp_is_read_with_its_palette(name):
    expected = np.asarray(BMP[name].convert("RGB"))
    np.testing.assert_array_equal(decoded(encoded(BMP[name], "BMP")), expected)


def test_bmp_that_tensorflow_reads_wrongly_is_refused():
    run_lengths = bytearray(encoded(PALETTE, "BMP"))
    run_lengths[30] = 1
    os2 = bytearray(encoded(Image.fromarray(RGB), "BMP"))
    os2[14] = 12
    for content in (encoded(PALETTE.convert("1"), "BMP"), bytes(run_lengths), bytes(os2)):
        with pytest.raises(ValueError, match="a BMP file of a kind that cannot be decoded"):
            module.pixels(content)
    for length in (0, 2, 12, 31, 60, 1000):
        with pytest.raises(ValueError, match=r"."):
            module.pixels(encoded(PALETTE, "BMP")[:length])


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 60}])
def test_webp_gives_the_very_pixels_that_pillow_makes_of_it(options):
    exif = Image.Exif()
    exif[0x0112] = 6  # makes it an extended file
    for image in (Image.fromarray(RGB), Image.fromarray(GREY), BMP["rgba"]):
        for more in ({}, {"exif": exif}):
            content = encoded(image, "WEBP", **options, **more)
            expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            np.testing.assert_array_equal(decoded(content), expected)


@pytest.mark.parametrize("image", [Image.fromarray(RGB), BMP["rgba"]], ids=["rgb", "rgba"])
def test_an_animation_is_refused_before_tensorflow_sees_it(image):
    frames = {"save_all": True, "append_images": [Image.fromarray(RGB[::-1])]}
    with pytest.raises(ValueError, match="it is an animated WebP file"):
        module.pixels(encoded(image, "WEBP", lossless=True, **frames))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_gives_the_very_pixels_that_pillow_makes_of_it(mode, options):
    noise = np.random.default_rng(0).integers(-40, 40, RGB.shape)
    rough = Image.fromarray(np.clip(RGB + noise, 0, 255).astype("uint8")).convert(mode)
    content = encoded(rough, "JPEG", quality=85, **options)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(decoded(content), expected)


def test_cmyk_is_converted():
    image = Image.fromarray(RGB).convert("CMYK")
    result = decoded(encoded(image, "JPEG", quality=95)).astype("int")
    assert np.abs(result - np.asarray(image.convert("RGB"))).mean() < 3


def test_exif_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to look at it
    result = decoded(encoded(Image.fromarray(RGB), "JPEG", quality=95, exif=exif))
    assert result.shape == (24, 40, 3)
    assert np.abs(result.astype("int") - RGB).mean() < 3


FILES = {kind: encoded(Image.fromarray(RGB), kind.upper()) for kind in ("png", "jpeg", "webp")}


@given(st.sampled_from(sorted(FILES)), st.floats(0, 0.999))
def test_every_truncation_is_corrupt(tmp_path_factory, kind, part):
    path = tmp_path_factory.mktemp("cut") / f"cut.{kind}"
    path.write_bytes(FILES[kind][: int(part * len(FILES[kind]))])
    (verdict,) = module.verify([path])
    assert verdict.size is None
    assert verdict.error


@given(st.sampled_from(sorted(FILES)), st.integers(0, 10**6), st.integers(0, 7))
def test_verdict_and_decoder_agree_on_flipped_bits(tmp_path_factory, kind, place, bit):
    content = bytearray(FILES[kind])
    content[place % len(content)] ^= 1 << bit
    path = tmp_path_factory.mktemp("flip") / f"flip.{kind}"
    path.write_bytes(content)
    (verdict,) = module.verify([path])
    if verdict.size is None:
        with pytest.raises(tf.errors.InvalidArgumentError):
            decoded(bytes(content))
    else:
        assert decoded(bytes(content)).shape == (*verdict.size, 3)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"<html>no image</html>"])
def test_what_is_no_image_is_corrupt(tmp_path, content):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    (verdict,) = module.verify([path])
    assert verdict.size is None
    assert "{{" not in verdict.error
    assert "[Op" not in verdict.error


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n")
    (verdict,) = module.verify([path])
    assert verdict.error == "it is a pointer of Git LFS: run `git lfs pull` in its repository"
    with pytest.raises(ValueError, match=r"`git lfs pull` in its repository\). Received: .*x.jpg"):
        module.file_pixels(path)


def test_a_broken_link_is_corrupt(tmp_path):
    (tmp_path / "x.jpg").symlink_to(tmp_path / "nothing.jpg")
    (verdict,) = module.verify([tmp_path / "x.jpg"])
    assert verdict.size is None
    assert "No such file" in verdict.error


def test_verdicts_are_remembered_until_the_file_changes(tmp_path, monkeypatch):
    opened = []
    decode_file = module._decoded
    monkeypatch.setattr(module, "_decoded", lambda path: opened.append(path) or decode_file(path))
    path = tmp_path / "x.png"
    path.write_bytes(FILES["png"])
    assert module.verify([path])[0].size == (24, 40)
    assert module.verify([path, path])[1].size == (24, 40)
    assert opened == [path]
    path.write_bytes(FILES["png"][:-20])
    assert module.verify([path])[0].size is None
    assert opened == [path, path]


def test_progress_goes_to_stderr(tmp_path, monkeypatch, capsys):
    path = tmp_path / "x.png"
    path.write_bytes(FILES["png"])
    module.verify([path] * 3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(timing, "_TELL_SECONDS", -1)
    module.verify([path] * 3)
    assert "checked 2 of 3 files" in capsys.readouterr().err
