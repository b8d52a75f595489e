"""A stylizer, paintings and class folders, all tiny."""

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.models.adain import AdaINStylizer
from tests.support.encoded_images import pixels
from tests.support.weights import randomize


@pytest.fixture(scope="session")
def stylizer() -> keras.Model:
    model = AdaINStylizer("block1_conv2", weights=None)
    randomize(model.get_layer("encoder"))
    kernel, bias = model.get_layer("decoder").weights[-2:]
    kernel.assign(5.0 * kernel)  # so that pixels lie between black and white, and differ
    bias.assign(bias + 120.0)
    return model


@pytest.fixture
def paintings(tmp_path):
    folder = tmp_path / "paintings"
    (folder / "more").mkdir(parents=True)
    for k, name in enumerate(("a.png", "b.jpg", "more/c.png", "d.png")):
        image = np.random.default_rng(k).integers(0, 60 * (k + 1), (20 + k, 30, 3), dtype="uint8")
        Image.fromarray(image).save(folder / name)
    return folder


@pytest.fixture
def photographs(tmp_path):
    """`train` with 7 + 5 files of two sizes, in PNG and JPEG, and `test` with 2 + 2."""
    root = tmp_path / "photographs"
    for split, counts in (("train", (7, 5)), ("test", (2, 2))):
        for name, count in zip(("brick", "wood"), counts, strict=True):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                size = (12, 16) if k % 3 else (9, 11)
                path = root / split / name / f"{name}_{k}.{'png' if k % 2 else 'jpg'}"
                Image.fromarray(pixels(*size, seed=10 * k + len(name))).save(path)
    return root
