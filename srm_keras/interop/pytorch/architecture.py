"""Which ResNet a state dict is of, read from the names and shapes of its entries."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from srm_keras.interop.pytorch.names import AUTHORS_SRM
from srm_keras.models.resnet import DEPTHS

# What only other architectures have, and what it is there.
_FOREIGN = {
    r"conv1\.0\.weight": "a stem of three convolutions, as in timm's networks with -d, -t or -s",
    r"layer\d+\.\d+\.downsample\.2\..+": "average pools in the shortcuts, as in timm's -d, -t and "
    "ecaresnetlight",
}
_UNIT = re.compile(r"layer(\d+)\.(\d+)\.(.+)")


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
    """

    layout: str
    block: str
    blocks: tuple[int, ...]
    recalibration: Any
    classes: int | None
    image_size: int | None = None

    @property
    def depth(self) -> int | None:
        """18, 34, 50, 101 or 152; None for another number of blocks."""
        for depth, shape in DEPTHS.items():
            if shape == (self.block, self.blocks):
                return depth
        return None

    def __str__(self) -> str:
        blocks = "-".join(map(str, self.blocks))
        head = "no classifier" if self.classes is None else f"{self.classes} classes"
        name = "a ResNet" if self.depth is None else f"a ResNet-{self.depth}"
        modules = f"recalibration={self.recalibration!r}"
        return f"{name} with {self.block} blocks {blocks}, {modules}, {head}"


def describe(arrays: Mapping[str, np.ndarray]) -> TorchResNet:
    """Return which ResNet a state dict is of.

    Args:
        arrays: By name, as ``read_arrays`` gives them.

    Raises:
        ValueError: A network of another architecture; the message says by what that is known.
    """
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    _refuse_foreign(shapes)
    blocks = _blocks(shapes)
    stages = [_module(shapes, f"layer{stage}.0") for stage in range(1, len(blocks) + 1)]
    specs = [spec for _, spec in stages]
    return TorchResNet(
        layout=stages[0][0],
        block="bottleneck" if "layer1.0.conv3.weight" in shapes else "basic",
        blocks=blocks,
        recalibration=specs[0] if all(spec == specs[0] for spec in specs) else specs,
        classes=shapes["fc.weight"][0] if "fc.weight" in shapes else None,
        image_size=_image_size(shapes),
    )


def _refuse_foreign(shapes: Mapping[str, tuple[int, ...]]) -> None:
    for pattern, meaning in _FOREIGN.items():
        for name in shapes:
            if re.fullmatch(pattern, name):
                raise ValueError(
                    "`state_dict` must be of a ResNet with the architecture of torchvision's. "
                    f"Received: {name!r}, which shows {meaning}"
                )
    for name in ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight"):
        if name not in shapes:
            some = ", ".join(list(shapes)[:4]) or "nothing"
            raise ValueError(
                "`state_dict` must be of a ResNet under torchvision's names. "
                f"Received: no {name!r}; it begins with {some}"
            )


def _blocks(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    units = {match.groups()[:2] for match in map(_UNIT.fullmatch, shapes) if match}
    stages = sorted({int(stage) for stage, _ in units})
    return tuple(sum(int(stage) == number for stage, _ in units) for number in stages)


def _module(shapes: Mapping[str, tuple[int, ...]], unit: str) -> tuple[str, Any]:
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
    """SE's spec for (hidden, channels, …): timm rounds the hidden units up to a multiple of 8."""
    hidden, channels = shape[:2]
    reduction = max(channels // max(hidden, 1), 1)
    return "se" if reduction == 16 else {"name": "se", "reduction": reduction}


def _image_size(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
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
