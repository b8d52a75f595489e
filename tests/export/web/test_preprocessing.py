"""The page's preprocessing.js, run by Node.js, against TensorFlow."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from srm_keras.data.preprocessing import Preprocessing
from srm_keras.support.files import write_json

SIDES = [(72, 72), (37, 61), (61, 37), (16, 200), (3, 5), (1, 1), (301, 17), (64, 64), (20, 23)]
KINDS = [
    Preprocessing(image_size=64, resize=72),
    Preprocessing(image_size=16, resize=20, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
    Preprocessing(image_size=15, mean=0.3, std=0.4),
    Preprocessing(image_size=28, channels=1, mean=0.286, std=0.353),
    Preprocessing(image_size=28, resize=28, channels=1),
    Preprocessing(image_size=16, resize=20, interpolation="bicubic"),
]


def images():
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for height, width in SIDES:
            image = rng.integers(0, 256, (height, width, 3), dtype="uint8")
            yield kind, image if kind.channels == 3 else np.repeat(image[..., :1], 3, axis=-1)


def test_images_are_prepared_as_tensorflow_does(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("missing: Node.js")
    cases = list(images())
    for i, (_, image) in enumerate(cases):
        alpha = np.random.default_rng(i).integers(0, 256, (*image.shape[:2], 1), dtype="uint8")
        np.concatenate([image, alpha], axis=-1).tofile(tmp_path / f"{i}.rgba")
    plan = [
        {"width": image.shape[1], "height": image.shape[0], "preprocessing": kind.to_dict()}
        for kind, image in cases
    ]
    write_json(tmp_path / "cases.json", plan)
    script = Path(__file__).with_name("prepare.mjs")
    subprocess.run(["node", str(script), str(tmp_path)], check=True, timeout=60)
    for i, (kind, image) in enumerate(cases):
        expected = kind.evaluation(image[..., : kind.channels]).numpy()
        actual = np.fromfile(tmp_path / f"{i}.bin", "float32").reshape(expected.shape)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4, err_msg=str(image.shape))
