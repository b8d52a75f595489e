"""ResNets in PyTorch under the parameter names of torchvision, timm and the SRM authors.

What conversions are compared with: written from the papers for `tools.conversion_parity` and the
tests; nothing of it is used by the package. `tests/interop/test_published_names.py` compares names
and outputs with torchvision and timm where they are installed.
"""

import dataclasses
import math

import torch
from torch import nn

DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
# Layout and module of each kind of network that conversions know.
KINDS = {
    "torchvision": (None, None),
    "timm_se": ("se", "timm_se"),
    "timm_eca": ("se", "timm_eca"),
    "authors_srm": ("rclb", "srm"),
    "authors_se": ("rclb", "se"),
    "authors_ge": ("rclb", "ge"),
}


class TimmSE(nn.Module):
    """SE with 1×1 convolutions; the hidden units are rounded up to a multiple of 8."""

    def __init__(self, channels: int, side: int, reduction: int = 16):
        super().__init__()
        hidden = max(math.ceil(channels / reduction / 8) * 8, 8)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        """Recalibrated ``x``."""
        hidden = torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.fc2(hidden))


class TimmECA(nn.Module):
    """A convolution over neighbouring channels."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        kernel = int(abs(math.log2(channels) + 1) / 2)
        kernel += 1 - kernel % 2
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x):
        """Recalibrated ``x``."""
        gates = self.conv(x.mean((2, 3))[:, None])[:, 0]
        return x * torch.sigmoid(gates)[:, :, None, None]


class AuthorsSRM(nn.Module):
    """Mean and torch.std of each channel through a CFC and batch norm."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.cfc = nn.Parameter(torch.zeros(channels, 2))
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        """Recalibrated ``x``."""
        style = torch.stack([x.mean((2, 3)), x.flatten(2).std(-1)], dim=-1)
        z = (style * self.cfc).sum(-1)
        return x * torch.sigmoid(self.bn(z[:, :, None, None]))


class AuthorsSE(nn.Module):
    """SE with two dense layers."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        hidden = channels // 16
        self.fc = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x):
        """Recalibrated ``x``."""
        return x * torch.sigmoid(self.fc(x.mean((2, 3))))[:, :, None, None]


class AuthorsGE(nn.Module):
    """Global Gather-Excite: one depthwise convolution of the map's size."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, channels, side, groups=channels), nn.BatchNorm2d(channels)
        )

    def forward(self, x):
        """Recalibrated ``x``."""
        return x * torch.sigmoid(self.conv(x))


MODULES = {
    "timm_se": TimmSE,
    "timm_eca": TimmECA,
    "srm": AuthorsSRM,
    "se": AuthorsSE,
    "ge": AuthorsGE,
}


@dataclasses.dataclass(frozen=True)
class Variant:
    """What the networks that timm names by letters and widths have of their own.

    Args:
        stem: Filters of its three 3×3 convolutions; none for one of 7×7.
        stem_pool: ``"max"``, or ``"conv"`` for a convolution in its place.
        average: Whether the shortcuts average where they stride.
        groups: Of the 3×3 convolution of a bottleneck.
        group_width: Of each of them in the first stage.
        reduction: Of timm's SE.
        antialias: Whether stem and branches average 2×2 pixels where they would pool or stride.
    """

    stem: tuple[int, ...] = ()
    stem_pool: str = "max"
    average: bool = False
    groups: int = 1
    group_width: int = 64
    reduction: int = 16
    antialias: bool = False


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias, and batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Unit(nn.Module):
    """A residual unit, basic or bottleneck, the stride in its first 3×3 convolution."""

    def __init__(
        self,
        block: str,
        width_in: int,
        planes: int,
        stride: int,
        kind: str,
        side: int,
        variant: Variant,
    ):
        super().__init__()
        width = planes * (4 if block == "bottleneck" else 1)
        inner = planes * variant.group_width // 64 * variant.groups
        if block == "bottleneck":
            sizes = [(width_in, inner, 1, 1), (inner, inner, 3, stride), (inner, width, 1, 1)]
        else:
            sizes = [(width_in, planes, 3, stride), (planes, planes, 3, 1)]
        self.count = len(sizes)
        self.pools = nn.ModuleDict()
        for index, (inputs, outputs, kernel, step) in enumerate(sizes, start=1):
            if variant.antialias and step > 1:
                self.pools[str(index)], step = nn.AvgPool2d(step), 1
            groups = variant.groups if block == "bottleneck" and kernel == 3 else 1
            conv = nn.Conv2d(
                inputs, outputs, kernel, step, padding=kernel // 2, groups=groups, bias=False
            )
            self.add_module(f"conv{index}", conv)
            self.add_module(f"bn{index}", nn.BatchNorm2d(outputs))
        self.attribute, module = KINDS[kind]
        if self.attribute:
            options = {"reduction": variant.reduction} if module == "timm_se" else {}
            self.add_module(self.attribute, MODULES[module](width, side, **options))
        self.downsample = None
        if stride > 1 or width_in != width:
            self.downsample = shortcut(width_in, width, stride, variant.average)

    def forward(self, x):
        """Output of the unit."""
        y = x
        for index in range(1, self.count + 1):
            y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
            y = torch.relu(y) if index < self.count else y
            y = self.pools[str(index)](y) if str(index) in self.pools else y
        if self.attribute:
            y = getattr(self, self.attribute)(y)
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def shortcut(width_in: int, width: int, stride: int, average: bool) -> nn.Sequential:
    """A 1×1 convolution; one of stride 1 after an average of 2×2 pixels, cut at the border."""
    if not average:
        return nn.Sequential(*conv_bn(width_in, width, 1, stride))
    pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, *conv_bn(width_in, width, 1))


