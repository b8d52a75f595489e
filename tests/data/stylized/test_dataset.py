"""Stylized copies: layout, determinism, workers, kills, and what cannot be read."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srm_keras.data import load_examples
from srm_keras.data.stylized import dataset, stylize_dataset
from srm_keras.data.stylized.dataset import _Worker
from srm_keras.data.stylized.ledger import shard_lock
from srm_keras.data.stylized.painting import Paintings
from srm_keras.support.files import read_csv, read_json
from tests.support.tfds_sets import prepare


@pytest.fixture
def splits(photographs):
    return {copy: load(photographs, split) for copy, split in (("train", "train"), ("val", "test"))}


def load(root, split):
    return load_examples("image_folder", split, data_dir=root, verify=False)


@pytest.fixture
def stylize(stylizer, paintings):
    """`stylize(splits, out, ...)` with small batches."""

    def run(splits, out, **options):
        options = {"painting_size": 16, "batch_size": 4, "image_format": "png", **options}
        return stylize_dataset(stylizer, splits, paintings, out, **options)

    return run


def files(out):
    """What a reader of the data set sees."""
    shown = [path for path in out.rglob("*") if path.is_file() and ".shards" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in shown}


def images(out):
    return {name: content for name, content in files(out).items() if name.endswith(("png", "jpg"))}


def test_every_image_gets_a_copy_of_its_size_in_the_same_class(stylize, splits, tmp_path):
    report = stylize(splits, tmp_path / "out")
    assert (report.stylized, report.found, report.complete) == (16, 0, True)
    for split, examples in splits.items():
        for path, label in zip(examples.images, examples.labels, strict=True):
            its_class = examples.info.class_names[label]
            copy = tmp_path / "out" / split / its_class / f"{path.stem}.png"
            with Image.open(path) as original, Image.open(copy) as stylized:
                assert stylized.size == original.size
                assert stylized.mode == "RGB"
                assert np.abs(np.asarray(stylized) - np.asarray(original, int)).mean() > 5


def test_the_sources_read_the_copy(stylize, splits, photographs, tmp_path):
    stylize(splits, tmp_path / "out")
    for source in ("image_folder", "stylized_imagenet"):
        for split, examples in splits.items():
            copy = load_examples(source, split, data_dir=tmp_path / "out")
            assert copy.info.class_names == examples.info.class_names
            assert sorted(Path(p).stem for p in copy.images) == sorted(
                p.stem for p in examples.images
            )
    shutil.copytree(photographs / "test", photographs / "val")
    options = {"data_dir": tmp_path / "out", "imagenet_dir": photographs}
    assert len(load_examples("stylized_imagenet", "imagenet_val", **options)) == 4


def test_manifest_tells_the_painting_of_each_image(stylize, splits, paintings, tmp_path):
    stylize(splits, tmp_path / "out", seed=3)
    rows = read_csv(tmp_path / "out" / "manifest.csv")
    assert sorted(row["output"] for row in rows) == sorted(images(tmp_path / "out"))
    listed = Paintings(paintings, seed=3)
    for row in rows:
        assert row["style"] == next(listed.candidates(f"{row['split']}/{row['image']}"))
    assert len({row["style"] for row in rows}) > 1


def test_pixels_are_those_of_the_network(stylize, stylizer, splits, paintings, tmp_path):
    stylize(splits, tmp_path / "out", alpha=0.7)
    root = splits["val"].images[0].parents[1]
    for row in read_csv(tmp_path / "out" / "manifest.csv"):
        if row["split"] == "val":
            with Image.open(root / row["image"]) as image:
                content = np.asarray(image.convert("RGB"), "float32")
            style = Paintings(paintings, 16).read(row["style"]).astype("float32")
            given = {"content": content[None], "style": style[None]}
            expected = stylizer({**given, "strength": np.array([0.7], "float32")})[0]
            with Image.open(tmp_path / "out" / row["output"]) as copy:
                np.testing.assert_allclose(np.asarray(copy), np.clip(expected, 0, 255), atol=0.51)


def test_seed_and_strength_matter_and_nothing_else_does(stylize, splits, tmp_path):
    stylize(splits, tmp_path / "a", seed=1)
    stylize(splits, tmp_path / "b", seed=1)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    for name, options in (("c", {"seed": 2}), ("d", {"seed": 1, "alpha": 0.5})):
        stylize(splits, tmp_path / name, **options)
        one, other = images(tmp_path / "a"), images(tmp_path / name)
        assert sum(one[path] != other[path] for path in one) > len(one) / 2


@pytest.mark.parametrize("shards", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_workers_together_make_what_one_makes(stylize, splits, tmp_path, shards):
    stylize(splits, tmp_path / "one")
    reports = [
        stylize(splits, tmp_path / "many", shard=shard, shards=shards)
        for shard in reversed(range(shards))
    ]
    assert sum(report.stylized for report in reports) == 16
    assert all(report.stylized for report in reports)
    assert files(tmp_path / "one") == files(tmp_path / "many")


def test_large_images_are_painted_fewer_at_a_time(stylize, splits, monkeypatch, tmp_path):
    stylize({"val": splits["val"]}, tmp_path / "together")
    sizes = []
    paint = dataset.Painter.paint

    def counted(painter, images, paintings):
        sizes.append(images.shape[:3])
        return paint(painter, images, paintings)

    monkeypatch.setattr(dataset.Painter, "paint", counted)
    monkeypatch.setattr(dataset, "BATCH_PIXELS", 150)
    stylize({"val": splits["val"]}, tmp_path / "few")
    assert sorted(sizes) == [(1, 9, 11), (1, 9, 11), (1, 12, 16), (1, 12, 16)]
    for name, content in images(tmp_path / "together").items():
        pair = (Image.open(tmp_path / "few" / name), Image.open(io.BytesIO(content)))
        np.testing.assert_allclose(*(np.asarray(image, int) for image in pair), atol=1)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("death", "renamed"),
    [pytest.param(1, False, marks=pytest.mark.slow), (6, True), (11, False)],
)
def test_a_killed_run_goes_on(stylize, splits, tmp_path, monkeypatch, death, renamed):
    """Killed before or after the file of that number has its name, so before its line."""
    stylize(splits, tmp_path / "whole")
    write, written = _Worker._write, []

    def dying(worker, path, image):
        written.append(path)
        if len(written) == death:
            if renamed:
                write(worker, path, image)
            raise Killed
        write(worker, path, image)

    monkeypatch.setattr(_Worker, "_write", dying)
    with pytest.raises(Killed):
        stylize(splits, tmp_path / "out")
    monkeypatch.setattr(_Worker, "_write", write)
    recorded = len(read_csv(next((tmp_path / "out" / ".shards").glob("0_of_1.csv"))))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    report = stylize(splits, tmp_path / "out")
    assert (report.found, report.stylized) == (recorded, 16 - recorded)
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    kept = [path for path, time in times.items() if path.stat().st_mtime_ns == time]
    assert len(kept) >= recorded


def test_a_finished_run_is_not_done_again(stylize, splits, tmp_path):
    stylize(splits, tmp_path / "out")
    before = files(tmp_path / "out")
    assert stylize(splits, tmp_path / "out", shard=1, shards=2).stylized == 0
    report = stylize(splits, tmp_path / "out")
    assert (report.stylized, report.found) == (0, 16)
    gone = tmp_path / "out" / "train" / "wood" / "wood_1.png"
    gone.unlink()
    assert stylize(splits, tmp_path / "out").stylized == 1
    assert files(tmp_path / "out") == before


def test_two_processes_are_not_the_same_worker(stylize, splits, tmp_path):
    """Work would be done twice, and each forget the other's; another worker is welcome."""
    shards = tmp_path / "out" / ".shards"
    with shard_lock(tmp_path / "out", 1, 2):
        with pytest.raises(ValueError, match=rf"`out` is in use by process {os.getpid()}"):
            stylize(splits, tmp_path / "out", shard=1, shards=2)
        stylize(splits, tmp_path / "out", shard=0, shards=2)
    (shards / ".1_of_2_abc.17").touch()
    (shards / ".1_of_20_abc.17").touch()
    stylize(splits, tmp_path / "out", shard=1, shards=2)
    hidden = [path.name for path in shards.iterdir() if path.name.startswith(".")]
    assert hidden == [".1_of_20_abc.17"]
    assert not list(shards.glob("*.lock"))


