"""Files of weights: what is read, and that no code in them is run."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from srm_keras.interop.pytorch.files import read_arrays, write_arrays

torch = pytest.importorskip("torch")

ARRAYS = {
    "conv1.weight": np.arange(12, dtype="float32").reshape(3, 4),
    "bn1.num_batches_tracked": np.array(3, "int64"),
}


def assert_read(source, expected=ARRAYS["conv1.weight"]) -> None:
    read = read_arrays(source)
    assert list(read) == ["conv1.weight"]
    assert read["conv1.weight"].dtype == np.float32
    np.testing.assert_array_equal(read["conv1.weight"], expected)


@pytest.mark.parametrize("ending", [".pth", ".pt"])
def test_torch_files_go_there_and_back(ending, tmp_path):
    path = tmp_path / f"weights{ending}"
    write_arrays(path, ARRAYS)
    assert_read(path)
    loaded = torch.load(path, weights_only=True)
    assert loaded["bn1.num_batches_tracked"].dtype == torch.int64


def test_safetensors_go_there_and_back(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "weights.safetensors"
    write_arrays(path, ARRAYS)
    assert_read(path)
    np.testing.assert_array_equal(numpy.load_file(path)["conv1.weight"], ARRAYS["conv1.weight"])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_every_float_becomes_float32(dtype, tmp_path):
    state = {"conv1.weight": torch.tensor(ARRAYS["conv1.weight"]).to(getattr(torch, dtype))}
    torch.save(state, tmp_path / "weights.pth")
    assert_read(tmp_path / "weights.pth")
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(state, tmp_path / "weights.safetensors")
    assert_read(tmp_path / "weights.safetensors")


def test_a_training_checkpoint_is_unwrapped(tmp_path):
    checkpoint = {
        "epoch": 3,
        "state_dict": {f"module.{name}": torch.tensor(v) for name, v in ARRAYS.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
    }
    torch.save(checkpoint, tmp_path / "model_best.pth.tar")
    assert_read(tmp_path / "model_best.pth.tar")


class Touch:
    """Pickled, a call that makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_file_is_not_run(tmp_path):
    touched = tmp_path / "touched"
    for name, save in (("a.pth", torch.save), ("b.pth", _pickle)):
        save({"conv1.weight": Touch(touched)}, tmp_path / name)
        with pytest.raises(ValueError, match=r"torch.load\(weights_only=True\) reads"):
            read_arrays(tmp_path / name)
    assert not touched.exists()


def _pickle(value, path) -> None:
    path.write_bytes(pickle.dumps(value))


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_a_broken_file_is_named(name, tmp_path):
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    path = tmp_path / name
    write_arrays(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"must be a file of tensors.*{name}"):
        read_arrays(path)


def test_other_files_and_contents_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must be a file that exists"):
        read_arrays(tmp_path / "none.pth")
    (tmp_path / "weights.h5").touch()
    with pytest.raises(ValueError, match=r"must be a file in one of \('.safetensors', '.pth'"):
        read_arrays(tmp_path / "weights.h5")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="which holds list"):
        read_arrays(tmp_path / "list.pth")
    with pytest.raises(ValueError, match="a mapping from name to array or a path"):
        read_arrays([1, 2])
    with pytest.raises(ValueError, match=r"arrays of numbers. Received: 'optimizer'"):
        read_arrays({"optimizer": {"lr": 1}})
    with pytest.raises(ValueError, match="`path` must end in one of"):
        write_arrays(tmp_path / "weights.h5", ARRAYS)
    assert {path.name for path in tmp_path.iterdir()} == {"weights.h5", "list.pth"}
