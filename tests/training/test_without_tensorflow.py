"""A recipe from the command line to its report where TensorFlow is not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from srm_keras.support.files import read_json

ROOT = Path(__file__).parents[2]
# What docs/training.md tells people to install.
PACKAGES = ("keras>=3.15,<3.16", "jax", "ml-collections", "absl-py", "matplotlib", "scikit-learn")
COMMANDS = {
    **dict.fromkeys(("texture_shapes", "fashion_mnist", "cifar10", "cifar100"), "classify"),
    **dict.fromkeys(("style_transfer", "adain"), "stylize"),
}


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1200)
def test_small_image_recipes_train_without_tensorflow(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    assert subprocess.run([python, "-c", "import tensorflow"], capture_output=True).returncode
    for recipe, command in COMMANDS.items():
        workdir = tmp_path / recipe
        module = ["--config.recalibration=srm"] if recipe != "adain" else []
        done = subprocess.run(
            [
                *(
                    python,
                    "-m",
                    f"train.{command}",
                    f"--config={recipe}:smoke",
                ),
                *(*module, f"--workdir={workdir}"),
            ],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": "jax"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert read_json(workdir / "versions.json")[0]["packages"]["tensorflow"] is None
        assert (workdir / "report.html").is_file()
        assert (workdir / "result.json").is_file()
