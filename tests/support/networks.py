"""Small networks of each kind, for the contract tests."""

from srm_keras.models import CifarResNet, ResNet18, ResNet50

SHAPE = (32, 32, 3)


def _shape(data_format: str) -> tuple[int, ...]:
    return SHAPE if data_format == "channels_last" else (3, *SHAPE[:2])


def small_network(kind: str, recalibration, data_format: str = "channels_last", **options):
    """Build a network of ``kind`` for 32×32 images and 5 classes."""
    builder, settings = {
        "cifar_bottleneck": (CifarResNet, {"depth": 8}),
        "cifar_basic": (CifarResNet, {"depth": 8, "block": "basic", "shortcut": "identity"}),
        "resnet18": (ResNet18, {}),
        "resnet50": (ResNet50, {}),
    }[kind]
    return builder(
        **settings,
        recalibration=recalibration,
        classes=5,
        input_shape=_shape(data_format),
        data_format=data_format,
        **options,
    )
