"""Recalibration layers, those of style transfer, and what drops: ``keras.ops``, any data format."""

from srm_keras.layers.base import Recalibration
from srm_keras.layers.cbam import CBAM
from srm_keras.layers.channel_mlp import ChannelMLP
from srm_keras.layers.channelwise_dense import ChannelwiseDense
from srm_keras.layers.dropping import Dropout, StochasticDepth
from srm_keras.layers.eca import ECA
from srm_keras.layers.fca import FCA
from srm_keras.layers.gather_excite import GatherExcite
from srm_keras.layers.gct import GCT
from srm_keras.layers.instance_norm import AdaptiveInstanceNormalization, InstanceNormalization
from srm_keras.layers.reflection import PadToMultiple, ReflectionConv2D, ReflectionPadding2D
from srm_keras.layers.registry import (
    Spec,
    list_recalibrations,
    neutral,
    recalibration,
    spec_label,
)
from srm_keras.layers.simam import SimAM
from srm_keras.layers.squeeze_excite import SqueezeExcite
from srm_keras.layers.srm import SRM
from srm_keras.layers.style_pooling import StylePooling

__all__ = [
    "CBAM",
    "ECA",
    "FCA",
    "GCT",
    "SRM",
    "AdaptiveInstanceNormalization",
    "ChannelMLP",
    "ChannelwiseDense",
    "Dropout",
    "GatherExcite",
    "InstanceNormalization",
    "PadToMultiple",
    "Recalibration",
    "ReflectionConv2D",
    "ReflectionPadding2D",
    "SimAM",
    "Spec",
    "SqueezeExcite",
    "StochasticDepth",
    "StylePooling",
    "list_recalibrations",
    "neutral",
    "recalibration",
    "spec_label",
]
