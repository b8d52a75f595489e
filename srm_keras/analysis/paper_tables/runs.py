"""Trained networks as the paper's tables see them: what was run, under which conditions."""

import dataclasses
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from srm_keras.layers import list_recalibrations, recalibration
from srm_keras.support.tables import mean_and_std

# Fields of a recipe that change neither what a network learns nor what it is asked: where files
# lie, how often and on which devices something is done, and what runs of a setting differ in.
_IRRELEVANT = (
    *("seed", "data.fold", "data.options.fold"),
    *("data.options.data_dir", "data.options.imagenet_dir", "data.cache"),
    *("eval_every", "eval_batch_size", "checkpoint_every", "keep_checkpoints"),
    *("strategy", "jit_compile", "steps_per_execution", "deterministic"),
    *("trackers", "best.metric", "best.direction"),
)
# Fields in which a run of the paper's recipe must agree with it.
_TRAINING = (
    *("steps", "batch_size", "label_smoothing", "dtype_policy", "synchronized_batch_norm"),
    *("optimizer.", "learning_rate.", "data.preprocessing.", "data.augmentation"),
    *("data.train_split", "data.folds", "model.options.", "model.neutral"),
    *("data.validation_fraction", "early_stopping.patience", "data.repeats", "loss"),
    *("accumulation_steps", "distillation.teacher", "init", "freeze"),
)
_NETWORK = ("model.options.depth", "model.options.block")

PLAIN = "none"

Fields = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """One finished training.

    Attributes:
        recipe: Its resolved recipe without the module, by dotted path (``"optimizer.momentum"``).
        recalibration: The spec in the recipe.
        classes: Number of classes.
        accuracies: Of the last weights on every evaluated split, in [0, 1].
        domains: For splits that have domains, the accuracy on each.
        top5: Top-5 accuracies on the splits where they were recorded.
    """

    recipe: Fields
    recalibration: Any
    classes: int
    accuracies: Mapping[str, float]
    domains: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    top5: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return self.recipe["data.name"]

    @property
    def network(self) -> str:
        """The catalogue's name of the network, without the module."""
        name = _without_module(self.recipe["model.name"])
        if name != "cifar_resnet":
            return name
        depth = self.recipe.get("model.options.depth", 56)
        return f"cifar_resnet{depth}_{self.recipe.get('model.options.block', 'bottleneck')}"

    @property
    def module(self) -> Any:
        """The recalibration spec."""
        name = self.recipe["model.name"]
        named = name.removesuffix(_without_module(name)).rstrip("_")
        return named or self.recalibration

    def accuracy(self, split: str, domain: str | None = None) -> float | None:
        """Accuracy on a split, on one of its domains, or (``"mean"``) the mean over them.

        None where it was not measured.
        """
        if domain is None:
            return self.accuracies.get(split)
        by_domain = self.domains.get(split, {})
        if domain == "mean":
            return statistics.mean(by_domain.values()) if by_domain else None
        return by_domain.get(domain)


@dataclasses.dataclass(frozen=True)
class Setting:
    """Runs that differ in module, seed and fold only.

    Attributes:
        runs: At least one.
    """

    runs: tuple[TrainedRun, ...]

    @property
    def example(self) -> TrainedRun:
        """One of the runs, for what they have in common."""
        return self.runs[0]

    @property
    def modules(self) -> dict[str, Any]:
        """The spec of each module by its ``module_key``, in order of the runs."""
        return {module_key(run.module): run.module for run in self.runs}

    def of(self, spec: Any) -> list[TrainedRun]:
        """The runs of a module."""
        return [run for run in self.runs if module_key(run.module) == module_key(spec)]


@dataclasses.dataclass(frozen=True)
class Measured:
    """Accuracy of a module in a setting.

    Attributes:
        mean: Over runs, in %.
        std: Sample standard deviation over runs, in %; None for a single run.
        runs: How many.
    """

    mean: float
    std: float | None
    runs: int

    def __str__(self) -> str:
        spread = "" if self.std is None else f" ± {self.std:.2f}"
        return f"{self.mean:.2f}{spread} ({self.runs} run{'s' if self.runs > 1 else ''})"


def measured(runs: Sequence[TrainedRun], split: str, domain: str | None = None) -> Measured | None:
    """Mean and spread over the runs that were evaluated on a split; None where none was."""
    return _over_runs(run.accuracy(split, domain) for run in runs)


def measured_top5(runs: Sequence[TrainedRun], split: str) -> Measured | None:
    """The same of top-5 accuracies, over the runs that recorded them."""
    return _over_runs(run.top5.get(split) for run in runs)


def _over_runs(found: Iterable[float | None]) -> Measured | None:
    values = [100 * value for value in found if value is not None]
    if not values:
        return None
    return Measured(*mean_and_std(values), len(values))


def settings(runs: Iterable[TrainedRun]) -> list[Setting]:
    """Group runs by everything that they should have in common to be compared."""
    groups: dict[str, list[TrainedRun]] = {}
    for run in runs:
        shared = {name: value for name, value in run.recipe.items() if name not in _IRRELEVANT}
        key = json.dumps([run.network, run.classes, shared], sort_keys=True, default=list)
        groups.setdefault(key, []).append(run)
    return [Setting(tuple(group)) for group in groups.values()]


def module_key(spec: Any) -> str:
    """The same text for specs that make the same module."""
    if isinstance(spec, list | tuple):
        return json.dumps([module_key(one) for one in spec])
    layer = recalibration(spec)
    if layer is None:
        return PLAIN
    dropped = ("name", "dtype", "trainable", "data_format")
    config = {name: value for name, value in layer.get_config().items() if name not in dropped}
    return f"{type(layer).__name__} {json.dumps(config, sort_keys=True)}"


def differences(recipe: Fields, paper: Fields) -> dict[str, tuple[Any, Any]]:
    """Fields of a training that are not as in the paper's recipe: (value here, the paper's)."""
    names = [
        name
        for name in dict.fromkeys([*paper, *recipe])
        if name.startswith(_TRAINING) and name not in _NETWORK
    ]
    pairs = {name: (_plain(recipe.get(name)), _plain(paper.get(name))) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _plain(value: Any) -> Any:
    """Tuples as the lists that JSON has; an empty mapping as what is not there."""
    if isinstance(value, Mapping) and not value:
        return None
    return list(value) if isinstance(value, tuple) else value


def _without_module(network: str) -> str:
    module, _, rest = network.partition("_")
    return rest if rest and module in list_recalibrations() else network