def test_unreadable_images_are_named_and_left_out(stylize, splits, photographs, tmp_path):
    stylize(splits, tmp_path / "whole")
    (photographs / "train" / "brick" / "brick_1.png").write_bytes(b"no image")
    (photographs / "train" / "wood" / "wood_2.jpg").unlink()
    report = stylize(splits, tmp_path / "out")
    assert set(report.skipped) == {"train/brick/brick_1.png", "train/wood/wood_2.jpg"}
    assert "No such file" in report.skipped["train/wood/wood_2.jpg"]
    assert (report.stylized, report.complete) == (14, False)
    rows = read_csv(tmp_path / "out" / "skipped.csv")
    assert [(row["kind"], row["name"]) for row in rows] == [
        ("image", name) for name in sorted(report.skipped)
    ]
    assert not (set(images(tmp_path / "whole")) - set(images(tmp_path / "out"))) ^ {
        "train/brick/brick_1.png",
        "train/wood/wood_2.png",
    }
    again = stylize(splits, tmp_path / "out")
    assert (again.stylized, again.found, len(again.skipped)) == (0, 14, 2)


def test_an_unreadable_painting_is_named_and_replaced(stylize, splits, paintings, tmp_path):
    stylize(splits, tmp_path / "whole")
    (paintings / "b.jpg").write_bytes(b"no image")
    report = stylize(splits, tmp_path / "out")
    assert report.stylized == 16
    assert list(report.skipped_paintings) == ["b.jpg"]
    before, after = (read_csv(tmp_path / name / "manifest.csv") for name in ("whole", "out"))
    for one, other in zip(before, after, strict=True):
        assert other["style"] != "b.jpg"
        assert one == other or one["style"] == "b.jpg"
    assert stylize(splits, tmp_path / "out").stylized == 0
    assert read_csv(tmp_path / "out" / "skipped.csv")[0]["name"] == "b.jpg"


