"""The ends of residual branches and of cells."""

from srm_keras.models.graph import Node
from srm_keras.models.surgery import kinds
from srm_keras.models.surgery.lineage import Lineage

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
        if lineage.kind(node) in kinds.CONCATENATION and len(parts) >= CELL_ADDITIONS:
            cells[node] = parts
    in_cells = set().union(*cells.values())
    branches = [_branch_end(lineage, node) for node in additions if node not in in_cells]
    return list(dict.fromkeys(node[0] for node in (*cells, *branches) if node is not None))


def _is_addition(lineage: Lineage, node: Node) -> bool:
    shapes = lineage.calls[node].shapes
    of_maps = len(shapes) > 1 and all(len(shape) == 4 for shape in shapes)
    return of_maps and lineage.kind(node) in kinds.ADDITION


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
    return lineage.before(branch, kinds.REGULARIZATION)


def _enlarges(lineage: Lineage, fork: Node, end: Node) -> bool:
    return any(lineage.kind(node) in kinds.ENLARGING for node in lineage.between(fork, end))
