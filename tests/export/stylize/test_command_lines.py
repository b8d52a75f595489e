"""The command lines, each in a process of its own."""

import csv
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from srm_keras.export.stylize.stylizer import Stylizer
from tests.export.stylize.networks import small_net
from tests.support.encoded_images import encoded, pixels

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[3]


def command(tool, *arguments):
    line = [sys.executable, "-m", f"tools.{tool}", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder, a folder of photographs, and the network."""
    folder = tmp_path_factory.mktemp("run")
    model = small_net("instance")
    model.save(folder / "last.keras")
    (folder / "photos").mkdir()
    (folder / "photos" / "a.png").write_bytes(encoded(pixels(40, 60)))
    return folder, model


def test_photographs_are_painted_and_the_broken_one_named(run, tmp_path):
    folder, model = run
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes((folder / "photos" / "a.png").read_bytes())
    (photos / "broken.jpg").write_text("no picture")
    options = (f"--stylizer={folder}", f"--images={photos}", f"--out={tmp_path / 'out'}")
    done = command("stylize", *options, "--tile=32")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: 1 of 2 images could not be painted"
    assert f"{photos / 'broken.jpg'}: it is no picture" in done.stderr
    assert "Traceback" not in done.stderr
    painted = np.asarray(Image.open(tmp_path / "out" / "a.png")).astype(int)
    assert np.abs(painted - Stylizer(model)(pixels(40, 60))).max() <= 1
    (photos / "broken.jpg").unlink()
    done = command("stylize", *options)
    assert done.returncode == 0
    assert "kept 1 that were there" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`--stylizer`, `--images` and `--out` are required."),
        (["--stylizer=gone"], "must be a run folder with last.keras"),
        (["--images=gone"], "`images` must exist. Received: images='gone'"),
        (["--tile=9"], "`tile` must be 0 or at least 10"),
        (["--style=gone.jpg"], "`--style` cannot be read (No such file"),
        (["--style={photo}"], "are for AdaIN networks"),
    ],
)
def test_errors_are_one_line(arguments, message, run, tmp_path):
    photo = run[0] / "photos" / "a.png"
    options = [f"--stylizer={run[0]}", f"--images={photo}", f"--out={tmp_path / 'out.png'}"]
    given = [argument.format(photo=photo) for argument in arguments]
    done = command("stylize", *(options + given if given else []))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_study_of_pieces_measures_and_shows(run, tmp_path):
    out = tmp_path / "study"
    done = command(
        *("tiling_study", f"--stylizer={run[0]}", f"--images={run[0] / 'photos'}"),
        *("--tile=32", f"--out={out}"),
    )
    assert done.returncode == 0, done.stderr
    with (out / "tiling.csv").open(newline="") as file:
        rows = {row["statistics"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["1/1", "1/2", "1/4", "each piece"]
    assert int(rows["1/1"]["max_difference"]) <= 1
    assert float(rows["each piece"]["mean_difference"]) > 1
    assert len(list(out.glob("a_*.png"))) == 4
