"""The command: killed and resumed, side by side, and its errors."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srm_keras.support.files import read_csv

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def command(stylizer, paintings, photographs, tmp_path):
    """`command(out, *flags)`: the words of the command line."""
    stylizer.save(tmp_path / "last.keras")

    def words(out, *flags):
        return [
            *(sys.executable, "-m", "srm_keras", "stylize_dataset"),
            *(f"--model={tmp_path}", f"--paintings={paintings}", f"--out={out}"),
            *("--data=image_folder", f"--options=data_dir={photographs}"),
            *("--splits=train,test:val", "--batch_size=2", "--painting_size=64", *flags),
        ]

    return words


def start(words):
    return subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def finish(process):
    out, err = process.communicate(timeout=240)
    return process.returncode, out, [line for line in err.splitlines() if line.startswith("error")]


def files(out):
    shown = [path for path in out.rglob("*") if path.is_file() and ".shards" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in shown}


def test_killed_again_and_again_and_by_two_workers(command, tmp_path):
    assert finish(start(command(tmp_path / "whole")))[0] == 0
    out = tmp_path / "out"
    for count in (1, 9):
        process = start(command(out))
        while process.poll() is None and len(list(out.glob("*/*/*.jpg"))) < count:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(list(out.glob("*/*/*.jpg"))) > 0
    workers = [start(command(out, f"--shard={shard}", "--shards=2")) for shard in (0, 1)]
    assert [finish(worker)[0] for worker in workers] == [0, 0]
    assert files(out) == files(tmp_path / "whole")
    assert len(read_csv(out / "manifest.csv")) == 16


def test_the_exit_status_tells_what_was_skipped(command, photographs, paintings, tmp_path):
    (photographs / "train" / "brick" / "brick_1.png").write_bytes(b"no image")
    code, out, errors = finish(start(command(tmp_path / "out")))
    assert code == 1
    assert "Stylized 15 images" in out
    assert errors == ["error: 1 images and 0 paintings could not be read; they are in skipped.csv"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=nowhere"], "`path` must be a run folder"),
        (["--options=data_dir"], "`--options` must be name=value"),
        (["--options=dat_dir=x"], "did you mean 'data_dir'"),
        (["--splits=train,test:train"], "`--splits` must be names that differ"),
        (["--shard=1"], "`shard` must be an integer in"),
        (["--paintings=nowhere"], "`paintings` must be a folder that exists"),
        (["--data="], "`--data`"),
    ],
)
def test_errors_are_one_line(command, tmp_path, flags, message):
    code, _, errors = finish(start(command(tmp_path / "out", *flags)))
    assert code == 1
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert message in errors[0]
