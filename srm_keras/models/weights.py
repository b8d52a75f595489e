"""Weights of trained networks: read by name, and given to the layers of another network.

A builder's ``weights`` names a trained network. Which names there are and how each is read is known
where presets, state dicts and the Hub are, above this package: in the ``Library``.
"""

import fnmatch
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
from absl import logging

from srm_keras.layers import Recalibration, neutral
from srm_keras.layers.registry import Spec, spec_of
from srm_keras.layers.state import copy_state
from srm_keras.models.flatten import flatten
from srm_keras.models.head import head_of, load_weights, weighted_layers
from srm_keras.models.residual import NestedSpec
from srm_keras.models.surgery.insertion import gains

WEIGHTS_SUFFIX = ".weights.h5"


@dataclass(frozen=True)
class Trained:
    """A trained network and what is known about it.

    Attributes:
        model: The network, not compiled.
        name: By which it was read.
        sha256: Of its file, or of the manifest of its preset.
        preprocessing: The ``srm_keras.data.Preprocessing`` that makes its inputs; None where
            nothing says so.
        classes: The name of each output; None where nothing says so.
        card: What else is known, such as data and metrics.
    """

    model: keras.Model
    name: str
    sha256: str
    preprocessing: Any = None
    classes: tuple[str, ...] | None = None
    card: Mapping[str, Any] = field(default_factory=dict)


class Library(Protocol):
    """What knows trained networks by their names."""

    def read_trained(self, name: str | os.PathLike, network: str | None = None) -> Trained:
        """Return what ``name`` names, alone or for a network of the catalogue."""

    def list_trained(self) -> list[str]:
        """Return the names that are known without asking anybody."""


_LIBRARY: list[Callable[[], Library]] = []


def register_library(load: Callable[[], Library]) -> None:
    """Say where trained networks are read from now on; ``load`` is called at each use."""
    _LIBRARY[:] = [load]


def _library() -> Library:
    if not _LIBRARY:
        raise ValueError("`weights` by name need `import srm_keras.interop` first.")
    return _LIBRARY[0]()


def list_weights(pattern: str = "*") -> list[str]:
    """Return the names of trained networks that match the shell ``pattern``, sorted.

    ``"srm_cifar_resnet8_basic.texture_shapes"`` comes with the package and
    ``"resnet50.imagenet"`` with ``keras.applications``: ``build("resnet50", weights="imagenet")``.
    Those that begin with ``timm/`` are on the Hugging Face Hub.
    """
    return sorted(fnmatch.filter(_library().list_trained(), pattern))


@dataclass(frozen=True)
class Blueprint:
    """What a trained network decides of another one that is to begin with its weights.

    Attributes:
        modules: The spec of each recalibration layer, by the name of the layer.
        stride_in: Where its bottlenecks stride; None without such.
    """

    modules: Mapping[str, Any]
    stride_in: str | None

    @classmethod
    def of(cls, model: keras.Model) -> "Blueprint":
        """What ``model`` decides, a network of this package or any other.

        Models inside of it are taken apart. A factor behind a module, which it started neutral by
        before modules had a gain, is part of the gain.
        """
        model = flatten(model)
        specs = {layer.name: spec_of(layer) for layer in model.layers}
        found = gains(model)
        modules = {
            name: {**spec, "gain": found[name]} for name, spec in specs.items() if spec is not None
        }
        return cls(modules, _stride_in(model))

    def specs(self, specs: Sequence[Sequence[Spec]]) -> list[list[Spec]]:
        """Complete the specs of the blocks of each stage of a ResNet.

        A module that the trained network has too gets the options that it has there, where
        ``specs`` say nothing else. One that it has not starts neutral, so that the new network
        computes what the trained one computes.
        """
        return [
            [
                self.completed(spec, f"conv{stage}_{unit}_recalibration")
                for unit, spec in enumerate(of_stage, start=1)
            ]
            for stage, of_stage in enumerate(specs, start=2)
        ]

    def completed(self, spec: Spec, layer: str) -> Spec:
        """Complete the spec of the module ``layer``, as ``specs`` does."""
        trained = self.modules.get(layer, {})
        given = {"name": spec} if isinstance(spec, str) else spec
        if isinstance(given, Mapping) and given.get("name") == trained.get("name"):
            return {**trained, **given}
        return neutral(spec)


def _stride_in(model: keras.Model) -> str | None:
    layers = {layer.name: layer for layer in model.layers}
    first, second = (layers.get(f"conv3_1_{part}_conv") for part in (1, 2))
    if first is None or second is None or "conv3_1_3_conv" not in layers:
        return None
    return "1x1" if tuple(first.strides) != (1, 1) else "3x3"


