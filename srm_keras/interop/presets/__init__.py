"""Trained networks with all that is needed to use them: folders without code."""

from srm_keras.interop.presets.preset import Preset, is_preset_name, load_preset, save_preset
from srm_keras.interop.presets.preset_files import read_card

__all__ = ["Preset", "is_preset_name", "load_preset", "read_card", "save_preset"]
