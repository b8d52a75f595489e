"""The files that are timed: networks with modules, in forms and formats."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np

from srm_keras.export.deploy import deploy, in_float32
from srm_keras.export.folding import fold
from srm_keras.export.tflite.conversion import Conversion
from srm_keras.layers.conventions import MOMENTUM
from srm_keras.models import CifarResNet, ResNet18, ResNet50
from srm_keras.models.stylization import StylizationNet

DEPLOYED, LAYERS = "deploy form", "folded layers"

FORMS: dict[str, Callable[[keras.Model], keras.Model]] = {
    DEPLOYED: deploy,
    LAYERS: lambda model: fold(in_float32(model)),
}
"""What the exporters write; and the modules as ``fold`` leaves them, both in float32."""


def take_statistics(model: keras.Model, images: np.ndarray) -> None:
    """Set moving statistics to those of a batch: one step from zero takes 1 − momentum of them."""
    moving = [v for v in model.variables if v.name in ("moving_mean", "moving_variance")]
    for variable in moving:
        variable.assign(np.zeros(variable.shape))
    model(images, training=True)
    for variable in moving:
        variable.assign(variable / (1 - MOMENTUM))


PLAIN = "none"
INSTANCE_NORM = "instance norm"
IMAGES = 4


@dataclass(frozen=True)
class File:
    """What a TFLite file holds.

    Attributes:
        module: Name of a recalibration module, or ``"none"``; of stylization networks, which have
            batch norm else, also ``"instance norm"``.
        form: A key of ``FORMS``.
        format: Of ``srm_keras.export.to_tflite``.
    """

    module: str
    form: str = DEPLOYED
    format: str = "float32"

    def __str__(self) -> str:
        return f"{self.module}, {self.form}, {self.format}"

    @property
    def plain(self) -> "File":
        """The file without module that this one is compared with."""
        return File(PLAIN, DEPLOYED, self.format)


@dataclass(frozen=True)
class Network:
    """A network and the files of it that are timed beside each other.

    Attributes:
        name: For the report.
        build: The builder; takes ``recalibration`` and ``input_shape``.
        side: Of the images in pixels.
        files: What is timed; with each file its ``plain`` one.
    """

    name: str
    build: Callable[..., keras.Model]
    side: int
    files: tuple[File, ...]


def _files(deployed: tuple[str, ...], layers: tuple[str, ...]) -> tuple[File, ...]:
    return (
        *(File(module) for module in deployed),
        *(File(module, LAYERS) for module in layers),
        *(File(module, DEPLOYED, "int8") for module in (PLAIN, "se", "srm")),
    )


_ALL = _files(
    (PLAIN, "srm", "se", "ge", "eca", "cbam", "simam", "gct", "fca"), ("srm", "se", "eca")
)
_MAIN = _files((PLAIN, "srm", "se"), ("srm", "se"))

NETWORKS = (
    Network("ResNet-50", ResNet50, 224, _ALL),
    Network("ResNet-18", ResNet18, 224, _MAIN),
    Network("CifarResNet-56 (bottleneck)", partial(CifarResNet, 56), 32, _MAIN),
)
QUICK = (Network("CifarResNet-8 (basic)", partial(CifarResNet, 8, block="basic"), 16, _MAIN),)


def _stylizer(recalibration: str | None, input_shape: tuple[int, ...], **options) -> keras.Model:
    """A stylization network with batch norm and a module, or with instance norm."""
    if recalibration == INSTANCE_NORM:
        return StylizationNet("instance", input_shape=input_shape, **options)
    return StylizationNet("batch", recalibration, input_shape=input_shape, **options)


_STYLIZER_FILES = (
    *(File(module) for module in (PLAIN, "srm", "se", INSTANCE_NORM)),
    *(File(module, LAYERS) for module in (PLAIN, "srm", INSTANCE_NORM)),
)

STYLIZERS = (Network("StylizationNet", _stylizer, 256, _STYLIZER_FILES),)
TINY_STYLIZERS = (
    Network("StylizationNet", partial(_stylizer, filters=4, blocks=1), 16, _STYLIZER_FILES),
)


def write_files(
    network: Network, folder: Path, on_file: Callable[[File], object] = lambda file: None
) -> dict[File, Path]:
    """Write the files of a network, batch 1, with weights as they are initialized.

    Kernels and biases that start at zero are random and positive instead, and batch norms have the
    statistics of random images: XNNPACK has no integer kernels for tensors without range, as of
    gates that are constant or hidden units that are all dead.

    Args:
        network: What to write.
        folder: Where to, a folder that exists.
        on_file: Called after each file.
    """
    paths: dict[File, Path] = {}
    for module in dict.fromkeys(file.module for file in network.files):
        keras.backend.clear_session()
        model = _model(network, module)
        for file in network.files:
            if file.module == module:
                paths[file] = folder / f"{len(paths)}.tflite"
                paths[file].write_bytes(_convert(model, file, random_images(network)))
                on_file(file)
    return {file: paths[file] for file in network.files}


def random_images(network: Network) -> np.ndarray:
    """Images of normally distributed numbers, float32 (4, side, side, 3)."""
    shape = (IMAGES, network.side, network.side, 3)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def _model(network: Network, module: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = network.build(
        recalibration=None if module == PLAIN else module,
        input_shape=(network.side, network.side, 3),
    )
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.name != "beta" and not variable.numpy().any():
            variable.assign(rng.uniform(0.1, 0.3, variable.shape))
    take_statistics(model, random_images(network))
    return model


def _convert(model: keras.Model, file: File, images: np.ndarray) -> bytes:
    representative = None if file.format == "float32" else images
    conversion = Conversion(file.format, batch_size=1, representative=representative)
    return conversion.convert(FORMS[file.form](model))
