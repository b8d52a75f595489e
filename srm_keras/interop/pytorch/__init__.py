"""State dicts of PyTorch ResNets; ``torch`` itself is imported only where tensors are made."""

from srm_keras.interop.pytorch.architecture import TorchResNet, describe
from srm_keras.interop.pytorch.files import read_arrays
from srm_keras.interop.pytorch.mismatch import StateDictError
from srm_keras.interop.pytorch.modules import AUTHORS_SRM
from srm_keras.interop.pytorch.names import LAYOUTS
from srm_keras.interop.pytorch.state_dict import (
    from_torch_state_dict,
    save_torch_state_dict,
    to_torch_state_dict,
)

__all__ = [
    "AUTHORS_SRM",
    "LAYOUTS",
    "StateDictError",
    "TorchResNet",
    "describe",
    "from_torch_state_dict",
    "read_arrays",
    "save_torch_state_dict",
    "to_torch_state_dict",
]
