"""Where modules go: presets, predicates and names, resolved to layers of a model.

By name, because those of ``keras.applications`` and the operations behind ``x + y`` have no public
class.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from srm_keras.models.surgery.functional import is_functional, twin
from srm_keras.models.surgery.graph import Lineage, Node
from srm_keras.support.validation import nearest, one_of

ADDITION = ("Add", "CustomScaleLayer")
MULTIPLICATION = ("Multiply",)
CONCATENATION = ("Concatenate",)
GLOBAL_AVERAGE = ("GlobalAveragePooling2D", "Mean")
GLOBAL_POOLING = (*GLOBAL_AVERAGE, "GlobalMaxPooling2D", "Max")
ENLARGING = ("Conv2DTranspose", "Resize", "Resizing", "UpSampling2D")
PADDING = ("Pad", "ZeroPadding2D")
REGULARIZATION = (
    "ActivityRegularization",
    "AlphaDropout",
    "DropPath",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LayerScale",
    "SpatialDropout2D",
    "StochasticDepth",
)
"""What stands between the last layer of a residual branch and the addition."""


LONGEST_SHORTCUT = 4
"""Calls: pool, padding, convolution and batch norm."""
CELL_ADDITIONS = 3


def residual_ends(lineage: Lineage) -> list[str]:
    """Return the layers after which a module belongs, in a network with residual additions.

    An addition is residual where one of its inputs, the branch, comes from the fork by a longer
    path than the others, which are shortcuts of at most four layers. The end of the branch is its
    last layer, before dropout, stochastic depth and layer scale. A path through an upsampling is
    no branch (the lateral additions of a feature pyramid).

    Where three or more additions go side by side into one concatenation (NASNet) they are parts
    of a cell, and its end is the concatenation.
    """
    additions = [node for node in lineage.order if _is_addition(lineage, node)]
    cells = {}
    for node in lineage.order:
        parts = set(lineage.calls[node].sources) & set(additions)
        if lineage.kind(node) in CONCATENATION and len(parts) >= CELL_ADDITIONS:
            cells[node] = parts
    in_cells = set().union(*cells.values())
    branches = [_branch_end(lineage, node) for node in additions if node not in in_cells]
    return list(dict.fromkeys(node[0] for node in (*cells, *branches) if node is not None))


def _is_addition(lineage: Lineage, node: Node) -> bool:
    shapes = lineage.calls[node].shapes
    of_maps = len(shapes) > 1 and all(len(shape) == 4 for shape in shapes)
    return of_maps and lineage.kind(node) in ADDITION


def _branch_end(lineage: Lineage, addition: Node) -> Node | None:
    sources = lineage.calls[addition].sources
    fork = lineage.fork(sources)
    if fork is None:
        return None
    *shortcuts, (length, branch) = sorted(
        (lineage.length(fork, source), source) for source in sources
    )
    if shortcuts[-1][0] >= min(length, LONGEST_SHORTCUT + 1) or _enlarges(lineage, fork, branch):
        return None
    return lineage.before(branch, REGULARIZATION)


def _enlarges(lineage: Lineage, fork: Node, end: Node) -> bool:
    return any(lineage.kind(node) in ENLARGING for node in lineage.between(fork, end))


def stage_ends(lineage: Lineage) -> list[str]:
    """Return the last layer before each spatial reduction, and before the head.

    A reduction is a layer with strides. Where several branches of one block reduce side by side
    (Inception) the stage ends where they part. A stage without weights of its own, such as what is
    left between VGG's last pool and its head, is none.
    """
    ends: list[Node] = []
    seen: set[Node] = set()
    for node in (*_before_reductions(lineage), *_before_head(lineage)):
        stage = set(lineage.ancestors(node)) - seen
        inner = is_functional(lineage.layer(node))
        if not inner and any(_learns(lineage.layer(one)) for one in stage):
            ends.append(node)
            seen |= stage
    return list(dict.fromkeys(name for name, _ in ends))


def _before_reductions(lineage: Lineage) -> list[Node]:
    """The place before each reduction, by how many reductions come before it."""
    levels: dict[Node, int] = {}
    sources: dict[int, list[Node]] = defaultdict(list)
    for node in lineage.order:
        level = max((levels[source] for source in lineage.calls[node].sources), default=0)
        step = _step(lineage, node)
        levels[node] = level + step
        if step > 0:
            sources[level].append(lineage.calls[node].sources[0])
    forks = [lineage.fork(sources[level]) for level in sorted(sources)]
    passed = (*REGULARIZATION, *PADDING)
    return [lineage.before(fork, passed) for fork in forks if fork is not None]


def _step(lineage: Lineage, node: Node) -> int:
    """1 for a layer that makes the map smaller, -1 for one that makes it larger, else 0."""
    if lineage.kind(node) in ENLARGING:
        return -1
    strides = getattr(lineage.layer(node), "strides", 1)
    return int(max(strides if isinstance(strides, tuple | list) else (strides,)) > 1)


def _before_head(lineage: Lineage) -> list[Node]:
    """The last feature map, by depth: what is pooled, flattened or an output of the model."""
    depth: dict[Node, int] = {}
    pooled: set[Node] = set()
    maps: list[Node] = []
    for node in lineage.order:
        sources = lineage.calls[node].sources
        depth[node] = 1 + max((depth[source] for source in sources), default=0)
        if _pools(lineage, node) or (sources and pooled.issuperset(sources)):
            pooled.add(node)
            maps.extend(source for source in sources if source not in pooled)
    maps.extend(node for node in lineage.graph.outputs if node not in pooled)
    if not maps:
        return []
    return [lineage.before(max(maps, key=lambda node: depth[node]), REGULARIZATION)]


def _pools(lineage: Lineage, node: Node) -> bool:
    """Whether this makes something else of a feature map."""
    shape = getattr(lineage.layer(node).output, "shape", ())
    return lineage.kind(node) in GLOBAL_POOLING or len(shape) != 4


def _learns(layer: Any) -> bool:
    is_preprocessing = isinstance(layer, keras.layers.Normalization)
    return bool(getattr(layer, "weights", ())) and not is_preprocessing


def squeeze_excite_products(lineage: Lineage) -> dict[str, int]:
    """Return the layers that multiply a feature map by gates made from it.

    Such a product has two inputs, one of which comes from the other through a global average pool
    and has one number a channel.

    Returns:
        For the name of each of these layers, which of its inputs is the feature map.
    """
    products = {}
    for node in lineage.order:
        position = _map_position(lineage, node)
        if position is not None:
            products[node[0]] = position
    return products


def _map_position(lineage: Lineage, product: Node) -> int | None:
    call = lineage.calls[product]
    if lineage.kind(product) not in MULTIPLICATION or len(call.sources) != 2:
        return None
    for position, (features, gates) in enumerate((call.sources, call.sources[::-1])):
        path = lineage.between(features, gates) if lineage.is_ancestor(features, gates) else []
        pools = any(lineage.kind(node) in GLOBAL_AVERAGE for node in path)
        if pools and _is_one_a_channel(call.shapes[1 - position]):
            return position
    return None


def _is_one_a_channel(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and shape[1:].count(1) >= 2


Where = str | Callable[[keras.layers.Layer], bool] | Iterable[str]
PRESETS = ("block_ends", "existing_se")


@dataclass(frozen=True)
class Place:
    """A layer of a model, or of a model inside of it.

    Attributes:
        path: Its name, behind the names of the inner models that it stands in.
        layer: The layer or operation itself.
        lineage: Of the model that it stands in.
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
