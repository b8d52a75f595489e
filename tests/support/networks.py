"""Small networks of each kind, for the contract tests."""

import keras

from srm_keras.layers import Recalibration
from srm_keras.models import CifarResNet, ResNet, ResNet18, ResNet50
from srm_keras.models.surgery.functional import rebuild

SHAPE = (32, 32, 3)
# Every option of `ResNet` that timm's variants have, in one network of a block a stage.
VARIANT = {
    "blocks": (1, 1, 1, 1),
    "stem": "deep_tiered",
    "stem_pool": "conv",
    "shortcut": "average",
    "cardinality": 4,
    "base_width": 8,
    "downsampling": "average",
}


def _shape(data_format: str) -> tuple[int, ...]:
    return SHAPE if data_format == "channels_last" else (3, *SHAPE[:2])


def small_network(kind: str, recalibration, data_format: str = "channels_last", **options):
    """Build a network of ``kind`` for 32×32 images and 5 classes."""
    builder, settings = {
        "cifar_bottleneck": (CifarResNet, {"depth": 8}),
        "cifar_basic": (CifarResNet, {"depth": 8, "block": "basic", "shortcut": "identity"}),
        "resnet18": (ResNet18, {}),
        "resnet50": (ResNet50, {}),
        "variant": (ResNet, VARIANT),
        "ungrouped": (ResNet, {**VARIANT, "block": "basic", "cardinality": 1, "base_width": 64}),
    }[kind]
    return builder(
        **settings,
        recalibration=recalibration,
        classes=5,
        input_shape=_shape(data_format),
        data_format=data_format,
        **options,
    )


def with_factors(model, factor: float = 2.0):
    """``model`` as networks with modules that started neutral were before modules had a gain."""

    def change(module):
        factors = keras.layers.Rescaling(factor, name=f"{module.name}_scale")
        return lambda x: factors(module(x))

    return rebuild(model, {id(module): change for module in _modules(model)})


def _modules(model):
    """The modules of a model and of the models inside of it."""
    for layer in model.layers:
        if isinstance(layer, Recalibration):
            yield layer
        elif isinstance(layer, keras.Model):
            yield from _modules(layer)
