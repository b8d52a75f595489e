"""texture_shapes as a TFDS builder, to be prepared on disk without a download.

Importing this module registers the builder, after which ``tfds.load("texture_shapes")`` finds it.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from srm_keras.data.texture_shapes import generator
from srm_keras.data.texture_shapes.drawing import SHAPE_NAMES
from srm_keras.data.texture_shapes.generator import (
    GENERATOR_VERSION,
    check_arguments,
    examples,
)
from srm_keras.data.texture_shapes.source import CLASS_NAMES
from srm_keras.data.texture_shapes.textures import TEXTURE_NAMES
from srm_keras.support.validation import one_of, positive_int

_CHUNK = 256
_IN_NAME = ("seed", "cue_correlation", "train_examples", "test_examples")


@dataclasses.dataclass(kw_only=True)
class TextureShapesConfig(tfds.core.BuilderConfig):
    """What ``srm_keras.data.texture_shapes.load_examples`` has as options.

    Attributes:
        name: Made of the options that are not the default's, so that two configs that differ
            never share a folder.
        label: ``"shape"`` or ``"texture"``: what the feature ``label`` holds. With ``"texture"``
            there is no split ``test_unseen_style``.
        size: Side of the images in pixels.
        seed: Of the data set.
        cue_correlation: Probability, in ``train`` and ``test``, that shape k has texture k.
        train_examples: Number of images in ``train``.
        test_examples: Number of images in each other split.

    Raises:
        ValueError: If an option is out of its range.
    """

    name: str = dataclasses.field(init=False)
    label: str = "shape"
    size: int = 32
    seed: int = 0
    cue_correlation: float = generator.CHANCE
    train_examples: int = generator.TRAIN_EXAMPLES
    test_examples: int = generator.TEST_EXAMPLES

    def __post_init__(self) -> None:
        self.seed, self.size, self.cue_correlation = check_arguments(
            self.seed, "train", self.size, self.cue_correlation
        )
        one_of("label", self.label, generator.LABEL_SPLITS)
        self.train_examples = positive_int("train_examples", self.train_examples)
        self.test_examples = positive_int("test_examples", self.test_examples)
        changed = [
            f"{field.name}_{getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if field.name in _IN_NAME and getattr(self, field.name) != field.default
        ]
        self.name = "_".join([self.label, str(self.size), *changed])


class TextureShapes(tfds.core.GeneratorBasedBuilder):
    """Shapes filled with textures, drawn by ``srm_keras.data.texture_shapes``."""

    VERSION = tfds.core.Version(GENERATOR_VERSION)
    BUILDER_CONFIGS = [  # noqa: RUF012
        TextureShapesConfig(
            description=f"{size}×{size} images; the label is the {label}.", label=label, size=size
        )
        for size in (32, 64)
        for label in CLASS_NAMES
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        return self.dataset_info_from_configs(
            description="Shapes filled with textures, drawn by a seeded generator.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(config.size, config.size, 3), encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(names=CLASS_NAMES[config.label]),
                    "shape": tfds.features.ClassLabel(names=SHAPE_NAMES),
                    "texture": tfds.features.ClassLabel(names=TEXTURE_NAMES),
                    "index": np.int64,
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # there is nothing to download
        splits = generator.LABEL_SPLITS[self.builder_config.label]
        return {split: self._generate_examples(split) for split in splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        count = config.train_examples if split == "train" else config.test_examples
        for start in range(0, count, _CHUNK):
            indices = np.arange(start, min(start + _CHUNK, count))
            drawn = examples(config.seed, split, indices, config.size, config.cue_correlation)
            labels = drawn.shapes if config.label == "shape" else drawn.textures
            for index, image, label, shape, texture in zip(
                indices, drawn.images, labels, drawn.shapes, drawn.textures, strict=True
            ):
                yield (
                    int(index),
                    {
                        "image": image,
                        "label": int(label),
                        "shape": int(shape),
                        "texture": int(texture),
                        "index": int(index),
                    },
                )


def prepare(data_dir: str | os.PathLike, **options: Any) -> Path:
    """Writes a texture_shapes data set to disk, unless it is there already.

    Args:
        data_dir: The folder of TFDS data sets.
        **options: The attributes of ``TextureShapesConfig``.

    Returns:
        The data set's own folder.

    Raises:
        ValueError: If an option is out of its range.
    """
    builder = TextureShapes(data_dir=os.fspath(data_dir), config=TextureShapesConfig(**options))
    builder.download_and_prepare()
    return Path(builder.data_dir)
