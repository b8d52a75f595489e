"""Weights of PyTorch ResNets into the networks of this package, and back."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from srm_keras.interop.pytorch.architecture import StateDictError, describe
from srm_keras.interop.pytorch.files import (
    as_tensors,
    check_target,
    read_arrays,
    write_arrays,
)
from srm_keras.interop.pytorch.names import HEAD, Entry, network_entries
from srm_keras.support.validation import boolean


def from_torch_state_dict(
    model: keras.Model,
    state_dict: Mapping[str, Any] | str | os.PathLike,
    head: bool = True,
    ema: bool | None = None,
) -> keras.Model:
    """Load the weights of a PyTorch ResNet into ``model``: the same logits for the same images.

    Read are plain ResNets of torchvision and timm; timm's ``seresnet*`` and ResNets with its ECA;
    the SRM authors' ResNets with SRM, SE or global Gather-Excite. The layout is told by the names.
    Everything is checked before anything is assigned.

    Args:
        model: The same architecture, built by ``ResNet18`` … ``ResNet152`` with
            ``stride_in="3x3"``. The authors' SRM is ``AUTHORS_SRM``: unbiased, and with next to no
            ``epsilon``, for which their torch.std has no place (1e-5 moves logits by up to 1e-3).
        state_dict: Tensors or arrays by name, alone or in a checkpoint (``"state_dict"``,
            ``"model"``, …; with the prefixes of DataParallel, torch.compile or Lightning), or a
            path to a ``.safetensors``, ``.pth``, ``.pt``, ``.tar``, ``.bin`` or ``.ckpt`` file.
        head: Load the classifier. With False the network keeps its own, as for another number of
            classes. A network with ``include_top=False`` never has one.
        ema: Of a checkpoint that holds moving averages of the weights too, take them (True), the
            weights (False), or the averages where there are any (None), which is logged.

    Returns:
        ``model``.

    Raises:
        StateDictError: A ``ValueError`` with the names of the missing, unexpected and wrongly
            shaped entries.
        ValueError: A state dict of another architecture, a network that PyTorch's ResNets are
            not, a file that cannot be read, no weights of the kind that ``ema`` asks for, or an
            entry with NaN or infinity, which is named.
        ImportError: ``torch`` or ``safetensors`` is needed and not installed.

    Example:
        >>> model = srm_keras.models.ResNet50(recalibration=srm_keras.interop.AUTHORS_SRM)
        >>> from_torch_state_dict(model, "srm_resnet50.pth.tar")
    """
    boolean("head", head)
    arrays = read_arrays(state_dict, ema)
    found = describe(arrays)
    wanted = network_entries(model, found.layout)
    if not head or not any(entry.name.startswith(HEAD) for entry in wanted):
        wanted = [entry for entry in wanted if not entry.name.startswith(HEAD)]
        arrays = {name: array for name, array in arrays.items() if not name.startswith(HEAD)}
    _check(wanted, arrays, str(found))
    _refuse_not_finite([entry.name for entry in wanted], arrays)
    values = [(entry.variable, entry.to_keras(arrays[entry.name])) for entry in wanted]
    for variable, value in values:
        variable.assign(value)
    return model


def to_torch_state_dict(model: keras.Model, layout: str = "torchvision") -> dict[str, Any]:
    """Return the weights of ``model`` as a PyTorch ResNet's ``load_state_dict`` takes them.

    Args:
        model: As for ``from_torch_state_dict``.
        layout: ``"torchvision"`` (no modules), ``"timm"`` (SE, ECA) or ``"authors"`` (SRM, SE, GE).

    Returns:
        Torch tensors by name, all that ``state_dict()`` has; ``num_batches_tracked`` is 0.

    Raises:
        ValueError: An unknown layout, or a network that it cannot hold.
        ImportError: ``torch`` is not installed.
    """
    return as_tensors(_torch_arrays(model, layout))


def save_torch_state_dict(
    model: keras.Model, path: str | os.PathLike, layout: str = "torchvision"
) -> None:
    """Write what ``to_torch_state_dict`` returns to a ``.safetensors``, ``.pth`` or ``.pt`` file.

    For ``.safetensors`` PyTorch need not be installed.

    Args:
        model: As for ``from_torch_state_dict``.
        path: Of the file; it appears whole or not at all.
        layout: As for ``to_torch_state_dict``.

    Raises:
        ValueError: As ``to_torch_state_dict``, or another ending of ``path``.
        ImportError: ``torch`` or ``safetensors`` is needed and not installed.
    """
    check_target(path)
    write_arrays(path, _torch_arrays(model, layout))


def _torch_arrays(model: keras.Model, layout: str) -> dict[str, np.ndarray]:
    arrays = {}
    for entry in network_entries(model, layout):
        arrays[entry.name] = entry.to_torch()
        if entry.name.endswith(".running_var"):
            counter = f"{entry.name.removesuffix('running_var')}num_batches_tracked"
            arrays[counter] = np.zeros((), "int64")
    return arrays


def _check(wanted: Sequence[Entry], arrays: Mapping[str, np.ndarray], found: str) -> None:
    names = {entry.name for entry in wanted}
    missing = [entry.name for entry in wanted if entry.name not in arrays]
    unexpected = [name for name in arrays if name not in names]
    misshaped = [
        f"{entry.name} is {arrays[entry.name].shape}, must be {entry.shape}"
        for entry in wanted
        if entry.name in arrays and arrays[entry.name].shape != entry.shape
    ]
    if missing or unexpected or misshaped:
        raise StateDictError(
            found + _advice(missing, unexpected, misshaped), missing, unexpected, misshaped
        )


def _refuse_not_finite(names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> None:
    bad = [name for name in names if not np.isfinite(arrays[name]).all()]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise ValueError(
            "`state_dict` must hold finite numbers. "
            f"Received: NaN or infinity (in float32) in {bad[0]!r}{more}"
        )


def _advice(*mismatches: Sequence[str]) -> str:
    """What helps where only the classifier does not fit."""
    if all(name.startswith(HEAD) for names in mismatches for name in names):
        return " (head=False leaves the network its own classifier)"
    return ""
