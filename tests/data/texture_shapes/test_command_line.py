"""tools.texture_shapes as one calls it."""

import pytest

from srm_keras.data.texture_shapes import SPLITS
from tests.support.command_lines import command


@pytest.mark.slow
def test_it_writes_a_sheet_for_every_split(tmp_path):
    result = command("tools.texture_shapes", f"--out={tmp_path / 'sheets'}", "--size=8", "--seed=3")
    assert result.returncode == 0, result.stderr
    assert {path.stem for path in (tmp_path / "sheets").iterdir()} == set(SPLITS)


def test_an_error_is_one_line(tmp_path):
    result = command("tools.texture_shapes", f"--out={tmp_path / 'sheets'}", "--size=4")
    assert result.returncode == 1
    assert "error: `size` must be at least 8 pixels. Received: size=4" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "sheets").exists()
