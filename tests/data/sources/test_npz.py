"""Arrays from an .npz file."""

import re

import numpy as np
import pytest

from srm_keras import data

RNG = np.random.default_rng(0)


def arrays(**changes):
    parts = {
        "train_images": RNG.integers(0, 256, (5, 4, 3, 3), dtype="uint8"),
        "train_labels": np.array([0, 1, 2, 1, 0], "uint8"),
        "test_images": RNG.integers(0, 256, (2, 4, 3, 3), dtype="uint8"),
        "test_labels": np.array([3, 0]),
    }
    changed = {**parts, **changes}
    return {name: values for name, values in changed.items() if values is not None}


def write(path, **changes):
    saved = arrays(**changes)
    np.savez(path, **saved)
    return saved


@pytest.mark.parametrize("split", ["train", "test"])
def test_arrays_come_back(tmp_path, split):
    saved = write(tmp_path / "set.npz", train_groups=np.array(list("aabbc")))
    examples = data.load_examples("npz", split, path=tmp_path / "set.npz")
    np.testing.assert_array_equal(examples.images, saved[f"{split}_images"])
    np.testing.assert_array_equal(examples.labels, saved[f"{split}_labels"])
    assert examples.info.class_names == ("0", "1", "2", "3")  # 3 is in the test split alone
    assert examples.info.image_shape == (4, 3, 3)
    assert examples.domains is None
    assert (examples.groups is None) == (split == "test")


def test_grey_images_names_and_domains(tmp_path):
    grey = RNG.integers(0, 256, (5, 4, 3), dtype="uint8")
    names = np.array(["w", "x", "y", "z"])
    domains = np.array([1, 1, 2, 2, 2])
    write(tmp_path / "a.npz", train_images=grey, class_names=names, train_domains=domains)
    examples = data.load_examples("npz", "train", path=str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(examples.images[..., 0], grey)
    assert examples.images.shape == (5, 4, 3, 1)
    assert examples.info.class_names == ("w", "x", "y", "z")
    assert examples.domains.tolist() == ["1", "1", "2", "2", "2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((5, 4, 3, 3))}, "`train_images` in "),
        ({"train_images": np.zeros((5, 4, 3, 2), "uint8")}, "must be uint8 (N, H, W) or"),
        ({"train_labels": np.zeros(5)}, "must be integers (N,)"),
        ({"train_labels": np.zeros(4, "int64")}, "Received: {'images': 5, 'labels': 4}"),
        ({"class_names": np.array(["a"])}, "must lie in 0 … 0. Received: 0 … 2, 1 for one"),
        ({"train_labels": np.full(5, 2**32)}, "Received: 4294967296 … 4294967296, 4294967296 for"),
        ({"train_labels": np.full(5, 2**64 - 1, "uint64")}, "18446744073709551615 for one"),
        ({"train_labels": np.array([0, 0, 0, 0, 2**31])}, "must lie in 0 … 65535. Received: 0 …"),
        ({"train_labels": np.array([0, -1, 0, 0, 0])}, "Received: -1 … 0, -1 for one"),
        ({"train_labels": np.eye(5, dtype="int64")}, "shape (5, 5), dtype int64, 1, 0, 0 …"),
        ({"train_labels": np.full(5, 1.5)}, "shape (5,), dtype float64, 1.5, 1.5, 1.5 …"),
        ({"train_labels": np.ones(5, bool)}, "dtype bool, True"),
        ({"class_names": np.array([b"a", b"b", b"c", b"d"])}, "Received: b'a', of type bytes"),
        ({"class_names": np.array([0.5, 1, 2, 3])}, "Received: 0.5, of type float"),
        ({"class_names": np.array(["a", "b", "a", "c"])}, "Received: 'a' for the classes 0, 2"),
        ({"class_names": np.array(["a", "b", "c"])[:0]}, "`class_names` must be a list of names"),
        (
            {"train_domains": np.array([b"x"] * 5)},
            "must be texts (N,). Received: shape (5,)",
        ),
        ({"train_domains": np.full(5, 0.5)}, "dtype float64, 0.5, 0.5, 0.5 …"),
        ({"test_labels": None}, "must hold train_images, train_labels, test_images, test_labels"),
        ({"train_groups": np.array([{}] * 5)}, "Object arrays cannot be loaded"),
    ],
)
def test_files_that_do_not_fit(tmp_path, changes, message):
    write(tmp_path / "set.npz", **changes)
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load("npz", "train", path=tmp_path / "set.npz")


def test_what_is_no_npz_file(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    for name in ("text.npz", "array.npy", "cut.npz", "none.npz"):
        with pytest.raises(ValueError, match=r"`path` must be an .npz file that exists") as error:
            data.load("npz", "train", path=tmp_path / name)
        assert name in str(error.value)


def test_a_file_with_damaged_contents(tmp_path):
    path = tmp_path / "set.npz"
    write(path)
    content = bytearray(path.read_bytes())
    content[150:160] = bytes(10)  # inside the first array's pixels
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"set.npz must be an .npz file of arrays: "):
        data.load("npz", "train", path=path)
