"""Parts of a network: what a recipe says of freezing, rates of learning and weight decay.

Parts have names (``parts_of``), blocks an order (``depths_of``), and some variables do not decay
(``paths_without_decay``).
"""

import fnmatch
import re
from collections.abc import Collection, Mapping
from typing import Any

import keras

from srm_keras.layers import GCT, SRM, ChannelwiseDense, InstanceNormalization, Recalibration
from srm_keras.models.head import head_of, weighted_layers
from srm_keras.models.surgery.functional import twin
from srm_keras.models.surgery.graph import Lineage, Node
from srm_keras.support.validation import nearest
from srm_keras.training.distribution.replicas import sublayers

HEAD = "head"
BACKBONE = "backbone"
MODULES = "recalibration"


def parts_of(model: keras.Model, patterns: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """For each layer with weights the parts that it belongs to, from the widest to the narrowest.

    The classifier is the ``head``, all else the ``backbone``. That consists of the layers
    ``stride1``, ``stride2``, ``stride4``, …, whose feature maps are that many times smaller than
    the image; of what layers are called up to the first ``_`` (``conv1``, ``conv2``, …: the
    stages of a ResNet); and of ``recalibration``, the modules.

    Args:
        model: A functional network.
        patterns: Those with ``*``, ``?`` or ``[…]`` are parts as well: the layers whose names match
            as files do in a shell. They are narrower than stages, longer ones than shorter ones.
    """
    head, strides = head_of(model), _strides(model)
    matched = sorted(filter(_is_pattern, patterns), key=len)
    parts = {}
    for name, layer in weighted_layers(model).items():
        wide = (HEAD,) if name == head else (BACKBONE, f"stride{strides[name]}", _stage(name))
        found = [pattern for pattern in matched if fnmatch.fnmatchcase(name, pattern)]
        modules = [MODULES] if isinstance(layer, Recalibration) else []
        parts[name] = (*wide, *found, *modules)
    return parts


def _strides(model: keras.Model) -> dict[str, int]:
    """For each layer how many times smaller than the image the map is that it gives."""
    lineage = Lineage(twin(model))
    strides: dict[Node, int] = {}
    for node in lineage.order:
        before = max((strides[source] for source in lineage.calls[node].sources), default=1)
        strides[node] = before * _stride(lineage.layer(node))
    return {name: stride for (name, _), stride in strides.items()}


def _stride(layer: Any) -> int:
    steps = getattr(layer, "strides", 1)
    return int(max(steps) if isinstance(steps, tuple | list) else steps)


def _is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def _stage(name: str) -> str:
    return name.split("_")[0]


def freeze(model: keras.Model, names: Collection[str], new: Collection[str]) -> list[str]:
    """Freeze parts of ``model``: their weights stay, their batch norms run in inference mode.

    Args:
        model: The network, not compiled.
        names: Of parts.
        new: Layers that stay trainable, since their weights are random.

    Returns:
        The names of the layers that are frozen.

    Raises:
        ValueError: There is no such part, all of it is new, or nothing is left to train.
    """
    parts = parts_of(model, names)
    _check_names("freeze", names, parts)
    frozen = [layer for layer in parts if layer not in new and set(parts[layer]) & set(names)]
    for name in names:
        if not any(name in parts[layer] for layer in frozen):
            raise ValueError(
                "`freeze` must name parts that `init` has weights for: new ones are to be trained. "
                f"Received: {name!r}, all of which is new"
            )
    for layer in frozen:
        model.get_layer(layer).trainable = False
    if not model.trainable_variables:
        raise ValueError(f"`freeze` must leave something to train. Received: freeze={names!r}")
    return frozen


def rate_factors(
    model: keras.Model, multipliers: Mapping[str, float], layer_decay: float = 1.0
) -> dict[str, float]:
    """What the learning rate is multiplied by, for the path of each trainable variable.

    Where a variable belongs to several of the parts, the narrowest counts: ``recalibration`` before
    ``block4*`` before ``conv2`` before ``stride4`` before ``backbone``. Variables whose factor is
    1 are left out.

    Args:
        model: The network.
        multipliers: A factor for the names of parts.
        layer_decay: What a block's rate is as a multiple of the next one's, in (0, 1]; the head
            has the whole rate, the last block ``layer_decay`` of it, and so on to the stem.

    Raises:
        ValueError: There is no such part.
    """
    parts = parts_of(model, multipliers)
    _check_names("learning_rate.multipliers", multipliers, parts)
    depths = depths_of(model)
    factors: dict[str, float] = {}
    for name, layer in weighted_layers(model).items():
        named = [part for part in parts[name] if part in multipliers]
        factor = float(multipliers[named[-1]]) if named else 1.0
        factor *= layer_decay ** (max(depths.values()) - depths[name])
        if factor != 1:
            factors |= {variable.path: factor for variable in layer.trainable_variables}
    return factors


_BLOCK = re.compile(
    r"(?:^|_)(?:"
    r"conv([2-9]\d*_(?:block)?\d+)"  # our ResNets, those of keras.applications, DenseNet
    r"|stage_(\d+_block_\d+)"  # ConvNeXt
    r"|block_?(\d+[a-z]*)"  # EfficientNet, MobileNetV2, Xception, VGG
    r"|expanded_(conv_\d+|conv)"  # MobileNetV3, and the first of MobileNetV2
    r"|conv_(?:dw|pw)_(\d+)"  # MobileNet
    r")(?=_)"
)
"""The block in the name of a layer."""


def depths_of(model: keras.Model) -> dict[str, int]:
    """For each layer with weights the number of its block, from the input on: 0, 1, ….

    The stem is a block, so are each residual unit (by the layers' names: ``conv2_1``,
    ``block4a``), what stands between the last of them and the head, and the head. Between two
    blocks a layer belongs to the one before it. Where names tell of no blocks, layers whose maps
    have the same stride are one. Modules go with the block that they are in.
    """
    head, strides = head_of(model), _strides(model)
    names = [name for name in weighted_layers(model) if name != head]
    blocks = {name: _block(name) for name in names}
    last = max((index for index, name in enumerate(names) if blocks[name]), default=-1)
    depths: dict[str, int] = {}
    numbers: dict[Any, int] = {}
    block: Any = "stem"
    for index, name in enumerate(names):
        if last < 0:
            block = strides[name]
        elif index > last:
            block = "top"
        else:
            block = blocks[name] or block
        depths[name] = numbers.setdefault(block, len(numbers))
    if head is not None:
        depths[head] = len(numbers)
    return depths


def _block(name: str) -> tuple[str | None, ...] | None:
    found = _BLOCK.search(name)
    return found and found.groups()


def _check_names(field: str, names: Collection[str], parts: Mapping[str, tuple[str, ...]]) -> None:
    known = list(dict.fromkeys(part for of_layer in parts.values() for part in of_layer))
    for name in names:
        if name not in known:
            raise ValueError(
                f"`{field}` must name parts of the network, which are {', '.join(known)}, and "
                "patterns of layers' names, such as 'block4*'. "
                f"Received: {name!r}{nearest(name, known)}"
            )


NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    InstanceNormalization,
)

