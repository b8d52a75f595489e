"""Files of weights: what is read, and that no code in them is run."""

import argparse
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


def tensors(prefix="", times=1.0, **others):
    named = {f"{prefix}{name}": torch.tensor(v) * times for name, v in ARRAYS.items()}
    return {**named, **others}


PREFIXES = ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net."]
PREFIXES += ["model._orig_mod.", "model.module.", "_orig_mod.model.net."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "net", "model"])
def test_a_training_checkpoint_is_unwrapped(key, prefix, tmp_path):
    state = tensors(prefix)
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1}]}
    checkpoint = {"epoch": 3, key: state, "optimizer": optimizer} if key else state
    for ending in (".pth.tar", ".ckpt"):
        torch.save(checkpoint, tmp_path / f"best{ending}")
        assert_read(tmp_path / f"best{ending}")
    assert_read({"model": checkpoint})


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema_state_dict"])
def test_moving_averages_are_preferred_and_said_so(key, caplog):
    checkpoint = {"state_dict": tensors(), key: tensors("module.", 2.0, n_averaged=torch.ones(()))}
    first = ARRAYS["conv1.weight"]
    assert_read(checkpoint, 2 * first)
    assert f"holds weights (state_dict) and their moving averages ({key})" in caplog.text
    np.testing.assert_array_equal(read_arrays(checkpoint, ema=True)["conv1.weight"], 2 * first)
    np.testing.assert_array_equal(read_arrays(checkpoint, ema=False)["conv1.weight"], first)
    for plain in ({"state_dict": tensors(), key: None}, tensors()):
        assert_read(plain)
        assert list(read_arrays(plain, ema=False)) == ["conv1.weight"]
        with pytest.raises(ValueError, match="`ema` must be False for these weights: they have no"):
            read_arrays(plain, ema=True)


def test_an_averaged_model_is_read():
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 3))
    read = read_arrays(averaged.state_dict())
    assert {name: v.shape for name, v in read.items()} == {"weight": (3, 2), "bias": (3,)}
    assert list(read_arrays(averaged.state_dict(), ema=True)) == ["weight", "bias"]
    with pytest.raises(ValueError, match=r"`ema` must be True .* they have averages alone"):
        read_arrays({"state_dict": averaged.state_dict()}, ema=False)


def test_entries_beside_the_network_are_named_and_its_own_names_kept(caplog):
    others = {"criterion.weight": torch.ones(3), "ema.conv1.weight": torch.zeros(3)}
    assert_read(tensors("model.", **others))
    assert "passed over: criterion.weight, ema.conv1.weight" in caplog.text
    beside = read_arrays(tensors(**{"model.layer": torch.ones(2), "net.x": torch.ones(1)}))
    assert list(beside) == ["conv1.weight", "model.layer", "net.x"]


@pytest.mark.parametrize("old", [False, True])
def test_a_checkpoint_with_a_namespace_says_what_to_do(old, tmp_path):
    path = tmp_path / "best.pth"
    checkpoint = {"state_dict": tensors(), "args": argparse.Namespace(lr=0.1)}
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(ValueError, match=r"best.pth', which holds a argparse.Namespace too") as e:
        read_arrays(path)
    assert "If you trust the file, load it with torch.load(weights_only=False)" in str(e.value)
    assert "\n" not in str(e.value)
    assert "\x1b" not in str(e.value)
    assert_read(torch.load(path, weights_only=False))


@pytest.mark.parametrize("name", ["a.pth", "a.ckpt", "a.safetensors"])
def test_a_pointer_of_git_lfs_is_named(name, tmp_path):
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n")
    with pytest.raises(ValueError, match=rf"{name}', a pointer of Git LFS: run `git lfs pull`"):
        read_arrays(path)


def test_what_torch_save_did_not_write_is_told_in_one_line(tmp_path):
    (tmp_path / "a.pth").write_text("<html>not found</html>")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "b.pth")
    for name, reason in (("a.pth", "it is none of torch.save"), ("b.pth", "it is a TorchScript")):
        with pytest.raises(ValueError, match=reason) as error:
            read_arrays(tmp_path / name)
        assert "\n" not in str(error.value)


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
        with pytest.raises(ValueError, match=r"must be a file of tensors"):
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
