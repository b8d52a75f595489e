"""The pictures of the splits."""

import numpy as np
import pytest
from PIL import Image

from srm_keras.data import texture_shapes


def tiles(sheet: Image.Image, columns: int) -> np.ndarray:
    pixels = np.asarray(sheet)[20:, 64:]
    rows = pixels.reshape(10, pixels.shape[0] // 10, pixels.shape[1], 3)
    return np.stack(np.split(rows, columns, axis=2), axis=1)


def test_every_pair_of_train_is_shown_as_it_is():
    shown = tiles(texture_shapes.contact_sheet("train", seed=1, size=24), 10)[:, :, :72:3, :72:3]
    drawn = texture_shapes.examples(1, "train", np.arange(100), 24)
    for image, shape, texture in zip(*drawn, strict=True):
        np.testing.assert_array_equal(shown[shape, texture], image)


def test_the_diagonal_of_cue_conflict_is_empty():
    shown = tiles(texture_shapes.contact_sheet("cue_conflict", size=8), 10)
    empty = (shown == 255).all(axis=(2, 3, 4))
    np.testing.assert_array_equal(empty, np.eye(10, dtype=bool))


def test_unseen_textures_have_two_columns_each():
    shown = tiles(texture_shapes.contact_sheet("test_unseen_style", size=8), 8)
    assert len(np.unique(shown.reshape(80, -1), axis=0)) == 80


def test_files(tmp_path):
    paths = texture_shapes.write_contact_sheets(tmp_path / "new" / "folder", size=8)
    assert [path.stem for path in paths] == list(texture_shapes.SPLITS)
    assert all(Image.open(path).format == "PNG" for path in paths)
    with pytest.raises(ValueError, match="`size`"):
        texture_shapes.write_contact_sheets(tmp_path / "other", size=1)
    assert not (tmp_path / "other").exists()
