"""`srm-keras preset`."""

import pytest

from srm_keras.data import Preprocessing
from srm_keras.interop.presets import save_preset
from srm_keras.models import CifarResNet
from tests.support import command_lines


def run(*arguments):
    return command_lines.command("preset", *map(str, arguments))


@pytest.mark.slow
def test_checking_tells_what_it_is_or_what_is_wrong(tmp_path):
    model = CifarResNet(8, "basic", input_shape=(8, 8, 3), classes=2)
    card = {"name": "tiny", "metrics": {"test": {"accuracy": 0.75}}}
    preset = save_preset(model, tmp_path / "p", Preprocessing(image_size=8), ("a", "b"), card)
    done = run(f"--check={tmp_path / 'p'}")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"tiny: {model.count_params():,} parameters, 2 classes, sha256 {preset.sha256}"
    assert second == "test: accuracy 0.7500"
    (tmp_path / "p" / "classes.json").write_text('["a", "c"]\n')
    done = run(f"--check={tmp_path / 'p'}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "not as it was saved, by size or SHA-256: classes.json" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: Either `--model` and `--out` are required, or `--check` alone."),
        (["--model=none"], "error: Either `--model` and `--out` are required, or `--check` alone."),
        (
            ["--model=none", "--out=x"],
            "error: `--model` must be a run folder of train. Received: 'none', which does not",
        ),
    ],
)
def test_errors_are_one_line(arguments, message):
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
