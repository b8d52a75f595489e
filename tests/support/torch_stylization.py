"""The stylization network as PyTorch has it: biases everywhere, no cropping."""

import numpy as np
import torch
from keras import ops
from torch import nn


class Unit(nn.Module):
    """Reflection padding, convolution with bias and, for all but the last, a normalization."""

    def __init__(self, inputs, outputs, kernel, stride, normalization):
        super().__init__()
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        norms = {
            "instance": lambda: nn.InstanceNorm2d(outputs, affine=True),
            "batch": lambda: nn.BatchNorm2d(outputs),
            None: nn.Identity,
        }
        self.norm = norms[normalization]()

    def forward(self, x):
        """Without the ReLU."""
        return self.norm(self.conv(self.pad(x)))


class Stylizer(nn.Module):
    """Johnson et al. with a normalization after each convolution but the last."""

    def __init__(self, normalization: str, filters: int, blocks: int):
        super().__init__()
        wide, wider = 2 * filters, 4 * filters

        def unit(*shape):
            return Unit(*shape, normalization)

        self.encoder = nn.ModuleList(
            [unit(3, filters, 9, 1), unit(filters, wide, 3, 2), unit(wide, wider, 3, 2)]
        )
        self.blocks = nn.ModuleList([unit(wider, wider, 3, 1) for _ in range(2 * blocks)])
        self.decoder = nn.ModuleList([unit(wider, wide, 3, 1), unit(wide, filters, 3, 1)])
        self.last = Unit(filters, 3, 9, 1, None)

    def forward(self, x):
        """(N, 3, H, W) to (N, 3, 4⌈H/4⌉, 4⌈W/4⌉)."""
        for part in self.encoder:
            x = torch.relu(part(x))
        for first, second in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            x = x + second(torch.relu(first(x)))
        for part in self.decoder:
            x = torch.relu(part(nn.functional.interpolate(x, scale_factor=2)))
        return self.last(x)

    def units(self) -> list[Unit]:
        """All units in the order of the network."""
        return [*self.encoder, *self.blocks, *self.decoder, self.last]


def torch_stylizer(model, normalization: str, filters: int, blocks: int) -> Stylizer:
    """A `Stylizer` with the weights of our network, and random biases where ours has none."""
    network = Stylizer(normalization, filters, blocks).eval()
    layers = {layer.name: layer for layer in model.layers}
    convs = [name for name in layers if name.endswith("_conv")]
    with torch.no_grad():
        for name, unit in zip(convs, network.units(), strict=True):
            kernel, *bias = (ops.convert_to_numpy(weight) for weight in layers[name].weights)
            unit.conv.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
            if bias:
                unit.conv.bias.copy_(torch.tensor(bias[0]))
                continue
            norm = layers[name.replace("_conv", "_bn" if normalization == "batch" else "_in")]
            gamma, beta, *moving = (torch.tensor(np.array(w)) for w in norm.get_weights())
            unit.norm.weight.copy_(gamma)
            unit.norm.bias.copy_(beta)
            if moving:
                unit.norm.running_mean.copy_(moving[0] + unit.conv.bias)
                unit.norm.running_var.copy_(moving[1])
    return network
