"""What the study of a GPU measures, and in which order."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from srm_keras.layers import list_recalibrations
from tools.studies.results import Row
from tools.studies.timed_steps import AUTODIFF_SRM, MULTIPLY, Network, Shape, modules

PLACE = ("case", "framework", "module")
PLAIN, KERAS, TORCH, TIMM = "plain", "keras", "torch", "timm"
COMPILED = " compiled"
MAIN = (PLAIN, "se", "srm")
"""What of each network is timed first."""
TORCH_REST = ("eca", "ge")
"""Modules that PyTorch's networks have here besides."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        networks: What is trained, by name; the first is compared with timm's, if it is a ResNet-50.
        maps: (N, H, W, C) of the maps.
        modules: At the maps, and in the networks but for ``"multiply"`` and SRM by autodiff.
        rounds: Measured ones, in which all of a part take turns.
        warmup: Rounds before.
        least_ms: Of what is measured at a time: short programs are repeated so long.
        copied: Bytes of the copy.
        side: Of the matrices.
        compiler: Backend of ``torch.compile``.
    """

    networks: Mapping[str, Network]
    maps: tuple[Shape, ...]
    modules: tuple[str, ...]
    rounds: int
    warmup: int
    least_ms: float
    copied: int
    side: int
    compiler: str = "inductor"


FULL = Sizes(
    networks={
        "resnet50": Network((3, 4, 6, 3), side=224, classes=1000, batch=256),
        "cifar_resnet56": Network((9, 9, 9), side=32, classes=10, batch=128),
    },
    maps=tuple((256, side, side, 256 * 56 // side) for side in (56, 28, 14, 7)),
    modules=modules(),
    rounds=10,
    warmup=2,
    least_ms=20.0,
    copied=2**31,
    side=8192,
)
TINY = Sizes(
    networks={"cifar_resnet8": Network((1, 1, 1), side=8, classes=3, batch=2)},
    maps=((2, 4, 3, 8),),
    modules=(MULTIPLY, "se", "srm", "eca", AUTODIFF_SRM),
    rounds=2,
    warmup=1,
    least_ms=0.1,
    copied=2**12,
    side=16,
    compiler="eager",
)


@dataclasses.dataclass(frozen=True)
class Part:
    """What is measured at once.

    Attributes:
        kind: ``"card"``, ``"steps"``, ``"compiled"`` steps or ``"maps"``.
        case: The network, or shape and dtype of the map.
        keys: Framework and module of each row.
        shape: Of the map.
        dtype: Of the map.
    """

    kind: str
    case: str
    keys: tuple[tuple[str, str], ...]
    shape: Shape | None = None
    dtype: str = "bfloat16"

    def places(self) -> list[Row]:
        """Where the rows stand."""
        return [dict(zip(PLACE, (self.case, *key), strict=True)) for key in self.keys]


def parts(sizes: Sizes, frameworks: Sequence[str]) -> list[Part]:
    """All parts, the most important first, of these frameworks beside Keras."""
    first, *others = sizes.networks
    has_peers = TIMM in frameworks and len(sizes.networks[first].blocks) == 4
    timm = [(TIMM, PLAIN), (TIMM, "se")] if has_peers else []
    maps = {dtype: _maps(sizes, dtype) for dtype in ("bfloat16", "float32")}
    rest = [name for name in sizes.modules if name in list_recalibrations() and name not in MAIN]
    pairs = [rest[index : index + 2] for index in range(0, len(rest), 2)]
    found = [
        Part("card", "card", ((KERAS, "copy"), (KERAS, "product"))),
        _steps(first, frameworks, MAIN, timm),
        *maps["bfloat16"],
    ]
    if TORCH in frameworks:
        found += [_compiled(first, [(TORCH, PLAIN), (TORCH, "srm")])]
        found += [_compiled(first, [(TORCH, PLAIN), (TORCH, "se"), *timm])]
    found += [*maps["float32"], *(_steps(name, frameworks, MAIN) for name in others)]
    found += [_steps(name, (), (PLAIN, *pair)) for name in sizes.networks for pair in pairs]
    if TORCH in frameworks:
        others_there = [PLAIN, *(name for name in rest if name in TORCH_REST)]
        found += [_steps(name, (TORCH,), others_there, keras=False) for name in sizes.networks]
        found += [_compiled(name, [(TORCH, module) for module in MAIN]) for name in others]
    return found


def _maps(sizes: Sizes, dtype: str) -> list[Part]:
    keys = tuple((KERAS, module) for module in sizes.modules)
    return [
        Part("maps", f"{'×'.join(map(str, shape))} {dtype}", keys, shape, dtype)
        for shape in sizes.maps
    ]


def _steps(
    case: str,
    frameworks: Sequence[str],
    names: Sequence[str],
    more: Sequence[tuple[str, str]] = (),
    keras: bool = True,
) -> Part:
    used = [KERAS] * keras + [TORCH] * (TORCH in frameworks)
    return Part("steps", case, (*((one, name) for one in used for name in names), *more))


def _compiled(case: str, keys: Iterable[tuple[str, str]]) -> Part:
    return Part("compiled", case, tuple((one + COMPILED, module) for one, module in keys))
