"""Weights from elsewhere: presets, PyTorch ResNets and ``keras.applications``."""

from srm_keras.interop.conversion import convert, convert_to_torch
from srm_keras.interop.keras_applications import from_keras_applications
from srm_keras.interop.presets import Preset, load_preset, save_preset
from srm_keras.interop.pytorch import (
    AUTHORS_SRM,
    StateDictError,
    from_timm,
    from_torch_state_dict,
    list_timm,
    save_torch_state_dict,
    to_torch_state_dict,
)
from srm_keras.interop.trained import read_trained
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.weights import Trained

__all__ = [
    "AUTHORS_SRM",
    "Preset",
    "StateDictError",
    "Trained",
    "convert",
    "convert_to_torch",
    "from_keras_applications",
    "from_timm",
    "from_torch_state_dict",
    "list_timm",
    "load_preset",
    "read_keras_file",
    "read_trained",
    "save_preset",
    "save_torch_state_dict",
    "to_torch_state_dict",
]
