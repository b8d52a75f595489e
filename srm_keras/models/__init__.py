"""Functional networks that take a recalibration spec, and modules put into any other network."""

from srm_keras.models.adain import AdaINStylizer
from srm_keras.models.catalog import build, check_build, list_models
from srm_keras.models.cifar_resnet import CifarResNet
from srm_keras.models.feature_network import feature_network
from srm_keras.models.pyramid import PyramidBackbone, as_backbone, pyramid_outputs
from srm_keras.models.residual import IdentityShortcut
from srm_keras.models.resnet import ResNet, ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from srm_keras.models.stylization import CropToMatch, StylizationNet
from srm_keras.models.surgery.insertion import insert_recalibration
from srm_keras.models.surgery.replacement import remove_recalibration, replace_recalibration
from srm_keras.models.weights import list_weights

__all__ = [
    "AdaINStylizer",
    "CifarResNet",
    "CropToMatch",
    "IdentityShortcut",
    "PyramidBackbone",
    "ResNet",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "StylizationNet",
    "as_backbone",
    "build",
    "check_build",
    "feature_network",
    "insert_recalibration",
    "list_models",
    "list_weights",
    "pyramid_outputs",
    "remove_recalibration",
    "replace_recalibration",
]
