"""Domains and groups from file names, and `verify=False`."""

import re

import numpy as np
import pytest
from PIL import Image

from srm_keras import data

NAMES = ("quake_001_0.png", "quake_001_1.png", "quake_002_0.png", "moon_001_0.png")
PATTERNS = {"domain_pattern": "^([^_]+)_", "group_pattern": r"_(\d+)_\d+\."}


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "test"):
        for name in ("grass", "rust"):
            for k, file in enumerate(NAMES):
                path = tmp_path / split / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((4, 4, 3), k, "uint8")).save(path)
    return tmp_path


def test_tags_follow_the_names(folder):
    examples = data.load_examples("image_folder", "train", data_dir=folder, **PATTERNS)
    for path, domain, group in zip(examples.images, examples.domains, examples.groups, strict=True):
        assert domain == path.name.split("_")[0]
        assert group == "/".join(path.name.split("_")[:2])
    assert set(examples.groups) == {"quake/001", "quake/002", "moon/001"}


def test_one_pattern_alone(folder):
    options = {"data_dir": folder, "group_pattern": PATTERNS["group_pattern"]}
    examples = data.load_examples("image_folder", "train", **options)
    assert examples.domains is None
    assert set(examples.groups) == {"001", "002"}


def test_tags_stay_with_their_images_when_files_are_skipped(folder):
    bad = folder / "train" / "rust" / NAMES[3]
    bad.write_bytes(b"")
    examples = data.load_examples(
        "image_folder", "train", data_dir=folder, on_error="skip", **PATTERNS
    )
    assert len(examples) == len(examples.domains) == 7
    for path, domain in zip(examples.images, examples.domains, strict=True):
        assert path.name.startswith(domain)


def test_without_verification_nothing_is_opened(folder):
    bad = folder / "train" / "rust" / NAMES[3]
    bad.write_bytes(b"")
    checked = data.load_examples("image_folder", "test", data_dir=folder)
    examples = data.load_examples("image_folder", "train", data_dir=folder, verify=False)
    assert bad in examples.images
    assert examples.info.image_shape == (None, None, 3)
    assert checked.info.image_shape == (4, 4, 3)
    with pytest.raises(ValueError, match=re.escape(str(bad))):
        data.load_examples("image_folder", "train", data_dir=folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain_pattern": "^quake()_"}, "`domain_pattern` must match every file's name. 2 do"),
        ({"group_pattern": "^(moon)?_"}, "`group_pattern` must match every file's name. 6 do"),
        ({"domain_pattern": "^[a-z]+_"}, "`domain_pattern` must have exactly one group, as in"),
        ({"domain_pattern": "("}, "`domain_pattern` must be a regular expression ("),
        ({"group_pattern": 3}, "`group_pattern` must be a regular expression ("),
        ({"verify": 0}, "`verify` must be True or False"),
        ({"verify": False, "on_error": "skip"}, "`on_error` must be 'raise' with verify=False"),
    ],
)
def test_bad_options(folder, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load("image_folder", "train", data_dir=folder, **options)
