"""`srm-keras stylize` as one calls it."""

import numpy as np
import pytest
from PIL import Image

from srm_keras.export.stylize.stylizer import Stylizer
from tests.export.stylize.networks import small_net
from tests.support.command_lines import command
from tests.support.encoded_images import encoded, pixels


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
    options = (f"--model={folder}", f"--images={photos}", f"--out={tmp_path / 'out'}")
    done = command("stylize", *options)
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


def test_several_images_and_folders_go_to_one_folder(run, tmp_path):
    folder, _ = run
    photo = folder / "photos" / "a.png"
    other = tmp_path / "b.png"
    other.write_bytes(photo.read_bytes())
    options = [f"--model={folder / 'last.keras'}", f"--out={tmp_path / 'out'}"]
    done = command("stylize", *options, f"--images={folder / 'photos'},{other}")
    assert done.returncode == 0, done.stderr
    painted = [(tmp_path / "out" / f"{name}.png").read_bytes() for name in "ab"]
    assert painted[0] == painted[1]
    done = command("stylize", *options, f"--images={folder / 'photos'},{photo}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: `images` must differ in name. Received: two for ")
    done = command("stylize", *options[:1], f"--out={tmp_path}/c.png", f"--images={other},{photo}")
    assert "`out` must be a folder for several images" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`--model`, `--images` and `--out` are required."),
        (
            ["--model=gone"],
            "must be a run folder of train_stylizer or a .keras file. Received: 'gone'",
        ),
        (["--images=gone"], "`images` must exist. Received: images='gone'"),
        (["--images={large}"], "(--size=2048) it fits. Received: 2049×2048, 4,196,352 pixels"),
        (["--style=gone.jpg"], "`--style` cannot be read (No such file"),
        (["--style={photo}"], "are for AdaIN networks"),
    ],
)
def test_errors_are_one_line(arguments, message, run, tmp_path):
    photo = run[0] / "photos" / "a.png"
    options = [f"--model={run[0]}", f"--images={photo}", f"--out={tmp_path / 'out.png'}"]
    large = tmp_path / "large.png"
    large.write_bytes(encoded(np.zeros((2048, 2049, 3), "uint8")))
    given = [argument.format(photo=photo, large=large) for argument in arguments]
    done = command("stylize", *(options + given if given else []))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
