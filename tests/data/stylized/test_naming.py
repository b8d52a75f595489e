"""Names of images and of their copies."""

from pathlib import Path

import numpy as np
import pytest

from srm_keras.data import DatasetInfo, Examples, load_examples
from srm_keras.data.stylized.ledger import class_folders, image_names, output_stems


def examples(root, *paths, classes=("brick", "wood")):
    files = tuple(Path(root, path) for path in paths)
    labels = np.array([classes.index(next(p for p in f.parts if p in classes)) for f in files])
    info = DatasetInfo("image_folder", "train", len(files), len(classes), classes, (None, None, 3))
    return Examples(files, labels.astype("int32"), info)


def named(*arguments, **options):
    listed = examples(*arguments, **options)
    names = image_names(listed)
    return names, output_stems(listed, names)


def test_names_do_not_depend_on_where_the_folder_lies():
    files = ("brick/a.jpg", "wood/b.png")
    for root in ("/data/x/train", "/y/wood"):
        assert named(root, *files)[0] == list(files)


def test_copies_are_named_after_the_file_and_the_folders_besides_the_class():
    names, stems = named("/r", "brick/a.jpg", "brick/deep/er/a.jpg", "wood/wood/b.c.png")
    assert names == ["brick/a.jpg", "brick/deep/er/a.jpg", "wood/wood/b.c.png"]
    assert stems == ["a", "deep_er_a", "wood_b.c"]


def test_domains_above_the_class_are_part_of_the_name():
    assert named("/r", "Art/brick/1.jpg", "Real/brick/1.jpg")[1] == ["Art_1", "Real_1"]


@pytest.mark.parametrize(
    "files",
    [
        ("brick/a.jpg", "brick/a.png"),
        ("brick/x/a.jpg", "brick/x_a.jpg"),
        ("brick/a.jpg", "brick/A.jpg"),
    ],
)
def test_copies_that_would_have_one_name_get_two(files):
    stems = named("/r", *files, "wood/a.jpg")[1]
    assert len({stem.lower() for stem in stems[:2]}) == 2
    assert stems[2] == "a"
    reordered = named("/r", *files[::-1], "wood/a.jpg")[1]
    assert reordered[:2] == stems[1::-1]


def test_images_in_memory_are_named_by_position():
    drawn = load_examples("texture_shapes", "train", train_examples=3)
    names = image_names(drawn)
    assert names == output_stems(drawn, names) == ["000000", "000001", "000002"]


def test_names_that_are_not_utf8_are_refused():
    with pytest.raises(ValueError, match="File names must be UTF-8"):
        named("/r", "brick/\udcff.jpg", "wood/b.jpg")


def test_class_folders_keep_the_order_of_labels():
    assert class_folders(("brick", "wood")) == ["brick", "wood"]
    assert class_folders(("disc", "bar", "T-shirt/top")) == ["0_disc", "1_bar", "2_T-shirt_top"]
    many = class_folders(tuple(f"c{k}" for k in range(12)))
    assert many == sorted(many)
    assert many[10] == "10_c10"


def test_classes_with_one_folder_are_refused():
    with pytest.raises(ValueError, match="'a_b' twice"):
        class_folders(("a/b", "a_b"))