class TorchResNet(nn.Module):
    """A ResNet for square images of ``image_size`` pixels (which only GE depends on).

    Args:
        block: ``"basic"`` or ``"bottleneck"``.
        blocks: number of units of each stage.
        kind: a key of ``KINDS``.
        classes: number of classes.
        image_size: side of the input.
        planes: width of the first stage. 64 means ImageNet's stem; fewer CIFAR's, one 3×3.
        variant: its stem, shortcuts and groups.
    """

    def __init__(
        self,
        block: str,
        blocks: tuple[int, ...],
        kind: str,
        classes: int = 10,
        image_size: int = 64,
        planes: int = 64,
        variant: Variant | None = None,
    ):
        super().__init__()
        variant = variant or Variant()
        self.stages = len(blocks)
        self.large = planes == 64
        kernel, stride = (7, 2) if self.large else (3, 1)
        self.conv1, self.bn1 = conv_bn(3, planes, kernel, stride)
        width = planes
        if variant.stem:
            first, second, width = variant.stem
            parts = [*conv_bn(3, first, 3, 2), nn.ReLU(), *conv_bn(first, second, 3), nn.ReLU()]
            last, self.bn1 = conv_bn(second, width, 3)
            self.conv1 = nn.Sequential(*parts, last)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if self.large else nn.Identity()
        if variant.antialias:
            self.maxpool = nn.AvgPool2d(2)
        if variant.stem_pool == "conv":
            self.maxpool = nn.Sequential(*conv_bn(width, width, 3, 2), nn.ReLU())
        side = image_size // (4 if self.large else 1)
        for stage, count in enumerate(blocks):
            units = []
            for index in range(count):
                stride = 2 if index == 0 and stage > 0 else 1
                side //= stride
                units.append(Unit(block, width, planes * 2**stage, stride, kind, side, variant))
                width = planes * 2**stage * (4 if block == "bottleneck" else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*units))
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        """Logits of images (N, 3, H, W)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


DEEP, TIERED, WIDE = (32, 32, 64), (24, 32, 64), (64, 64, 128)
RESNEXT = {"groups": 32, "group_width": 4}
# Block, blocks, kind and variant of networks that timm has under these names: every option.
TIMM = {
    "resnet10t": ("basic", (1, 1, 1, 1), "torchvision", Variant(TIERED, average=True)),
    "resnet50c": ("bottleneck", (3, 4, 6, 3), "torchvision", Variant(DEEP)),
    "resnet101s": ("bottleneck", (3, 4, 23, 3), "torchvision", Variant(WIDE)),
    "wide_resnet50_2": ("bottleneck", (3, 4, 6, 3), "torchvision", Variant(group_width=128)),
    "resnetrs50": (
        *("bottleneck", (3, 4, 6, 3), "timm_se"),
        Variant(DEEP, "conv", average=True, reduction=4),
    ),
    "seresnet34": ("basic", (3, 4, 6, 3), "timm_se", Variant()),
    "seresnext26d_32x4d": (
        *("bottleneck", (2, 2, 2, 2), "timm_se"),
        Variant(DEEP, average=True, **RESNEXT),
    ),
    "ecaresnext26t_32x4d": (
        *("bottleneck", (2, 2, 2, 2), "timm_eca"),
        Variant(TIERED, average=True, **RESNEXT),
    ),
    "resnetaa50": ("bottleneck", (3, 4, 6, 3), "torchvision", Variant(antialias=True)),
    "ecaresnetlight": ("bottleneck", (1, 1, 11, 3), "timm_eca", Variant(average=True)),
}


def torch_variant(name: str, classes: int = 10) -> TorchResNet:
    """A network of ``TIMM``, as PyTorch initializes it."""
    block, blocks, kind, variant = TIMM[name]
    return TorchResNet(block, blocks, kind, classes, variant=variant)


def torch_resnet(depth: int, kind: str, classes: int = 10, image_size: int = 64) -> TorchResNet:
    """ResNet-18, 34, 50, 101 or 152 in inference mode, with random weights and statistics."""
    return randomized(TorchResNet(*DEPTHS[depth], kind, classes, image_size))


def torch_cifar_resnet(
    block: str, kind: str, classes: int = 10, image_size: int = 32
) -> TorchResNet:
    """The smallest CIFAR ResNet, one unit a stage, likewise."""
    return randomized(TorchResNet(block, (1, 1, 1), kind, classes, image_size, planes=16))


@torch.no_grad()
def randomized(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give weights and batch norm statistics random values of a sensible size; returns it."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.copy_(1 + 0.3 * torch.tanh(noise))
        elif value.ndim == 1 and name.endswith("weight"):
            value.copy_(0.6 + 0.3 * torch.tanh(noise))
        elif value.ndim == 1:
            value.copy_(0.2 * noise)
        else:
            value.copy_(noise * math.sqrt(2 / math.prod(value.shape[1:])))
    return model.eval()
