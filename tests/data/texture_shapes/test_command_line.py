"""`python -m tools.texture_shapes`, each time as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from srm_keras.data.texture_shapes import SPLITS

ROOT = Path(__file__).parents[3]


def run(*flags):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tools.texture_shapes", *flags]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_it_writes_a_sheet_for_every_split(tmp_path):
    result = run(f"--out={tmp_path / 'sheets'}", "--size=8", "--seed=3")
    assert result.returncode == 0, result.stderr
    assert {path.stem for path in (tmp_path / "sheets").iterdir()} == set(SPLITS)


def test_an_error_is_one_line(tmp_path):
    result = run(f"--out={tmp_path / 'sheets'}", "--size=4")
    assert result.returncode == 1
    assert "error: `size` must be at least 8 pixels. Received: size=4" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "sheets").exists()
