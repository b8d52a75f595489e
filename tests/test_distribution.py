"""What is packed, and the command of the wheel where nothing else of the repository is."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from PIL import Image

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


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The command of the wheel in an environment of its own, which borrows this one's libraries."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", ROOT]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    # The .pth files of a folder that a .pth file names are not read: no editable installation.
    (Path(found.stdout.strip()) / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    install = [f"--python={python}", "install", "--no-deps", "--ignore-installed", wheel]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    return python.with_name("srm-keras")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_installed_wheel_trains_exports_predicts_and_serves(installed, tmp_path):
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (48, 40, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    environment = {name: value for name, value in os.environ.items() if name[:3] != "TF_"}
    environment.pop("PYTHONPATH", None)
    options = {"cwd": tmp_path, "env": environment, "text": True}

    def run(*arguments):
        done = subprocess.run([installed, *arguments], capture_output=True, **options)
        assert done.returncode == 0, done.stderr
        return done

    code = "import srm_keras; print(srm_keras.__file__)"
    python = installed.with_name("python")
    found = subprocess.run([python, "-c", code], capture_output=True, check=True, **options)
    assert Path(found.stdout.strip()).is_relative_to(installed.parents[1])
    assert run("help").stderr == ""
    sizes = ("--config.data.options.train_examples=40", "--config.data.options.test_examples=20")
    run("train", "--config=texture_shapes:smoke", *sizes, "--workdir=run", "--steps=2")
    run("export", "--model=run", "--formats=saved_model,float32", "--samples=8")
    told = [
        run("predict", f"--model=run{path}", "--top=1", "photos").stdout
        for path in ("", "/best.keras", "/export/saved_model", "/export/model.tflite")
    ]
    assert told[0].startswith("photos/a.png  ")
    assert set(told) == {told[0]}
    # The demo is stopped once it has trained for a while: the whole of it is `make demo`.
    with started([installed, "demo"], **options) as demo:
        checkpoints = tmp_path / "runs" / "demo" / "checkpoints"
        wait(lambda: any(checkpoints.glob("step_*.npz")), demo)
    assert demo.returncode == 128 + signal.SIGTERM
    pytest.importorskip("starlette")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/v1/models/model"
    with started([installed, "serve", "--model=run", f"--port={port}"], **options) as server:
        wait(lambda: urllib.request.urlopen(address).status == 200, server)
        request = {"signature_name": "serve_uint8", "instances": [pixels[:32, :32].tolist()]}
        body = json.dumps(request).encode()
        answer = json.load(urllib.request.urlopen(f"{address}:predict", body))
    assert len(answer["predictions"]) == 1


@contextlib.contextmanager
def started(line, **options):
    """A process that is told to stop in the end."""
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, **options
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=120)


def wait(ready, process):
    """Until ``ready()``, as long as the process lives."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            if ready():
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    raise AssertionError("not ready in two minutes")
