"""State dicts of PyTorch ResNets; ``torch`` itself is imported only where tensors are made."""

from srm_keras.interop.pytorch.architecture import StateDictError, TorchResNet, describe
from srm_keras.interop.pytorch.files import read_arrays
from srm_keras.interop.pytorch.names import AUTHORS_SRM, LAYOUTS
from srm_keras.interop.pytorch.state_dict import (
    from_torch_state_dict,
    save_torch_state_dict,
    to_torch_state_dict,
)
from srm_keras.interop.pytorch.timm import from_timm, list_timm

__all__ = [
    "AUTHORS_SRM",
    "LAYOUTS",
    "StateDictError",
    "TorchResNet",
    "describe",
    "from_timm",
    "from_torch_state_dict",
    "list_timm",
    "read_arrays",
    "save_torch_state_dict",
    "to_torch_state_dict",
]
