"""The networks of the parity matrix, with random weights and the images they run on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from srm_keras.data import Preprocessing, texture_shapes
from srm_keras.export.random_statistics import take_statistics
from srm_keras.models import CifarResNet, ResNet18, ResNet50

CLASSES = 10
TRAIN_IMAGES = 256
STATISTICS_IMAGES = 64
DAMPING = 0.25


@dataclass(frozen=True)
class Network:
    """A network of the matrix.

    Attributes:
        build: its builder.
        side: of the images in pixels.
        branch_end: how the names of the batch norms end that end a residual branch.
    """

    build: Callable[..., keras.Model]
    side: int
    branch_end: str


NETWORKS = {
    "cifar_resnet8_bottleneck": Network(partial(CifarResNet, 8), 32, "_3_bn"),
    "cifar_resnet56_bottleneck": Network(partial(CifarResNet, 56), 32, "_3_bn"),
    "resnet18": Network(ResNet18, 64, "_2_bn"),
    "resnet50": Network(ResNet50, 64, "_3_bn"),
}
FULL = ("cifar_resnet56_bottleneck", "resnet18", "resnet50")
QUICK = ("cifar_resnet8_bottleneck",)
MODULES = ("none", "srm", "se", "ge", "eca", "cbam")


@dataclass(frozen=True)
class Images:
    """Prepared images of texture_shapes.

    Attributes:
        train: float32 (256, side, side, 3): the integer formats take their ranges from them, and
            batch norm its statistics from the first 64.
        test: float32 (N, side, side, 3): outputs are compared on them.
    """

    train: np.ndarray
    test: np.ndarray


def images(side: int, samples: int) -> Images:
    """Draw the images for networks that read ``side`` × ``side`` pixels."""
    prepare = Preprocessing(image_size=side).evaluation

    def split(name: str) -> np.ndarray:
        drawn = texture_shapes.load_examples(
            name, size=side, train_examples=TRAIN_IMAGES, test_examples=samples
        )
        return prepare(drawn.images).numpy()

    return Images(split("train"), split("test"))


def random_network(network: str, module: str, train: np.ndarray, seed: int) -> keras.Model:
    """Build a network that gives logits, with random weights that make it much like a trained one.

    Its batch norms have the statistics of ``train``, its residual branches are small beside their
    shortcuts, and its logits have mean 0 over ``train``, so that no class always wins. Otherwise
    activations grow from block to block, and float32 itself is the largest error of all.

    Args:
        network: a key of ``NETWORKS``.
        module: one of ``MODULES``.
        train: prepared images.
        seed: of the weights.
    """
    settings = NETWORKS[network]
    model = settings.build(
        recalibration=None if module == "none" else module,
        input_shape=(settings.side, settings.side, 3),
        classes=CLASSES,
        classifier_activation=None,
    )
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(_random_value(rng, variable.name, tuple(variable.shape)))
    for layer in model.layers:
        if layer.name.endswith(settings.branch_end):
            layer.gamma.assign(DAMPING * layer.gamma)
    train = train[:STATISTICS_IMAGES]
    take_statistics(model, train)
    classifier = model.get_layer("logits")
    classifier.bias.assign(classifier.bias - keras.ops.mean(model(train, training=False), axis=0))
    return model


def _random_value(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name == "gamma":
        return rng.uniform(0.5, 1.5, shape)
    if name in ("beta", "bias"):
        return rng.normal(0.0, 0.2, shape)
    if name in ("moving_mean", "moving_variance"):
        return np.zeros(shape)
    fan_in = max(int(np.prod(shape[:-1])), 1)
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)
