"""The ends of stages, for networks without residual additions."""

from collections import defaultdict
from typing import Any

import keras

from srm_keras.models.functional import is_functional
from srm_keras.models.graph import Node
from srm_keras.models.surgery import kinds
from srm_keras.models.surgery.lineage import Lineage


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
    passed = (*kinds.REGULARIZATION, *kinds.PADDING)
    return [lineage.before(fork, passed) for fork in forks if fork is not None]


def _step(lineage: Lineage, node: Node) -> int:
    """1 for a layer that makes the map smaller, -1 for one that makes it larger, else 0."""
    if lineage.kind(node) in kinds.ENLARGING:
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
    return [lineage.before(max(maps, key=lambda node: depth[node]), kinds.REGULARIZATION)]


def _pools(lineage: Lineage, node: Node) -> bool:
    """Whether this makes something else of a feature map."""
    shape = getattr(lineage.layer(node).output, "shape", ())
    return lineage.kind(node) in kinds.GLOBAL_POOLING or len(shape) != 4


def _learns(layer: Any) -> bool:
    is_preprocessing = isinstance(layer, keras.layers.Normalization)
    return bool(getattr(layer, "weights", ())) and not is_preprocessing
