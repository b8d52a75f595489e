"""The ResNets that timm has names for, and what the names mean.

A name is a module (``se``, ``eca``), a family (``resnet``, ``resnext``, ``wide_resnet``,
``resnetrs``, ``resnetaa``), a depth, a letter for the stem and the shortcuts, and a width:
``seresnext26d_32x4d``. In every one the modules stand where they do here, after the last batch norm
of the residual branch, and bottlenecks stride in their 3×3 convolution.
"""

import re
from typing import Any

from srm_keras.layers.registry import Spec
from srm_keras.models.residual import EXPANSION
from srm_keras.models.resnet import DEPTHS, PLANES, Architecture

# ResNets of timm, each under its own name; those with ``untrained`` weights alone too.
_NAMES = """
resnet10t resnet14t resnet18 resnet18d resnet26 resnet26d resnet26t resnet34 resnet34d
resnet50 resnet50c resnet50d resnet50s resnet50t resnet101 resnet101c resnet101d resnet101s
resnet152 resnet152c resnet152d resnet152s resnet200 resnet200d
resnetrs50 resnetrs101 resnetrs152 resnetrs200 resnetrs270 resnetrs350 resnetrs420
resnext50_32x4d resnext50d_32x4d
resnext101_32x4d resnext101_32x8d resnext101_32x16d resnext101_32x32d resnext101_64x4d
wide_resnet50_2 wide_resnet101_2
seresnet18 seresnet34 seresnet50 seresnet50t seresnet101 seresnet152 seresnet152d seresnet200d
seresnet269d
seresnext26d_32x4d seresnext26t_32x4d seresnext50_32x4d
seresnext101_32x4d seresnext101_32x8d seresnext101_64x4d seresnext101d_32x8d
ecaresnet26t ecaresnet50d ecaresnet50t ecaresnet101d ecaresnet200d ecaresnet269d ecaresnetlight
ecaresnext26t_32x4d ecaresnext50t_32x4d
resnetaa34d resnetaa50 resnetaa50d resnetaa101d seresnetaa50d
seresnextaa101d_32x8d seresnextaa201d_32x8d
"""
NAMES = tuple(_NAMES.split())

OTHERS = {
    "resnetblur*": "it blurs with a fixed kernel where it strides",
    "*_pruned": "pruning chose the filters of each of its convolutions",
    "senet154": "its shortcuts are 3×3 convolutions, and the first of each branch is half as wide",
    "resnet50_gn": "it normalizes by groups",
    "test_resnet": "it has basic and bottleneck blocks",
}
"""What other ResNets of timm have that no argument of ``ResNet`` makes, by pattern of the name."""

BLOCKS = {
    **DEPTHS,
    10: ("basic", (1, 1, 1, 1)),
    14: ("bottleneck", (1, 1, 1, 1)),
    26: ("bottleneck", (2, 2, 2, 2)),
    200: ("bottleneck", (3, 24, 36, 3)),
    201: ("bottleneck", (3, 24, 36, 4)),
    269: ("bottleneck", (3, 30, 48, 8)),
    270: ("bottleneck", (4, 29, 53, 4)),
    350: ("bottleneck", (4, 36, 72, 4)),
    420: ("bottleneck", (4, 44, 87, 4)),
}
"""Block and number of blocks of each stage by the depth that a name has."""

LETTERS: dict[str, dict[str, str]] = {
    "": {},
    "c": {"stem": "deep"},
    "d": {"stem": "deep", "shortcut": "average"},
    "s": {"stem": "deep_wide"},
    "t": {"stem": "deep_tiered", "shortcut": "average"},
}
KINDS: dict[str | None, dict[str, str]] = {
    None: {},
    "rs": {**LETTERS["d"], "stem_pool": "conv"},  # Bello et al. 2021, with SE of a quarter
    "aa": {"downsampling": "average"},
}

_NAME = re.compile(
    r"(?P<module>se|eca)?(?P<wide>wide_)?resne(?:t|xt)(?P<kind>rs|aa)?(?P<depth>\d+)(?P<letter>[cdst]?)"
    r"(?:_(?P<cardinality>\d+)x(?P<base_width>\d+)d|_2)?"
)


def variant(name: str) -> tuple[Architecture, Any]:
    """Return the architecture and the recalibration spec that a name of ``NAMES`` means."""
    if name == "ecaresnetlight":
        return Architecture(blocks=(1, 1, 11, 3), shortcut="average"), "eca"
    match = _NAME.fullmatch(name)
    assert match, name
    block, blocks = BLOCKS[int(match["depth"])]
    options: dict[str, Any] = {**LETTERS[match["letter"]], **KINDS[match["kind"]]}
    if match["cardinality"]:
        options |= {key: int(match[key]) for key in ("cardinality", "base_width")}
    if match["wide"]:
        options["base_width"] = 128
    if name == "seresnextaa201d_32x8d":
        options["stem"] = "deep_wide"
    reduction = 4 if match["kind"] == "rs" else 16
    has_se = match["kind"] == "rs" or match["module"] == "se"
    module = squeeze_excite(block, reduction) if has_se else match["module"]
    return Architecture(block, blocks, **options), module


def squeeze_excite(block: str, reduction: int) -> Any:
    """The spec of timm's SE, whose hidden units are rounded up to a multiple of 8.

    Returns:
        One spec, or one a stage where rounding makes another ``reduction`` of it.
    """
    specs = []
    for planes in PLANES:
        channels = planes * EXPANSION[block]
        specs.append(se_spec(channels // (-(-channels // reduction // 8) * 8)))
    return one_or_list(specs)


def se_spec(reduction: int) -> Spec:
    """The shortest spec of SE with this reduction."""
    return "se" if reduction == 16 else {"name": "se", "reduction": reduction}


def one_or_list(specs: list) -> Any:
    """The spec itself where all stages have the same, else the list."""
    return specs[0] if all(spec == specs[0] for spec in specs) else specs
