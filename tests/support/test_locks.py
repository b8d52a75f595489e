import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from srm_keras.support import files
from srm_keras.support.files import folder_lock

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys, types
package = types.ModuleType("srm_keras")  # without Keras, which takes seconds to import
package.__path__ = [sys.argv[1]]
sys.modules["srm_keras"] = package
from pathlib import Path
from srm_keras.support.files import folder_lock
with folder_lock("workdir", Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(ROOT / "srm_keras"), str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_is_at_work(holder, tmp_path):
    folder = tmp_path / "run"
    message = rf"`workdir` is in use by process {holder.pid} on {os.uname().nodename} since .*"
    with (
        pytest.raises(ValueError, match=rf"{message}Received: workdir='{folder}'") as error,
        folder_lock("workdir", folder),
    ):
        raise AssertionError("it was held twice")
    assert "\n" not in str(error.value)


def test_a_process_that_is_gone_keeps_no_lock(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with folder_lock("workdir", tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_second_call_in_this_process_is_refused_and_one_after_another_are_not(tmp_path):
    """A notebook that trains in a thread, or in one cell after another."""
    told = []

    def second():
        try:
            with folder_lock("workdir", tmp_path):
                told.append("held")
        except ValueError as error:
            told.append(str(error))

    with folder_lock("workdir", tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    second()
    assert f"in use by process {os.getpid()}" in told[0]
    assert told[1] == "held"


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path):
    with folder_lock("workdir", tmp_path / "a" / "b"):
        pass
    with folder_lock("workdir", tmp_path / "kept" / "b"):
        (tmp_path / "kept" / "b" / "file").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b", "file", "kept"]


def test_a_lock_on_a_file_that_was_removed_is_taken_anew(tmp_path, monkeypatch):
    """Its holder removed it between this call's opening and locking it."""
    opened, lock = [], files._lock

    def removed_first(descriptor):
        opened.append(descriptor)
        if len(opened) == 1:
            (tmp_path / ".lock").unlink()
        lock(descriptor)

    monkeypatch.setattr(files, "_lock", removed_first)
    with folder_lock("workdir", tmp_path):
        assert len(opened) == 2
        with pytest.raises(ValueError, match="in use"), folder_lock("workdir", tmp_path):
            pass


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, caplog):
    def fail(descriptor):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files, "_lock", fail)
    with folder_lock("workdir", tmp_path):
        pass
    assert "cannot be locked" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_what_the_holder_writes_are_removed_and_no_others(tmp_path):
    gone = (".last.123.keras", ".curves.9.png", "checkpoints/.step_000000006.99999.npz")
    kept = (".last.keras", "last.123.keras", ".mine.1.png", ".last.x1.keras", "checkpoints/a.npz")
    for name in (*gone, *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    writes = ("last.keras", "curves.png", "checkpoints/step_*.npz", "samples/step_*.png")
    with folder_lock("workdir", tmp_path, writes):
        assert not any((tmp_path / name).exists() for name in gone)
    assert all((tmp_path / name).exists() for name in kept)
