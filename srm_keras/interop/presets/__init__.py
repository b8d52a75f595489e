"""Trained networks with all that is needed to use them: folders without code."""

from srm_keras.interop.presets.keras_file import read_keras_file
from srm_keras.interop.presets.preset import Preset, load_preset, save_preset

__all__ = ["Preset", "load_preset", "read_keras_file", "save_preset"]
