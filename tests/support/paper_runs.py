"""Made-up records of trainings."""

from typing import Any

from srm_keras.analysis.paper_tables.runs import TrainedRun
from srm_keras.recipes import cifar10
from srm_keras.training.run_folder import flatten


def trained_run(
    accuracies: Any = None,
    domains: Any = None,
    classes: int = 10,
    recalibration: Any = "srm",
    top5: Any = None,
    **recipe: Any,
) -> TrainedRun:
    """A run with SRM by the paper's CIFAR-10 recipe, but for the fields that are given."""
    fields = flatten(cifar10.get_config().to_dict()) | recipe
    scores = (accuracies or {"test": 0.5}, domains or {}, top5 or {})
    return TrainedRun(fields, recalibration, classes, *scores)