def test_grey_images_in_memory_become_colour_in_the_order_of_labels(stylize, tmp_path):
    drawn = load_examples("made_up", "train", image_shape=(8, 8), channels=1, classes=3, examples=5)
    report = stylize({"train": drawn}, tmp_path / "out", image_format="jpg")
    assert report.stylized == 5
    for row in read_csv(tmp_path / "out" / "manifest.csv"):
        label = drawn.labels[int(row["image"])]
        names = sorted({path.split("/")[1] for path in images(tmp_path / "out")})
        assert row["output"].split("/")[1] == names[label]
        with Image.open(tmp_path / "out" / row["output"]) as image:
            assert (image.mode, image.size, image.format) == ("RGB", (8, 8), "JPEG")


def test_records(stylize, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), dtype="uint8")
    splits = {name: (pixels, np.array([0, 1, 1, 0, 1])) for name in ("train", "validation")}
    names = ["n01440764", "n01443537"]
    prepare("imagenet2012", "5.1.0", tmp_path, splits, names, file_format="array_record")
    records = load_examples("imagenet", "val", data_dir=tmp_path)
    assert stylize({"val": records}, tmp_path / "out").stylized == 5
    counts = [len(list((tmp_path / "out" / "val" / name).iterdir())) for name in names]
    assert counts == [2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, r"`alpha` must be a number in \[0, 1\]"),
        ({"seed": -1}, "`seed` must be an integer"),
        ({"shard": 2, "shards": 2}, r"`shard` must be an integer in \[0, 2\). Received: shard=2"),
        ({"shards": 0}, "`shards` must be a positive integer"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"image_format": "gif"}, "`image_format` must be one of"),
        ({"painting_size": 0}, "`painting_size` must be a positive integer"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    stylize, splits, tmp_path, options, message
):
    with pytest.raises(ValueError, match=message):
        stylize(splits, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_wrong_splits_and_folders_are_refused(stylize, splits, tmp_path):
    with pytest.raises(ValueError, match=r"`splits` must have names of folders.*'a/b'"):
        stylize({"a/b": splits["train"]}, tmp_path / "out")
    with pytest.raises(ValueError, match="`splits` must have at least one split"):
        stylize({}, tmp_path / "out")
    with pytest.raises(ValueError, match="`splits` must hold what `load_examples` returns"):
        stylize({"train": "image_folder"}, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="`out` must be a folder"):
        stylize(splits, tmp_path / "file")


def test_a_folder_of_other_parameters_is_refused(stylize, splits, paintings, tmp_path):
    stylize({"val": splits["val"]}, tmp_path / "out")
    before = files(tmp_path / "out")
    for options, name in (({"seed": 5}, "seed"), ({"alpha": 0.5}, "alpha")):
        with pytest.raises(ValueError, match=f"same {name}"):
            stylize({"val": splits["val"]}, tmp_path / "out", **options)
    with pytest.raises(ValueError, match="same source of the split 'val'"):
        stylize({"val": splits["train"]}, tmp_path / "out")
    (paintings / "a.png").unlink()
    with pytest.raises(ValueError, match="same paintings"):
        stylize({"val": splits["val"]}, tmp_path / "out")
    assert files(tmp_path / "out") == before
    assert read_json(tmp_path / "out" / "stylized.json")["batch_size"] == 4
