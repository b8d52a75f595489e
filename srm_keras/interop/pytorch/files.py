"""State dicts and checkpoints from files and memory as NumPy arrays, and back to files."""

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from srm_keras.support.files import check_no_lfs_pointer, write_atomically

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module")
"""Keys under which a checkpoint holds the weights as they were trained."""
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema")
"""Keys under which it holds their moving averages."""
COUNTERS = ("num_batches_tracked", "n_averaged")
"""Of batch norms and of ``torch.optim.swa_utils.AveragedModel``; nothing here reads them."""

_DEPTH = 4  # wrappers in wrappers
_PREFIX = re.compile(r"(?:(?:module|_orig_mod|model|net|network)\.)+")
# One of them is of every ResNet, by which the network is told from what lies beside it.
_FIRST = ("conv1.weight", "conv1.0.weight")


def unwrapped(values: Mapping[str, Any], ema: bool | None = None) -> dict[str, Any]:
    """Return the state dict of a network, under the names that the network itself gives.

    Wrappers are opened (``WRAPPERS``, ``AVERAGES``), prefixes of ``torch.compile``
    (``_orig_mod.``), ``DataParallel`` and ``AveragedModel`` (``module.``) and Lightning
    (``model.``) taken off, in any order, and ``COUNTERS`` left out. Which weights are taken, where
    there are several, is logged.

    Args:
        values: A state dict, or a checkpoint that holds one.
        ema: Take the moving averages of the weights (True), the weights as they were trained
            (False), or the averages where there are any (None).

    Raises:
        ValueError: There are no such weights.
    """
    averaged = False
    for _ in range(_DEPTH):
        averages = [name for name in AVERAGES if _is_state(values.get(name))]
        plain = [name for name in WRAPPERS if _is_state(values.get(name))]
        chosen = (averages if ema is not False else []) or plain
        if not chosen:
            break
        if averages and plain and ema is None:
            logging.warning(
                "The checkpoint holds weights (%s) and their moving averages (%s): the averages "
                "are taken (ema=False takes the weights)",
                plain[0],
                averages[0],
            )
        averaged = averaged or chosen[0] in averages
        values = values[chosen[0]]
    averaged = averaged or "n_averaged" in values
    if ema not in (None, averaged):
        there = "averages alone" if averaged else "no averages under " + ", ".join(AVERAGES)
        raise ValueError(f"`ema` must be {averaged} for these weights: they have {there}")
    return _without_prefix({str(name): value for name, value in values.items()})


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _without_prefix(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of the network, without what wrappers put before their names."""
    values = {name: v for name, v in values.items() if name.rpartition(".")[2] not in COUNTERS}
    prefix = _prefix(values)
    others = [name for name in values if not name.startswith(prefix)]
    if others:
        logging.warning(
            "The weights are those under %r; passed over: %s",
            prefix,
            ", ".join(others[:6]) + (f", … and {len(others) - 6} more" if others[6:] else ""),
        )
    start = len(prefix)
    return {name[start:]: v for name, v in values.items() if name.startswith(prefix)}


def _prefix(names: Mapping[str, Any]) -> str:
    """What comes before the network's own names: of all entries, or of the one network there."""
    firsts = [
        name.removesuffix(first) for first in _FIRST for name in names if name.endswith(first)
    ]
    candidates = [first for first in firsts if not first or _PREFIX.fullmatch(first)]
    if len(candidates) == 1:
        return candidates[0]
    matches = [_PREFIX.match(name) for name in names]
    prefixes = {match.group() if match else "" for match in matches}
    return prefixes.pop() if len(prefixes) == 1 else ""


SAFETENSORS = ".safetensors"
PICKLED = (".pth", ".pt", ".tar", ".bin", ".ckpt")

_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_REFUSED_CLASS = re.compile(r"GLOBAL (\S+) was not an allowed global")


def read_arrays(
    source: Mapping[str, Any] | str | os.PathLike, ema: bool | None = None
) -> dict[str, np.ndarray]:
    """Return a state dict as float32 arrays by name, out of whatever it was wrapped in.

    Args:
        source: Mapping from name to tensor or array, or path to a ``.safetensors`` file or to one
            of ``torch.save``, which is read with ``weights_only=True``: no code in it is run.
        ema: As for ``unwrapped``.

    Raises:
        ValueError: No such file, one that cannot be read in that way, an entry that is no array of
            numbers, or no weights of the kind that ``ema`` asks for.
        ImportError: ``torch`` or ``safetensors`` is needed and not installed.
    """
    values = source if isinstance(source, Mapping) else _read_file(source)
    return {name: _array(name, value) for name, value in unwrapped(values, ema).items()}


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a state dict to a ``.safetensors`` file, or to ``.pth`` or ``.pt`` by ``torch.save``.

    Raises:
        ValueError: Another ending.
        ImportError: ``torch`` or ``safetensors`` is needed and not installed.
    """
    path = check_target(path)
    if path.suffix == SAFETENSORS:
        save_file = _safetensors().save_file
        write_atomically(path, lambda file: save_file(dict(arrays), file, {"format": "pt"}))
    else:
        torch = _torch()
        write_atomically(path, lambda file: torch.save(as_tensors(arrays), file))


def check_target(path: str | os.PathLike) -> Path:
    """Return ``path`` if its ending is one that ``write_arrays`` writes, else ``ValueError``."""
    known = (SAFETENSORS, *PICKLED[:2])
    if Path(path).suffix not in known:
        raise ValueError(f"`path` must end in one of {known}. Received: path={str(path)!r}")
    return Path(path)


def as_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The arrays as torch tensors with memory of their own."""
    torch = _torch()
    return {name: torch.tensor(array) for name, array in arrays.items()}


def _read_file(source: Any) -> Mapping[str, Any]:
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            "`state_dict` must be a mapping from name to array or a path. "
            f"Received: state_dict of type {type(source).__name__}"
        )
    path = Path(source)
    if not path.is_file():
        raise ValueError(f"`state_dict` must be a file that exists. Received: {str(path)!r}")
    check_no_lfs_pointer("state_dict", path)
    if path.suffix == SAFETENSORS:
        values = _read_safetensors(path)
    elif path.suffix in PICKLED:
        values = _read_pickled(path)
    else:
        raise ValueError(
            f"`state_dict` must be a file in one of {(SAFETENSORS, *PICKLED)}. "
            f"Received: {str(path)!r}"
        )
    if not isinstance(values, Mapping):
        raise ValueError(
            "`state_dict` must hold a mapping from name to tensor. "
            f"Received: {str(path)!r}, which holds {type(values).__name__}"
        )
    return values


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    package = _safetensors()
    try:
        return package.load_file(path)
    except Exception as error:  # its own class, or KeyError for a type that NumPy lacks
        raise _unreadable(path, "safetensors", error) from None


