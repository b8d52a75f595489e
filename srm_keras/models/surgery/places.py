"""Where modules go: presets, predicates and names, resolved to layers of a model."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from srm_keras.models.functional import is_functional, twin
from srm_keras.models.surgery.lineage import Lineage
from srm_keras.models.surgery.residual_ends import residual_ends
from srm_keras.models.surgery.squeeze_excite_blocks import squeeze_excite_products
from srm_keras.models.surgery.stage_ends import stage_ends
from srm_keras.validation import nearest, one_of

Where = str | Callable[[keras.layers.Layer], bool] | Iterable[str]
PRESETS = ("block_ends", "existing_se")


@dataclass(frozen=True)
class Place:
    """A layer of a model, or of a model inside of it.

    Attributes:
        path: its name, behind the names of the inner models that it stands in.
        layer: the layer or operation itself.
        lineage: of the model that it stands in.
        replaced_input: None, or which of its inputs a module takes that stands in its place.
    """

    path: str
    layer: Any
    lineage: Lineage = field(repr=False)
    replaced_input: int | None = None

    @property
    def data_format(self) -> str:
        """That of the nearest layer before it that has one, else Keras' global setting."""
        last = (self.layer.name, 0)
        others = self.lineage.order[::-1]
        for node in (*self.lineage.ancestors(last)[::-1], *others):
            data_format = getattr(self.lineage.layer(node), "data_format", None)
            if data_format is not None:
                return data_format
        return keras.config.image_data_format()


def all_places(model: keras.Model, path: str = "") -> list[Place]:
    """Return every layer and operation of ``model``, those of inner models behind these."""
    return list({id(place.layer): place for place in _walk(model, path)}.values())


def find_places(model: keras.Model, where: Where) -> list[Place]:
    """Return the places that ``where`` chooses, in the order of the network.

    Raises:
        ValueError: ``where`` is none of the things that it may be, names an unknown layer, or
            chooses nothing.
    """
    places = all_places(model)
    if isinstance(where, str):
        chosen = _preset(one_of("where", where, PRESETS), places)
    elif callable(where):
        chosen = [place for place in places if _is_layer(place.layer) and where(place.layer)]
    else:
        chosen = _named(where, places)
    if not chosen:
        raise ValueError(
            f"`where` must choose a layer of {model.name!r}; it finds none. Received: "
            f"where={where!r}"
        )
    return chosen


def _walk(model: keras.Model, path: str) -> Iterator[Place]:
    lineage = Lineage(twin(model))
    for name in dict.fromkeys(name for name, _ in lineage.order):
        layer = lineage.operations[name]
        if is_functional(layer):
            yield from _walk(layer, f"{path}{name}/")
        yield Place(f"{path}{name}", layer, lineage)


def _is_layer(layer: Any) -> bool:
    kept_out = isinstance(layer, keras.layers.InputLayer) or is_functional(layer)
    return isinstance(layer, keras.layers.Layer) and not kept_out


def _preset(preset: str, places: list[Place]) -> list[Place]:
    lineages = list({id(place.lineage): place.lineage for place in places}.values())
    if preset == "existing_se":
        products = {id(lineage): squeeze_excite_products(lineage) for lineage in lineages}
        return [
            Place(place.path, place.layer, place.lineage, products[id(place.lineage)][name])
            for place in places
            if (name := place.layer.name) in products[id(place.lineage)]
        ]
    for finder in (residual_ends, stage_ends):
        ends = {id(lineage): set(finder(lineage)) for lineage in lineages}
        found = [place for place in places if place.layer.name in ends[id(place.lineage)]]
        if found:
            return found
    return []


def _named(names: Any, places: list[Place]) -> list[Place]:
    if not isinstance(names, Iterable):
        raise ValueError(
            f"`where` must be one of {list(PRESETS)}, a function of a layer, or a list of names of "
            f"layers. Received: where={names!r}"
        )
    chosen = {id(_place_called(name, places)) for name in names}
    return [place for place in places if id(place) in chosen]


def _place_called(name: Any, places: list[Place]) -> Place:
    by_path = {place.path: place for place in places}
    found = [place for place in places if name == place.layer.name]
    if name in by_path:
        return by_path[name]
    if len(found) == 1:
        return found[0]
    if found:
        paths = [place.path for place in found]
        raise ValueError(f"`where` must say which {name!r} it means: one of {paths}")
    raise ValueError(
        f"`where` must name layers of the model. Received: {name!r}{nearest(name, by_path)}"
    )
