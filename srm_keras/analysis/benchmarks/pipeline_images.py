"""JPEG files of the size of ImageNet's, to measure input pipelines on without ImageNet."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

_OCTAVES = ((4, 60.0), (16, 30.0), (64, 15.0), (256, 10.0))
"""Cells along the longer side and amplitude of each layer of noise."""

_GRAIN = 17.0


def write_jpegs(folder: Path, count: int, classes: int = 2, seed: int = 0) -> list[Path]:
    """Writes made-up photographs: noise with the spectrum of natural images.

    They are 500×375 or 375×500 at quality 90 and take about 110 kB, as ImageNet's do on average
    (138 GB, 1.28 million files).

    Args:
        folder: Gets one folder a class.
        count: Number of files.
        classes: Number of classes.
        seed: Of the noise.

    Returns:
        Their paths.
    """
    paths = [folder / f"class_{k % classes}" / f"{k:05d}.jpg" for k in range(count)]
    for path in paths[:classes]:
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda item: _write(item[1], (seed, item[0])), enumerate(paths)))
    return paths


def _write(path: Path, seed: tuple[int, int]) -> None:
    generator = np.random.default_rng(seed)
    width, height = (500, 375) if generator.random() < 0.7 else (375, 500)
    image = np.full((height, width, 3), 128, "float32")
    for cells, amplitude in _OCTAVES:
        noise = generator.normal(0, amplitude, (3, cells * height // 500 + 2, cells))
        for channel in range(3):
            layer = Image.fromarray(noise[channel].astype("float32"))
            image[..., channel] += layer.resize((width, height), Image.Resampling.BICUBIC)
    image += generator.normal(0, _GRAIN, (height, width, 1))
    Image.fromarray(np.clip(image, 0, 255).astype("uint8")).save(path, quality=90)
