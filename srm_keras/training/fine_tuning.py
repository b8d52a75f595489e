"""How a run begins: with random weights, or with those of a trained network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.data.sources import imagenet
from srm_keras.interop.trained import read_trained
from srm_keras.models.head import head_of, load_weights, weighted_layers
from srm_keras.models.weights import (
    WEIGHTS_SUFFIX,
    Blueprint,
    Trained,
    Transfer,
    transfer_weights,
)
from srm_keras.support.files import read_json, sha256_of
from srm_keras.training import run_folder
from srm_keras.training.build import network_name
from srm_keras.training.fields import naming
from srm_keras.training.parts import freeze

_SHOWN = 4

Record = Mapping[str, Any]


class Beginning:
    """The initial weights of a run, which are read at step 0 and never again.

    A run that goes on from a checkpoint knows from its record which layers were new and what the
    trained network decided, so that the same network is built and the same layers are frozen,
    whatever has become of ``init``.

    Args:
        recipe: The resolved recipe.
        folder: The run folder; it may not exist yet.
        overwrite: Whether a run that it holds does not count.

    Raises:
        ValueError: If ``init`` cannot be read, or the record is missing.
    """

    def __init__(self, recipe: config_dict.ConfigDict, folder: Path, overwrite: bool):
        self._init = recipe.init
        self._freeze = tuple(recipe.freeze or ())
        self._network: Trained | None = None
        self.record: Record | None = None
        self.is_read = False
        if self._init is None:
            return
        if run_folder.has_checkpoint(folder) and not overwrite:
            self.record = _read_record(folder)
            return
        self.is_read = True
        if not self.of_bare_weights:
            options = recipe.model.options.to_dict()
            self._network = read_trained(self._init, network_name(recipe), "init", options)

    @property
    def of_bare_weights(self) -> bool:
        """Whether ``init`` is a file of weights alone, which fit one network only."""
        return self._init is not None and self._init.endswith(WEIGHTS_SUFFIX)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the network that ``init`` names; two made-up ones where it tells none."""
        known = None if self._network is None else self._network.classes
        return known or ("0", "1")

    @property
    def blueprint(self) -> Blueprint | None:
        """What the trained network decides of the one that is built; None where nothing does."""
        if self._network is not None:
            return Blueprint.of(self._network.model)
        recorded = (self.record or {}).get("blueprint")
        return None if recorded is None else Blueprint(**recorded)

    def apply(self, model: keras.Model, classes: Sequence[str]) -> None:
        """Loads the weights into the new network, freezes parts of it, and keeps the record.

        Raises:
            ValueError: If ``init`` is of another network, or ``freeze`` names what there is not.
        """
        if self._init is None:
            return
        if self.is_read:
            self.record = self._load(model, tuple(classes))
        assert self.record is not None
        frozen = freeze(model, self._freeze, self.record["new"])
        self.record = {**self.record, "frozen": frozen}

    def _load(self, model: keras.Model, classes: tuple[str, ...]) -> Record:
        """Give ``model`` the weights, and return what the record says of it."""
        if self._network is None:
            load_weights(model, self._init)
            found = Transfer(list(weighted_layers(model)), [], [])
            facts = {"sha256": sha256_of(Path(self._init)), **asdict(found)}
        else:
            same = same_classes(self._network, classes)
            found = transfer_weights(self._network.model, model, same)
            facts = {"sha256": self._network.sha256, **asdict(found)}
            facts["blueprint"] = asdict(Blueprint.of(self._network.model))
        return {"init": self._init, **facts}

    def told(self) -> str:
        """One line on what was loaded and what was not."""
        assert self.record is not None
        lists = (("new", "new"), ("unused", "of `init` not used"), ("frozen", "frozen"))
        parts = [f"{text}: {_names(self.record[name])}" for name, text in lists]
        return (
            f"Initial weights from {self.record['init']} (sha256 {self.record['sha256'][:16]}…): "
            f"{len(self.record['loaded'])} layers loaded; {'; '.join(parts)}"
        )


def _read_record(folder: Path) -> Record:
    path = folder / run_folder.INITIAL
    if not path.is_file():
        raise ValueError(
            f"`workdir` must hold {path.name}, which says what the run began from; pass "
            f"`overwrite` to begin again. Received: workdir={str(folder)!r}"
        )
    with naming(path.name):
        return read_json(path)


def same_classes(network: Trained, classes: tuple[str, ...]) -> bool:
    """Whether a network tells ``classes``: by their names or, where not known, their number."""
    if network.classes == imagenet.CLASS_NAMES:
        return classes in (imagenet.CLASS_NAMES, imagenet.WORDNET_IDS)
    if network.classes is not None:
        return network.classes == classes
    head = head_of(network.model)
    return head is not None and network.model.output_shape[-1] == len(classes)


def _names(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = len(names) - _SHOWN
    rest = f" and {more} more" if more > 0 else ""
    return f"{len(names)} ({', '.join(names[:_SHOWN])}{rest})"
