"""What is packed into a source distribution, and what git passes over."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
JUNK = (
    *("photos/holiday.jpg", "out/model.tflite", "painted/a.png", "runs/mine/best.keras"),
    *("notes.md", "secret.env", "id_rsa", "data.npz", "docs/photo.png", "docs/draft.txt"),
    *("srm_keras/weights.h5", "tools/token.json", "tests/private.npz", "train/list.csv"),
    *("docs/web_demo/model/model.tflite", "docs/web_demo/node_modules/a/b.js"),
    *("presets/mine/model.weights.h5", "srm_keras/__pycache__/a.pyc", "dist/old.whl"),
)


def git(*arguments, **options):
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, **options
    ).stdout.splitlines()


@pytest.fixture(scope="module")
def tracked():
    """What git knows of the tree."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    return [name for name in git("ls-files") if (ROOT / name).is_file()]


def test_packages_hold_what_git_knows_whatever_else_lies_in_the_clone(tracked, tmp_path):
    for name in tracked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "pyproject.toml").unlink()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in JUNK:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("junk")
    assert packed(SdistBuilder, tmp_path) == sorted(tracked)
    library = [name for name in tracked if name.startswith("srm_keras/")]
    assert packed(WheelBuilder, tmp_path) == sorted(library)


def packed(builder, folder):
    return sorted(file.relative_path for file in builder(str(folder)).recurse_included_files())
