import contextlib
import resource
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from srm_keras.data import load_examples
from srm_keras.training.checkpoint import Checkpoint, CheckpointFolder, Identity, TrainingState

IDENTITY = {"recipe": {"seed": 0, "splits": ("test",)}, "variables": [["kernel", [3, 2]]]}


def folder(path, identity=IDENTITY, keep=2):
    return CheckpointFolder(path, Identity(identity, {}, path / "data.csv.gz"), keep)


def checkpoint(step):
    rng = np.random.default_rng(step)
    arrays = {
        "model/0/0": rng.normal(size=(3, 2)).astype("float32"),
        "optimizer/0/0": np.array(step),
        "metrics/0/1": rng.normal(size=()).astype("float16"),
    }
    return Checkpoint(step, {"rows": [{"loss": 0.5, "step": step}]}, arrays)


def save(path, *steps, **kwargs):
    checkpoints = folder(path, **kwargs)
    for step in steps:
        checkpoints.save(checkpoint(step))
    checkpoints.close()


def assert_equal(found, expected):
    assert (found.step, found.progress) == (expected.step, expected.progress)
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_newest_comes_back_to_the_bit(tmp_path):
    save(tmp_path / "new", 9, 1_000_000_000)
    assert_equal(folder(tmp_path / "new").newest(), checkpoint(1_000_000_000))


def test_a_metric_that_a_checkpoint_does_not_know_begins_anew():
    """As of a run that an earlier version began, with fewer metrics."""
    learner = SimpleNamespace(variables=[], metrics_variables=[])
    learner.optimizer = SimpleNamespace(variables=[])
    distribution = SimpleNamespace(gather=list, local=list)
    earlier, now = [keras.metrics.Mean()], [keras.metrics.Mean(), keras.metrics.Mean()]
    earlier[0].update_state([0.25, 0.75])
    arrays = TrainingState(learner, earlier, distribution).read()
    TrainingState(learner, now, distribution).write_metrics(arrays)
    assert [float(metric.result()) for metric in now] == [0.5, 0.0]
    assert float(now[0].count) == 2


def test_as_many_as_asked_for_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3, 4, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step_000000003.npz",
        "step_000000004.npz",
    ]


def test_no_checkpoint_is_none(tmp_path):
    assert folder(tmp_path).newest() is None
    assert folder(tmp_path / "nowhere").newest() is None


def truncate(path):
    path.write_bytes(path.read_bytes()[:-30])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("not a checkpoint")


def another_archive(path):
    np.savez(path, kernel=np.zeros(3))


def one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, text, another_archive, one_array])
def test_a_damaged_one_is_named_and_the_one_before_it_is_used(damage, tmp_path, caplog):
    save(tmp_path, 5, 6)
    damage(tmp_path / "step_000000006.npz")
    assert_equal(folder(tmp_path).newest(), checkpoint(5))
    assert "step_000000006.npz" in caplog.text


def test_whatever_reading_raises_means_damaged(tmp_path):
    """Every third byte with a bit flipped: the file is read to the bit, or passed over."""
    save(tmp_path, 5, 6)
    path = tmp_path / "step_000000006.npz"
    whole = path.read_bytes()
    passed_over = 0
    positions = range(0, len(whole), 3)
    for position in positions:
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        found = folder(tmp_path).newest()
        passed_over += found.step == 5
        assert_equal(found, checkpoint(found.step))
    assert passed_over > len(positions) / 2


@pytest.mark.parametrize("kept", [0, 1, 30, 200, 0.5, 0.9, 0.999])
def test_a_truncated_one_is_passed_over(kept, tmp_path):
    save(tmp_path, 5, 6)
    path = tmp_path / "step_000000006.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole) if isinstance(kept, float) else kept)])
    assert_equal(folder(tmp_path).newest(), checkpoint(5))


def test_a_header_that_promises_less_is_damaged(tmp_path):
    """NumPy reads a shorter array of it and never comes to the check sum."""
    save(tmp_path, 5, 6)
    path = tmp_path / "step_000000006.npz"
    content = path.read_bytes()
    assert content.count(b"(3, 2)") == 1
    path.write_bytes(content.replace(b"(3, 2)", b"(1, 2)"))
    assert_equal(folder(tmp_path).newest(), checkpoint(5))


@pytest.mark.parametrize(
    "meta", [b"[]", b"{}", b'{"identity": 1}', b'{"format": null, "identity": {}, "step": "x"}']
)
def test_what_is_whole_but_no_checkpoint_is_passed_over(meta, tmp_path):
    save(tmp_path, 5, 6)
    with (tmp_path / "step_000000006.npz").open("wb") as file:
        np.savez(file, meta=np.frombuffer(meta, "uint8"))
    assert_equal(folder(tmp_path).newest(), checkpoint(5))


def test_an_identity_is_compared_as_json_holds_it(tmp_path):
    identity = {"recipe": {"pooling": ("avg",), "data_dir": tmp_path, 1: np.int64(2)}}
    save(tmp_path, 5, identity=identity)
    assert_equal(folder(tmp_path, identity=identity).newest(), checkpoint(5))
    changed = {"recipe": {**identity["recipe"], "pooling": ("std",)}}
    with pytest.raises(ValueError, match="its recipe differ"):
        folder(tmp_path, identity=changed).newest()


@pytest.mark.parametrize("part", ["recipe", "variables"])
def test_one_of_another_run_is_refused_by_name(part, tmp_path):
    save(tmp_path, 5, identity={**IDENTITY, part: {"seed": 1}})
    with pytest.raises(ValueError, match=rf"`overwrite`.*step_000000005.npz.*its {part} differ"):
        folder(tmp_path).newest()


def test_one_without_a_record_of_its_data_goes_on_and_this_is_said(tmp_path, caplog):
    """As an early version of this package wrote them; then where the data lie counts."""
    drawn = load_examples("made_up", "train", examples=2)
    recipe = {"data.options.data_dir": "a"}
    identity = Identity({"recipe": recipe}, {"train": drawn}, tmp_path / "data.csv.gz")
    assert identity.difference({"recipe": recipe}) == ""
    assert "without a record of its data" in caplog.text
    assert identity.difference({"recipe": {"data.options.data_dir": "b"}}) == "its recipe differ"
    saved = {**identity.value, "recipe": {"data.options.data_dir": "b"}}
    assert identity.difference(saved) == ""


def test_the_same_reason_is_told_once(tmp_path):
    save(tmp_path, 5, 6, identity={**IDENTITY, "recipe": {}})
    with pytest.raises(ValueError, match="overwrite") as error:
        folder(tmp_path).newest()
    assert str(error.value).count("another run") == 1
    assert "step_000000006.npz, step_000000005.npz belongs to another run" in str(error.value)


@contextlib.contextmanager
def full_disk():
    """No file of this process may become longer than 100 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_cannot_be_written_is_reported_and_the_earlier_one_stays(tmp_path):
    save(tmp_path, 1)
    with (
        pytest.raises(OSError, match=r"step_000000002\.npz could not be written.*intact"),
        full_disk(),
    ):
        save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000001.npz"]
    assert_equal(folder(tmp_path).newest(), checkpoint(1))
