"""How people call the blocks of a network: ``conv2_1`` for the layer ``conv2_1_recalibration``."""

import re
from collections.abc import Sequence

import keras

from srm_keras.analysis.gates.reading import recalibration_layers
from srm_keras.validation import nearest

_SUFFIX = "_recalibration"
_NUMBER = re.compile(r"_\d+$")


def block_name(layer: str) -> str:
    """Return the name of the block whose recalibration layer is called ``layer``."""
    return layer.removesuffix(_SUFFIX)


def select_blocks(model: keras.Model, blocks: Sequence[str] | None = None) -> dict[str, str]:
    """Return the recalibration layers of the named blocks.

    Args:
        model: a functional model that contains ``Recalibration`` layers.
        blocks: names of blocks (``"conv2_1"``) or of their recalibration layers; None for all.

    Returns:
        ``{block name: layer name}``, in the order of ``blocks``, or in network order for all.

    Raises:
        ValueError: the model is not functional or has no recalibration layer, or a block is
            unknown; the message has the nearest name.
    """
    known = {block_name(layer.name): layer.name for layer in recalibration_layers(model)}
    wanted = known if blocks is None else [block_name(block) for block in blocks]
    for block in wanted:
        if block not in known:
            hint = nearest(block, known) or f" (the blocks are: {', '.join(known)})"
            raise ValueError(f"`blocks` must be blocks with gates. Received: {block!r}{hint}")
    return {block: known[block] for block in wanted}


def last_blocks(model: keras.Model) -> list[str]:
    """Return the name of the last block of every stage, in network order.

    ``conv2_1`` and ``conv2_6`` are of one stage; a name without a number at its end is a stage of
    its own.

    Args:
        model: a functional model that contains ``Recalibration`` layers.

    Raises:
        ValueError: the model is not functional, or has no recalibration layer.
    """
    return list({_NUMBER.sub("", name): name for name in select_blocks(model)}.values())