def _read_pickled(path: Path) -> Any:
    torch = _torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old protocols, and of what the error tells anyhow
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, EOFError, RuntimeError, …
        raise _unreadable(path, "torch.load(weights_only=True)", error) from None


def _unreadable(path: Path, reader: str, error: Exception) -> ValueError:
    text = _TERMINAL_CODE.sub("", str(error)).strip()
    refused = _REFUSED_CLASS.search(text)
    if refused:
        return ValueError(
            f"`state_dict` must be a file of tensors alone. Received: {str(path)!r}, which holds "
            f"a {refused[1]} too, and to make one may run code. If you trust the file, load it "
            "with torch.load(weights_only=False) and save its state dict alone"
        )
    reason = text.split("\n")[0] or type(error).__name__
    if "weights_only" in reason:  # PyTorch's advice to read it without that
        script = "TorchScript" in reason
        reason = "it is a TorchScript archive" if script else "it is none of torch.save"
    return ValueError(
        f"`state_dict` must be a file of tensors that {reader} reads ({reason}). "
        f"Received: {str(path)!r}"
    )


def _array(name: str, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu().float().numpy()  # NumPy has no bfloat16
    try:
        return np.asarray(value, "float32")
    except (TypeError, ValueError):
        raise ValueError(
            "`state_dict` must hold arrays of numbers. "
            f"Received: {name!r} of type {type(value).__name__}"
        ) from None


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError("PyTorch tensors need the package 'torch': pip install torch") from error
    return torch


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            ".safetensors files need the package 'safetensors': pip install safetensors"
        ) from error
    return safetensors.numpy
