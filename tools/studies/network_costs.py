r"""Writes what every network of the catalogue takes: parameters and multiply-adds.

    python -m tools.studies.network_costs --out=srm_keras/zoo

Writes networks.csv, which ``srm-keras models`` prints: trainable parameters for the classes that a
network has by default, and operations on one image of its default size, those in the modules
included. Units of a stage but the first are alike, so no more than two are built, and a module is
counted alone on a map of each stage: a minute for all networks.
"""

import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
from absl.flags import FlagValues

from srm_keras.analysis import complexity
from srm_keras.analysis.costs.complexity import Cost
from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.layers import recalibration
from srm_keras.models import list_models
from srm_keras.models.catalog import settings_of
from srm_keras.models.cifar_resnet import blocks_per_stage
from srm_keras.support.files import write_csv
from srm_keras.support.timing import with_progress

FILE = "networks.csv"


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.out(flags)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Count all networks."""
    shared.check(flags, arguments, "out")
    names = list_models()
    rows = with_progress(network_rows(names), len(names), "counted", "networks")
    write_csv(Path(flags.out) / FILE, list(rows))
    print(f"Wrote {Path(flags.out) / FILE}")


def network_rows(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each network."""
    for name in names:
        cost = network_cost(name)
        yield {"name": name, "parameters": cost.trainable, "multiply_adds": cost.operations}


def network_cost(name: str) -> Cost:
    """What a network of the catalogue costs at its default size."""
    module = settings_of(name)[1].get("recalibration")
    if not name.startswith(f"{module}_"):
        return _plain_cost(name)[0]
    cost, maps = _plain_cost(name.removeprefix(f"{module}_"))
    for shape, count in maps:
        cost += _times(count, _module_cost(module, shape))
    return cost


@functools.cache
def _plain_cost(name: str) -> tuple[Cost, list[tuple[tuple[int, int, int], int]]]:
    """The cost of a network as its name says, and shape and number of the maps of its stages."""
    builder, settings = settings_of(name)
    if "blocks" in settings:
        counts = list(settings["blocks"])
        settings["blocks"] = [min(count, 2) for count in counts]
    else:
        count = blocks_per_stage(settings.get("depth", 56))
        counts = [count] * 3
        settings["depth"] = 6 * min(count, 2) + 2
    keras.backend.clear_session()
    model = builder(**settings)
    counted = complexity(model)
    cost, maps = counted.total, []
    for stage, count in enumerate(counts, start=2):
        if count > 2:
            cost += _times(count - 2, counted.blocks[f"conv{stage}_2"])
        maps.append((tuple(model.get_layer(f"conv{stage}_1_out").output.shape[1:]), count))
    return cost, maps


@functools.cache
def _module_cost(spec: str, shape: tuple[int, int, int]) -> Cost:
    image = keras.Input(shape)
    return complexity(keras.Model(image, recalibration(spec, name="module")(image))).total


def _times(count: int, cost: Cost) -> Cost:
    return sum([cost] * count, Cost())


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.network_costs"))
