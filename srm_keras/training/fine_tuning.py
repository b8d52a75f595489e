"""How a run begins: with random weights, or with those of a trained network."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.interop.presets import is_preset_name, load_preset
from srm_keras.layers import Recalibration
from srm_keras.layers.state import copy_state
from srm_keras.models.flatten import flatten
from srm_keras.models.head import head_of, weighted_layers
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.surgery.insertion import SCALE_SUFFIX, is_scale
from srm_keras.support.files import read_json
from srm_keras.training import run_folder
from srm_keras.training.fields import naming
from srm_keras.training.parts import freeze


@dataclass(frozen=True)
class InitialNetwork:
    """A trained network.

    Attributes:
        model: The network, uncompiled.
        classes: The name of each output, or None where it is not known.
        sha256: Of the file, or of the preset's manifest.
    """

    model: keras.Model
    classes: tuple[str, ...] | None
    sha256: str


def read_initial_network(init: str) -> InitialNetwork:
    """Reads what a recipe's ``init`` names; nothing in it is run.

    Args:
        init: A preset (folder, ``.zip`` file or ``hf://USER/REPOSITORY@REVISION``), a run folder,
            of which ``best.keras`` is taken, or a ``.keras`` file, of a run or any other.

    Raises:
        ValueError: If there is none, or it is damaged or names foreign classes.
        ImportError: ``hf://`` without huggingface_hub.
    """
    path = Path(init)
    if is_preset_name(init):
        preset = load_preset(init)
        return InitialNetwork(preset.model, preset.classes, preset.sha256)
    file = path / run_folder.BEST if path.is_dir() else path
    if not file.is_file() or file.suffix != ".keras":
        raise ValueError(
            "`init` must be a preset, a run folder with at least one evaluation done, or a .keras "
            f"file. Received: init={init!r}, which {_reason(path)}"
        )
    model = read_keras_file(file)
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return InitialNetwork(model, _classes_of_run(file.parent), sha256)


def _classes_of_run(folder: Path) -> tuple[str, ...] | None:
    path = folder / run_folder.CLASSES
    return tuple(read_json(path)) if path.is_file() else None


def _reason(path: Path) -> str:
    return "is none of these" if path.exists() else "does not exist"


_NAMES_SHOWN = 6
# What makes no difference to the function of a layer that has its weights.
_OF_TRAINING = ("name", "trainable", "dtype", "momentum", "synchronized", "neutral")
_ENDINGS = ("_initializer", "_regularizer", "_constraint")


@dataclass(frozen=True)
class Transfer:
    """What became of the layers with weights, by their names.

    Attributes:
        loaded: Have the weights of the other network.
        new: Have kept their own: modules that the other network has not, and the classifier where
            it is for other classes.
        unused: Of the other network: modules that this one has not, and its classifier.
    """

    loaded: list[str]
    new: list[str]
    unused: list[str]


def transfer_weights(source: keras.Model, target: keras.Model, same_classes: bool) -> Transfer:
    """Give ``target`` the weights of the layers of ``source`` that have the same names.

    Modules may differ: one that ``source`` has not, or of another kind, stays new. So may the
    classifier. All other layers must be the same, and so must the factor behind a module that
    started neutral (``insert_recalibration``).

    Args:
        source: The trained network; models inside of it are taken apart.
        target: The network that gets the weights; on failure it is as it was.
        same_classes: Whether the classifiers are for the same classes.

    Raises:
        ValueError: If a layer is missing, left over or another; they are listed.
    """
    source = flatten(source)
    theirs, ours = weighted_layers(source), weighted_layers(target)
    heads = head_of(source), head_of(target)
    loaded, new, problems = [], [], []
    for name, layer in ours.items():
        other = theirs.get(name)
        if _may_be_new(layer, other) or (name == heads[1] and not (same_classes and other)):
            new.append(name)
        elif difference := _difference(other, layer):
            problems.append(f"{name} {difference}")
        else:
            loaded.append(name)
    for name, layer in theirs.items():
        if name not in ours and name != heads[0] and not isinstance(layer, Recalibration):
            problems.append(f"{name} is in `init` alone")
    problems += [f"{name} is in `init` alone" for name in _scales(source, loaded, target)]
    if problems:
        raise ValueError(_told(problems))
    for name in loaded:
        copy_state(theirs[name], ours[name])
    return Transfer(loaded, new, [name for name in theirs if name not in loaded])


def _may_be_new(layer: keras.layers.Layer, other: keras.layers.Layer | None) -> bool:
    """Whether ``layer`` is a module and ``other`` is none, or of another kind."""
    return isinstance(layer, Recalibration) and type(other) is not type(layer)


def _scales(source: keras.Model, loaded: list[str], target: keras.Model) -> list[str]:
    """Factors behind the ``loaded`` modules of ``source`` that ``target`` has not."""
    ours = {layer.name for layer in target.layers}
    scales = [layer.name for layer in source.layers if is_scale(layer) and layer.name not in ours]
    return [name for name in scales if name.removesuffix(SCALE_SUFFIX) in loaded]


def _difference(other: keras.layers.Layer | None, layer: keras.layers.Layer) -> str:
    """What is different in the layer of ``init``; empty if they compute the same."""
    if other is None:
        return "is not in `init`"
    if type(other) is not type(layer):
        return f"is a {type(other).__name__} in `init`, not a {type(layer).__name__}"
    shapes = [[tuple(w.shape) for w in each.weights] for each in (other, layer)]
    if shapes[0] != shapes[1]:
        return f"has the shapes {shapes[0]} in `init`, not {shapes[1]}"
    there, here = _function(other), _function(layer)
    for key in sorted(there.keys() | here.keys()):
        if there.get(key) != here.get(key):
            return f"has {key}={there.get(key)} in `init`, not {here.get(key)}"
    return ""


def _function(layer: keras.layers.Layer) -> dict[str, str]:
    """The configuration of a layer but for what only matters to training."""
    return {key: _text(value) for key, value in layer.get_config().items() if _matters(key)}


def _matters(key: str) -> bool:
    return key not in _OF_TRAINING and not key.endswith(_ENDINGS)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _told(problems: list[str]) -> str:
    more = len(problems) - _NAMES_SHOWN
    rest = [f"and {more} more layers"] if more > 0 else []
    return (
        "`init` must be of the network that the recipe builds, but for modules and classifier. "
        f"Received: another one: {'; '.join([*problems[:_NAMES_SHOWN], *rest])}"
    )


_SHOWN = 4

Record = Mapping[str, Any]


class Beginning:
    """The initial weights of a run, which are read at step 0 and never again.

    A run that goes on from a checkpoint knows from its record which layers were new, so that the
    same layers are frozen, whatever has become of ``init``.

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
        self._network: InitialNetwork | None = None
        self.record: Record | None = None
        if self._init is None:
            return
        if run_folder.has_checkpoint(folder) and not overwrite:
            self.record = _read_record(folder)
        else:
            self._network = read_initial_network(self._init)

    @property
    def is_read(self) -> bool:
        """Whether the run begins now, from ``init``."""
        return self._network is not None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the network that ``init`` names; two made-up ones where it tells none."""
        known = None if self._network is None else self._network.classes
        return known or ("0", "1")

    def apply(self, model: keras.Model, classes: Sequence[str]) -> None:
        """Loads the weights into the new network, freezes parts of it, and keeps the record.

        Raises:
            ValueError: If ``init`` is of another network, or ``freeze`` names what there is not.
        """
        if self._init is None:
            return
        if self._network is not None:
            same = _same_classes(self._network, model, tuple(classes))
            found = transfer_weights(self._network.model, model, same)
            sha256 = self._network.sha256
            self.record = {"init": self._init, "sha256": sha256, **asdict(found)}
        assert self.record is not None
        frozen = freeze(model, self._freeze, self.record["new"])
        self.record = {**self.record, "frozen": frozen}

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


def _same_classes(network: InitialNetwork, model: keras.Model, classes: tuple[str, ...]) -> bool:
    """By their names; where those are not known, by their number."""
    if network.classes is not None:
        return network.classes == classes
    head = head_of(network.model)
    return head is not None and network.model.output_shape[-1] == model.output_shape[-1]


def _names(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = len(names) - _SHOWN
    rest = f" and {more} more" if more > 0 else ""
    return f"{len(names)} ({', '.join(names[:_SHOWN])}{rest})"
