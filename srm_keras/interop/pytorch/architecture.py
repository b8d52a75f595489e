"""Which ResNet a state dict is of, read from the names and shapes of its entries."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from srm_keras.interop.pytorch.names import AUTHORS_SRM
from srm_keras.models.residual import EXPANSION
from srm_keras.models.resnet import STEMS, Architecture, depth_of
from srm_keras.models.variants import one_or_list, se_spec

_UNIT = re.compile(r"layer(\d+)\.(\d+)\.(.+)")
_STEM = ("conv1.0.weight", "conv1.3.weight", "conv1.6.weight")  # of three convolutions

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class TorchResNet:
    """A ResNet as its state dict shows it.

    Attributes:
        layout: ``"torchvision"`` (no modules), ``"timm"`` or ``"authors"``.
        block: ``"basic"`` or ``"bottleneck"``.
        blocks: Number of residual blocks of each stage.
        recalibration: The spec that builds its modules: one, or one a stage where they differ.
        classes: Of the classifier; None without one.
        image_size: Side of the square input that a global Gather-Excite was made for (with
            ImageNet's stem); None for other modules.
        options: The other arguments of ``ResNet`` that its entries show: of the stem, the
            shortcuts and the groups, where they are not the default.
    """

    layout: str
    block: str
    blocks: tuple[int, ...]
    recalibration: Any
    classes: int | None
    image_size: int | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def network(self) -> Architecture:
        """What ``ResNet`` builds it from; ``ValueError`` for other than four stages."""
        return Architecture(self.block, self.blocks, **self.options)

    @property
    def depth(self) -> int | None:
        """18, 34, 50, 101 or 152; None for another number of blocks."""
        return depth_of(self.block, self.blocks)

    def __str__(self) -> str:
        blocks = "-".join(map(str, self.blocks))
        head = "no classifier" if self.classes is None else f"{self.classes} classes"
        name = "a ResNet" if self.depth is None else f"a ResNet-{self.depth}"
        settings = {**self.options, "recalibration": self.recalibration}
        shown = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        return f"{name} with {self.block} blocks {blocks}, {shown}, {head}"


def describe(arrays: Mapping[str, np.ndarray]) -> TorchResNet:
    """Return which ResNet a state dict is of, as far as names and shapes tell.

    They do not tell where a network averages or blurs instead of striding (timm's ``resnetaa50``
    and ``resnetblur50`` have the entries of ``resnet50``): ``from_timm`` takes the name.

    Args:
        arrays: By name, as ``read_arrays`` gives them.

    Raises:
        ValueError: A network of another architecture; the message says by what that is known.
    """
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    _check_first_names(shapes)
    blocks = _blocks(shapes)
    stages = [_module(shapes, f"layer{stage}.0") for stage in range(1, len(blocks) + 1)]
    block = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic"
    return TorchResNet(
        layout=stages[0][0],
        block=block,
        blocks=blocks,
        recalibration=one_or_list([spec for _, spec in stages]),
        classes=shapes["fc.weight"][0] if "fc.weight" in shapes else None,
        image_size=_image_size(shapes),
        options={**_stem(shapes), **_shortcut(shapes), **_groups(shapes)},
    )


def _check_first_names(shapes: Shapes) -> None:
    stem = _STEM if _STEM[0] in shapes else ("conv1.weight",)
    for name in (*stem, "bn1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight"):
        if name not in shapes:
            some = ", ".join(list(shapes)[:4]) or "nothing"
            raise ValueError(
                "`state_dict` must be of a ResNet under torchvision's or timm's names. "
                f"Received: no {name!r}; it begins with {some}"
            )


def _blocks(shapes: Shapes) -> tuple[int, ...]:
    units = {match.groups()[:2] for match in map(_UNIT.fullmatch, shapes) if match}
    stages = sorted({int(stage) for stage, _ in units})
    return tuple(sum(int(stage) == number for stage, _ in units) for number in stages)


def _stem(shapes: Shapes) -> dict[str, str]:
    pool = {"stem_pool": "conv"} if "maxpool.0.weight" in shapes else {}
    if _STEM[0] not in shapes:
        return pool
    widths = tuple(shapes[name][0] for name in _STEM)
    known = {value: name for name, value in STEMS.items() if len(value) > 1}
    if widths not in known:
        raise ValueError(
            f"`state_dict` must have a stem of {', '.join(map(str, known))} filters. "
            f"Received: one of {widths}"
        )
    return {"stem": known[widths], **pool}


def _shortcut(shapes: Shapes) -> dict[str, str]:
    """Timm has the pool as the first entry of every shortcut, also where nothing strides."""
    return {"shortcut": "average"} if "layer2.0.downsample.2.weight" in shapes else {}


def _groups(shapes: Shapes) -> dict[str, int]:
    """Groups of the first bottleneck, and their width in a stage of 64 planes."""
    if "layer1.0.conv3.weight" not in shapes:
        return {}
    planes = shapes["layer1.0.conv3.weight"][0] // EXPANSION["bottleneck"]
    width, group_width = shapes["layer1.0.conv2.weight"][:2]
    found = {"cardinality": width // group_width, "base_width": group_width * 64 // planes}
    usual = {"cardinality": 1, "base_width": 64}
    return {name: value for name, value in found.items() if value != usual[name]}


def _module(shapes: Shapes, unit: str) -> tuple[str, Any]:
    """Layout and spec of the module of a unit."""
    if f"{unit}.rclb.cfc" in shapes:
        return "authors", AUTHORS_SRM
    if f"{unit}.rclb.conv.0.weight" in shapes:
        return "authors", "ge"
    if f"{unit}.rclb.fc.0.weight" in shapes:
        return "authors", _se(shapes[f"{unit}.rclb.fc.0.weight"])
    if f"{unit}.se.fc1.weight" in shapes:
        return "timm", _se(shapes[f"{unit}.se.fc1.weight"])
    if f"{unit}.se.conv.weight" in shapes:
        return "timm", "eca"
    return "torchvision", None


def _se(shape: tuple[int, ...]) -> Any:
    """SE's spec for (hidden, channels, …)."""
    hidden, channels = shape[:2]
    return se_spec(max(channels // max(hidden, 1), 1))


def _image_size(shapes: Shapes) -> int | None:
    """Side of the input: the first stage's global kernel is a quarter of it."""
    shape = shapes.get("layer1.0.rclb.conv.0.weight")
    return 4 * shape[-1] if shape else None


SHOWN = 6


class StateDictError(ValueError):
    """A state dict does not fit a network; nothing was loaded.

    Attributes:
        missing: Names that the network needs and the state dict has not.
        unexpected: Names that the network has no place for.
        misshaped: ``"name is (…), must be (…)"`` for entries of another shape.
    """

    def __init__(
        self,
        found: str,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        misshaped: Sequence[str] = (),
    ):
        self.missing, self.unexpected = list(missing), list(unexpected)
        self.misshaped = list(misshaped)
        kinds = {"missing": missing, "unexpected": unexpected, "wrongly shaped": misshaped}
        parts = [_part(kind, names) for kind, names in kinds.items() if names]
        super().__init__(
            "`state_dict` must fit the network; nothing was loaded. "
            f"It is of {found}. {'; '.join(parts)}"
        )


def _part(kind: str, names: Sequence[str]) -> str:
    rest = f", … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{kind} ({len(names)}): {', '.join(names[:SHOWN])}{rest}"