KINDS = ("norms", "biases")
"""What ``paths_without_decay`` can be asked to name, beside modules."""


def paths_without_l2(model: keras.Model) -> list[str]:
    """Paths of variables that modules' authors do not decay: SRM's CFC and batch norm, GCT's β.

    Everything else decays: convolutions, dense layers, biases and the network's batch norms.

    Args:
        model: A built model of any kind; modules inside of other layers count, frozen ones do not.

    Returns:
        For ``SGDWithL2(l2_exclude=...)``; nothing where the model has neither module.

    Raises:
        ValueError: If the model is not built, so that it has no variables yet.
    """
    return paths_without_decay(model)


def paths_without_decay(
    model: keras.Model, kinds: Collection[str] = (), modules: bool = True
) -> list[str]:
    """Paths of trainable variables that do not decay, of whatever optimizer.

    Args:
        model: A built model of any kind; layers inside of other layers count, frozen ones do not.
        kinds: ``"norms"``: scales and offsets of batch, layer, group, RMS and instance norms;
            ``"biases"``: what is called ``bias``.
        modules: Whether to name those of ``paths_without_l2``.

    Raises:
        ValueError: If the model is not built, so that it has no variables yet.
    """
    if not model.built:
        raise ValueError(
            "`model` must be built, by `model.build(input_shape)` or a first call. "
            f"Received: {model.name!r}, which has no variables yet"
        )
    found: set[int] = set()
    for layer in filter(lambda layer: layer.built, sublayers(model)):
        of_norm = layer.variables if "norms" in kinds and isinstance(layer, NORMS) else []
        of_module = _variables_without_l2(layer) if modules else []
        found.update(id(variable) for variable in (*of_norm, *of_module))
    return [
        v.path
        for v in model.trainable_variables
        if id(v) in found or ("biases" in kinds and v.name == "bias")
    ]


def _variables_without_l2(layer: keras.layers.Layer) -> list[keras.Variable]:
    if isinstance(layer, GCT):
        return [layer.beta]
    if not isinstance(layer, SRM):
        return []
    without = (ChannelwiseDense, keras.layers.BatchNormalization)
    parts = [part for part in (layer.encoder, layer.bn) if isinstance(part, without)]
    return [variable for part in parts for variable in part.variables]
