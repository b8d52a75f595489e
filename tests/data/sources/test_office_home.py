"""Office-Home from folders of a few images."""

import numpy as np
import pytest
from PIL import Image

from srm_keras import data
from srm_keras.data.sources.office_home import DOMAINS

CLASSES = ("Alarm_Clock", "Desk_Lamp")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for d, domain in enumerate(DOMAINS):
        for name in CLASSES:
            for k in range(2 + d):
                path = tmp_path / domain / name / f"{k:05d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (6 + k, 8, 3), dtype="uint8")).save(path)
    (tmp_path / "ImageInfo.csv").write_text("")
    return tmp_path


def test_domains_and_classes_are_those_of_the_folders(folder):
    examples = data.load_examples("office_home", "all", data_dir=folder)
    assert len(examples) == 2 * (2 + 3 + 4 + 5)
    assert examples.info.class_names == CLASSES
    assert examples.info.image_shape == (None, None, 3)
    assert examples.groups is None
    for path, label, domain in zip(examples.images, examples.labels, examples.domains, strict=True):
        assert path.relative_to(folder).parts[:2] == (domain, CLASSES[label])
    assert set(examples.domains) == set(DOMAINS)


def test_errors(folder):
    for options in ({}, {"data_dir": folder / "Art"}):
        with pytest.raises(ValueError, match="must be Office-Home's folder") as error:
            data.load("office_home", "all", **options)
        assert "hemanthdv.org/officeHomeDataset" in str(error.value)
    with pytest.raises(ValueError, match=r"`split` must be one of \['all'\]"):
        data.load("office_home", "train", data_dir=folder)
    (folder / "Product" / "Desk_Lamp").rename(folder / "Product" / "Lamp")
    with pytest.raises(ValueError, match=r"none in Art/Lamp, .*, Product/Desk_Lamp, "):
        data.load("office_home", "all", data_dir=folder)