class Start:
    """The weights that a network begins with, read before it is built.

    Args:
        weights: What a builder's ``weights`` takes.
        network: The builder's network, by its name in the catalogue, without a module.
        recalibration: The builder's spec.

    Raises:
        ValueError: There are no such weights.
    """

    def __init__(
        self,
        weights: "str | os.PathLike | Blueprint | None",
        network: str,
        recalibration: NestedSpec = None,
    ):
        self._weights: Any = weights
        self._trained: Trained | None = None
        self._blueprint: Blueprint | None = None
        if isinstance(weights, Blueprint):
            self._blueprint = weights
            return
        if weights is not None and not isinstance(weights, str | os.PathLike):
            raise ValueError(
                "`weights` must be None, a path or one of list_weights(). "
                f"Received: weights={weights!r}"
            )
        if weights is None or _is_bare(weights):
            return
        module = recalibration["name"] if isinstance(recalibration, Mapping) else recalibration
        name = f"{module}_{network}" if isinstance(module, str) else network
        self._trained = _library().read_trained(weights, name)
        self._blueprint = Blueprint.of(self._trained.model)

    def specs(self, specs: Sequence[Sequence[Spec]]) -> list[list[Spec]]:
        """The spec of each block of each stage, as ``Blueprint.specs`` completes it."""
        return [*map(list, specs)] if self._blueprint is None else self._blueprint.specs(specs)

    def stride_in(self, given: str | None) -> str | None:
        """Where bottlenecks stride: as ``given``, or as the weights have it where they say so."""
        return self._blueprint.stride_in if given is None and self._blueprint else given

    def load(self, model: keras.Model) -> keras.Model:
        """Load the weights into ``model``, which was built as ``specs`` and ``stride_in`` say.

        Raises:
            ValueError: They are of another network.
        """
        if self._trained is None:
            return load_weights(model, None if self._blueprint else self._weights)
        source = self._trained.model
        same = source.output_shape[-1] == model.output_shape[-1]
        found = transfer_weights(source, model, same, "weights")
        told = f"`weights` {str(self._weights)!r}: {found.told(source, model)}"
        unused = [name for name in found.unused if name != head_of(source)]
        (logging.warning if found.new or unused else logging.info)("%s", told)
        return model


def _is_bare(weights: Any) -> bool:
    """Whether this is a file of weights without an architecture, which only Keras can place."""
    return os.fspath(weights).endswith(WEIGHTS_SUFFIX)


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

    def told(self, source: keras.Model, target: keras.Model) -> str:
        """One line on it, with the numbers of classes where the classifier is new."""
        parts = [f"{len(self.loaded)} layers loaded"]
        if head_of(target) in self.new:
            there, here = source.output_shape[-1], target.output_shape[-1]
            parts.append(f"the classifier is new, of {here} classes instead of {there}")
        for text, names, head in (
            ("new", self.new, head_of(target)),
            ("not used", self.unused, head_of(source)),
        ):
            others = [name for name in names if name != head]
            if others:
                parts.append(f"{text}: {', '.join(others[:3])}{_more(others, 3)}")
        return "; ".join(parts)


_NAMES_SHOWN = 6
# What makes no difference to the function of a layer that has its weights.
_OF_TRAINING = ("name", "trainable", "dtype", "momentum", "synchronized", "neutral")
_OF_LAYOUT = ("data_format", "axis")
_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def transfer_weights(
    source: keras.Model, target: keras.Model, same_classes: bool, field: str = "init"
) -> Transfer:
    """Give the layers of ``target`` the weights of those of ``source`` with the same names.

    Args:
        source: The trained network; models inside of it are taken apart.
        target: The new network, the same but for modules and classifier; on failure it is as it
            was.
        same_classes: Whether the classifiers of both are for the same classes.
        field: What errors call ``source``.

    Raises:
        ValueError: A layer is missing, left over or another; they are listed.
    """
    source = flatten(source)
    theirs, ours = weighted_layers(source), weighted_layers(target)
    heads, factors = (head_of(source), head_of(target)), (gains(source), gains(target))
    loaded, new, problems = [], [], []
    for name, layer in ours.items():
        other = theirs.get(name)
        if _may_be_new(layer, other) or (name == heads[1] and not (same_classes and other)):
            new.append(name)
        elif difference := _difference(other, layer, field, [g.get(name) for g in factors]):
            problems.append(f"{name} {difference}")
        else:
            loaded.append(name)
    for name, layer in theirs.items():
        if name not in ours and name != heads[0] and not isinstance(layer, Recalibration):
            problems.append(f"{name} is in `{field}` alone")
    if problems:
        raise ValueError(
            f"`{field}` must be of the network that is built, but for modules and classifier. "
            f"Received: another one: {'; '.join(problems[:_NAMES_SHOWN])}"
            f"{_more(problems, _NAMES_SHOWN, 'layers')}"
        )
    for name in loaded:
        copy_state(theirs[name], ours[name])
    return Transfer(loaded, new, [name for name in theirs if name not in loaded])


def _may_be_new(layer: keras.layers.Layer, other: keras.layers.Layer | None) -> bool:
    """Whether ``layer`` is a module and ``other`` is none, or of another kind."""
    return isinstance(layer, Recalibration) and type(other) is not type(layer)


def _difference(
    other: keras.layers.Layer | None,
    layer: keras.layers.Layer,
    field: str,
    factors: Sequence[float | None],
) -> str:
    """What is different in the layer of the trained network; empty if they compute the same.

    ``factors`` are what the gates of both are multiplied by, where they are modules.
    """
    if other is None:
        return f"is not in `{field}`"
    if type(other) is not type(layer):
        return f"is a {type(other).__name__} in `{field}`, not a {type(layer).__name__}"
    shapes = [[tuple(w.shape) for w in each.weights] for each in (other, layer)]
    if shapes[0] != shapes[1]:
        return f"has the shapes {shapes[0]} in `{field}`, not {shapes[1]}"
    there, here = map(_function, (other, layer), factors)
    for key in sorted(there.keys() | here.keys()):
        if there.get(key) != here.get(key):
            return f"has {key}={there.get(key)} in `{field}`, not {here.get(key)}"
    return ""


def _function(layer: keras.layers.Layer, factor: float | None) -> dict[str, str]:
    """The configuration of a layer but for what only matters to training, and the data format.

    ``factor`` is the gain of a module.
    """
    config = layer.get_config() | ({} if factor is None else {"gain": factor})
    return {key: _text(value) for key, value in config.items() if _matters(key)}


def _matters(key: str) -> bool:
    return key not in (*_OF_TRAINING, *_OF_LAYOUT) and not key.endswith(_ENDINGS)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _more(names: Sequence[str], shown: int, what: str = "") -> str:
    more = len(names) - shown
    return f" and {more} more {what}".rstrip() if more > 0 else ""
