"""Recalibration layers: ``keras.ops`` only, any backend, any data format."""

from srm_keras.layers.base import Recalibration
from srm_keras.layers.cbam import CBAM
from srm_keras.layers.channel_mlp import ChannelMLP
from srm_keras.layers.channelwise_dense import ChannelwiseDense
from srm_keras.layers.eca import ECA
from srm_keras.layers.gather_excite import GatherExcite
from srm_keras.layers.registry import Spec, list_recalibrations, recalibration, spec_label
from srm_keras.layers.squeeze_excite import SqueezeExcite
from srm_keras.layers.srm import SRM
from srm_keras.layers.style_pooling import StylePooling

__all__ = [
    "CBAM",
    "ECA",
    "SRM",
    "ChannelMLP",
    "ChannelwiseDense",
    "GatherExcite",
    "Recalibration",
    "Spec",
    "SqueezeExcite",
    "StylePooling",
    "list_recalibrations",
    "recalibration",
    "spec_label",
]
