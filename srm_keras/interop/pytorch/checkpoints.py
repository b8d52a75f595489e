"""The state dict in what people save: wrappers, averages, prefixes of other wrappers' making."""

import re
from collections.abc import Mapping
from typing import Any

from absl import logging

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module")
"""Keys under which a checkpoint holds the weights as they were trained."""
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema")
"""Keys under which it holds their moving averages."""
COUNTERS = ("num_batches_tracked", "n_averaged")
"""Of batch norms and of `torch.optim.swa_utils.AveragedModel`; nothing here reads them."""

_DEPTH = 4  # wrappers in wrappers
_PREFIX = re.compile(r"(?:(?:module|_orig_mod|model|net|network)\.)+")
_FIRST = "conv1.weight"  # of every ResNet, by which the network is told from what lies beside it


def unwrapped(values: Mapping[str, Any], ema: bool | None = None) -> dict[str, Any]:
    """Return the state dict of a network, under the names that the network itself gives.

    Wrappers are opened (`WRAPPERS`, `AVERAGES`), prefixes of `torch.compile` (`_orig_mod.`),
    `DataParallel` and `AveragedModel` (`module.`) and Lightning (`model.`) taken off, in any order,
    and `COUNTERS` left out. Which weights are taken, where there are several, is logged.

    Args:
        values: a state dict, or a checkpoint that holds one.
        ema: take the moving averages of the weights (True), the weights as they were trained
            (False), or the averages where there are any (None).

    Raises:
        ValueError: there are no such weights.
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
    firsts = [name.removesuffix(_FIRST) for name in names if name.endswith(_FIRST)]
    candidates = [first for first in firsts if not first or _PREFIX.fullmatch(first)]
    if len(candidates) == 1:
        return candidates[0]
    matches = [_PREFIX.match(name) for name in names]
    prefixes = {match.group() if match else "" for match in matches}
    return prefixes.pop() if len(prefixes) == 1 else ""
