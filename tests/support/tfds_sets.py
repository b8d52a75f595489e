"""Tiny data sets as TFDS prepares them, under the names and with the features of real ones."""

import pathlib

import numpy as np
import tensorflow_datasets as tfds


def prepare(
    name: str,
    version: str,
    data_dir: pathlib.Path,
    splits: dict[str, tuple[np.ndarray, np.ndarray]],
    class_names: list[str],
    file_format: str = "tfrecord",
    encoding: str = "png",
) -> None:
    """Writes `data_dir/name/version` with (images (N, H, W, 3), labels (N,)) for each split."""

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        pkg_dir_path = pathlib.Path(__file__).parent

        def _info(self):
            image = tfds.features.Image(shape=(None, None, 3), encoding_format=encoding)
            label = tfds.features.ClassLabel(names=class_names)
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(*pairs) for split, pairs in splits.items()}

        def _generate_examples(self, images, labels):
            for k, (image, label) in enumerate(zip(images, labels, strict=True)):
                yield k, {"image": image, "label": int(label)}

    Tiny.name = name
    Tiny(data_dir=data_dir, file_format=file_format).download_and_prepare()
