"""Squeeze-and-excitation blocks written in stock layers, as EfficientNet and MobileNetV3 are."""

from srm_keras.models.graph import Node
from srm_keras.models.surgery import kinds
from srm_keras.models.surgery.lineage import Lineage


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
    if lineage.kind(product) not in kinds.MULTIPLICATION or len(call.sources) != 2:
        return None
    for position, (features, gates) in enumerate((call.sources, call.sources[::-1])):
        path = lineage.between(features, gates) if lineage.is_ancestor(features, gates) else []
        pools = any(lineage.kind(node) in kinds.GLOBAL_AVERAGE for node in path)
        if pools and _is_one_a_channel(call.shapes[1 - position]):
            return position
    return None


def _is_one_a_channel(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and shape[1:].count(1) >= 2
