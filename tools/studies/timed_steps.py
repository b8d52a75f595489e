"""What studies of time measure: modules, the fewest passes they can do, and programs that wait."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from srm_keras.layers import ChannelwiseDense, Recalibration, list_recalibrations, recalibration
from srm_keras.layers.conventions import batch_norm, over_space, spatial_axes
from srm_keras.layers.statistics import widen
from srm_keras.support.timing import Step

Shape = tuple[int, int, int, int]

MULTIPLY = "multiply"
AUTODIFF_SRM = "srm (autodiff)"
FEWEST_PASSES = {
    MULTIPLY: 5,
    **dict.fromkeys(("se", "eca", "ge", "fca"), 7),
    **dict.fromkeys(("srm", AUTODIFF_SRM, "gct", "simam"), 8),
    "cbam": 10,
}
"""How often forward and backward must at least read or write a map (of x, y, dx or dy).

The product with given gates reads x and writes y, and back reads x and dy and writes dx: 5. Gates
computed from a sum over the map need x a second time forward; back, dx depends on Σ dy·x, so that
dy is read twice: 7. Where the sum is of squares (SRM, GCT, SimAM) dx depends on x as well, after
that sum: 8. CBAM has two gates after each other: forward it reads x for the channels' gate, for the
pixels', and for the product; back, dy and x for the pixels' gate, again for the channels', and dy
alone for dx: 4 and 6. Mean and deviation of SRM are counted as one read, which a shifted sum of
squares can do; the two-pass form that is exact everywhere takes one more.
"""


class AutodiffSRM(Recalibration):
    """SRM as one would write it down from the paper, its gradient left to the backend.

    Weights, values and gradients are those of ``SRM()``, without its hand-written gradient. It is
    here to be timed and compared, not to be used.
    """

    def build_gates(self, input_shape, channels: int) -> None:
        """Build the CFC and the batch norm of ``SRM``."""
        self.cfc = ChannelwiseDense(dtype=self.gate_dtype, name="cfc")
        self.cfc.build((None, channels, 2))
        self.bn = batch_norm("bn", dtype=self.gate_dtype)
        self.bn.build((None, channels))

    def gates(self, inputs, training: bool | None = None):
        """Return (N, 1, 1, C) gates: Lee et al. 2019, eqs. 1-8."""
        axes, x = spatial_axes(self.data_format), widen(inputs)
        mean = ops.mean(x, axis=axes)
        deviation = x - over_space(mean, self.data_format)
        std = ops.sqrt(ops.mean(ops.square(deviation), axis=axes) + 1e-5)
        z = self.bn(self.cfc(ops.stack([mean, std], axis=-1)), training=training)
        return over_space(ops.sigmoid(z), self.data_format)


def modules() -> tuple[str, ...]:
    """Names of what can be timed: the bare product, every module, SRM by autodiff."""
    return (MULTIPLY, *list_recalibrations(), AUTODIFF_SRM)


def built_module(name: str, shape: Shape, random: np.random.Generator, dtype: str = "float32"):
    """A module with random weights: at its initial zeros, some products would be trivial.

    Args:
        name: Of ``modules()``, but ``"multiply"``, which is no layer.
        shape: (N, H, W, C) of its input.
        random: Draws the weights.
        dtype: Of the layer; a policy of mixed precision too.
    """
    options: dict[str, Any] = {"data_format": "channels_last", "dtype": dtype}
    layer: Any = (
        AutodiffSRM(**options) if name == AUTODIFF_SRM else recalibration({"name": name, **options})
    )
    layer.build(tuple(shape))
    for weight in layer.trainable_weights:
        weight.assign(0.1 * random.standard_normal(weight.shape))
    return layer


@dataclasses.dataclass(frozen=True)
class Program:
    """Something of a device to be timed.

    Attributes:
        step: Does it ``repetitions`` times and returns when all of that is done.
        repetitions: So many that launching and waiting do not count.
        memory: Bytes of the device that it needs at its peak; None where that is not known.
    """

    step: Step
    repetitions: int
    memory: int | None

    @classmethod
    def of(
        cls,
        start: Callable[[], Any],
        wait: Callable[[Any], Any],
        memory: int | None,
        least_ms: float,
    ) -> "Program":
        """Repeat ``start``, which queues work, until it takes ``least_ms``; then ``wait`` for it.

        What ``start`` returned last is given to ``wait``. Calls it three times: what the first two
        prepare is not measured.
        """
        for _ in range(2):
            wait(start())
        begun = time.perf_counter()
        wait(start())
        once = 1e3 * (time.perf_counter() - begun)
        repetitions = max(1, math.ceil(least_ms / once))

        def step() -> None:
            for _ in range(repetitions):
                last = start()
            wait(last)

        return cls(step, repetitions, memory)


@dataclasses.dataclass(frozen=True)
class Network:
    """A bottleneck ResNet and how it is trained, whatever the framework.

    Attributes:
        blocks: Of each stage: four of them for ImageNet's stem, three equal ones for CIFAR's.
        side: Of its square images.
        classes: Number of them.
        batch: Images in an update.
    """

    blocks: tuple[int, ...]
    side: int
    classes: int
    batch: int

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """Random images (N, H, W, 3), float32, and labels (N,), int32."""
        random = np.random.default_rng(0)
        images = random.standard_normal((self.batch, self.side, self.side, 3), "float32")
        return images, random.integers(0, self.classes, self.batch, "int32")

    @property
    def multiply_adds(self) -> int:
        """Of its convolutions and its dense layer on one image, without modules."""
        if len(self.blocks) == 4:
            planes, side = 64, self.side // 2
            total = side**2 * 7 * 7 * 3 * planes
            side //= 2
        else:
            planes, side = 16, self.side
            total = side**2 * 3 * 3 * 3 * planes
        width = planes
        for stage, count in enumerate(self.blocks):
            inner, outer = planes * 2**stage, 4 * planes * 2**stage
            for block in range(count):
                stride = 2 if stage and not block else 1
                total += side**2 * width * inner
                side //= stride
                total += side**2 * (9 * inner**2 + inner * outer)
                total += 0 if block else side**2 * width * outer
                width = outer
        return total + width * self.classes
