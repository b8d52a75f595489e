"""The parameters of modules by the paper's formulas, beside those counted in a network."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from srm_keras.analysis.costs.complexity import complexity
from srm_keras.analysis.costs.cost import LayerCost
from srm_keras.layers.data_format import channel_axis, spatial_axes
from srm_keras.models import build
from srm_keras.tables import text_table

REDUCTION = 16

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Blocks:
    """The residual blocks of a stage that have a module: N of them, with C outputs each."""

    stage: str
    count: int
    channels: int
    pixels: int


@dataclasses.dataclass(frozen=True)
class Formula:
    """How many parameters a module adds to a stage.

    Attributes:
        text: the formula.
        value: of the blocks of a stage.
        difference: by how much the trainable parameters of this package differ from it.
        because: where the difference comes from.
    """

    text: str
    value: Callable[[Blocks], int]
    difference: Callable[[Blocks], int]
    because: str


# Lee et al. 2019, section 3.3 (SRM: equation 10; SE: after it). The paper has none for GE-θ, whose
# depthwise convolution has the size of the map.
FORMULAS = {
    "srm": Formula(
        "6·N·C",
        lambda b: 6 * b.count * b.channels,
        lambda b: -2 * b.count * b.channels,
        "the formula counts the moving mean and variance, which are not trained: 2·N·C",
    ),
    "se": Formula(
        f"2/{REDUCTION}·N·C²",
        lambda b: 2 * b.count * b.channels**2 // REDUCTION,
        lambda b: b.count * (b.channels + b.channels // REDUCTION),
        f"the formula leaves out biases: N·(C + C/{REDUCTION})",
    ),
    "ge": Formula(
        "N·C·(H·W + 3), not in the paper",
        lambda b: b.count * b.channels * (b.pixels + 3),
        lambda b: 0,
        "kernel, bias, scale and offset of each channel, all trained",
    ),
}


def compare_formulas(network: str = "resnet50") -> Iterator[Row]:
    """Build a network with each module of section 3.3 and yield formulas with what is counted.

    Args:
        network: a name that ``srm_keras.models.build`` knows, without a module.

    Yields:
        A dict a stage and, as stage ``"total"``, one for all of them: ``module``, ``stage``,
        ``blocks``, ``channels`` and ``pixels`` (None in total), ``formula``, ``trainable``,
        ``non_trainable``, ``difference`` (trainable minus formula), ``explained`` (the part of it
        that ``because`` explains), ``because``.

    Raises:
        ValueError: there is no such network.

    Reference:
        Lee et al. 2019, section 3.3, equation 10.
    """
    for module, formula in FORMULAS.items():
        layers = [
            layer
            for layer in complexity(build(network, recalibration=module)).layers
            if layer.name.endswith("_recalibration")
        ]
        stages = dict.fromkeys(layer.stage for layer in layers)
        rows = [_row(module, formula, [la for la in layers if la.stage == s]) for s in stages]
        yield from rows
        yield _total(rows)


def _row(module: str, formula: Formula, layers: Sequence[LayerCost]) -> Row:
    blocks = _blocks(layers)
    trainable = sum(layer.cost.trainable for layer in layers)
    value = formula.value(blocks)
    return {
        "module": module,
        "stage": blocks.stage,
        "blocks": blocks.count,
        "channels": blocks.channels,
        "pixels": blocks.pixels,
        "formula": value,
        "trainable": trainable,
        "non_trainable": sum(layer.cost.non_trainable for layer in layers),
        "difference": trainable - value,
        "explained": formula.difference(blocks),
        "because": formula.because,
    }


def _blocks(layers: Sequence[LayerCost]) -> Blocks:
    shape = layers[0].output_shape
    data_format = keras.config.image_data_format()
    height, width = (shape[axis] for axis in spatial_axes(data_format))
    return Blocks(layers[0].stage, len(layers), shape[channel_axis(data_format)], height * width)


def _total(rows: Sequence[Row]) -> Row:
    summed = ("blocks", "formula", "trainable", "non_trainable", "difference", "explained")
    total = {name: sum(row[name] for row in rows) for name in summed}
    return rows[0] | {"stage": "total", "channels": None, "pixels": None} | total


def formulas_text(rows: Sequence[Row]) -> str:
    """Return the rows of ``compare_formulas`` as a table a module for people."""
    parts = []
    for module, formula in FORMULAS.items():
        cells = [[_cell(row[name]) for name in _COLUMNS] for row in rows if row["module"] == module]
        table = text_table([name.replace("_", " ") for name in _COLUMNS], cells)
        parts.append(
            f"{module}: {formula.text}\n\n{table}\n\nTrainable − formula: {formula.because}."
        )
    return "\n\n".join(parts)


_COLUMNS = (
    *("stage", "blocks", "channels", "pixels"),
    *("formula", "trainable", "non_trainable", "difference", "explained"),
)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
