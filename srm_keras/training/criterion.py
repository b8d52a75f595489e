"""Which evaluation of a run is better than another one, and the fields that say so.

All of it follows from the rows of ``metrics.csv``, which are in every checkpoint: a run that was
killed chooses and stops as one that was not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_collections import config_dict

from srm_keras.support.validation import nearest
from srm_keras.training.fields import Field, integer, is_at_least_0, is_name, one_of

DIRECTIONS = ("auto", "highest", "lowest")

SELECTION_FIELDS: dict[str, Field] = {
    "best.metric": Field("val_accuracy", is_name, "a column of metrics.csv, such as 'val_loss'"),
    "best.direction": Field("auto", one_of(*DIRECTIONS), f"one of {DIRECTIONS}"),
    "early_stopping.patience": Field(0, integer(0), "a number of evaluations, or 0: off"),
    "early_stopping.min_delta": Field(0.0, is_at_least_0, "a number >= 0"),
}
"""What a classifier's recipe says of its best evaluation."""

Row = Mapping[str, float]


@dataclass(frozen=True)
class Criterion:
    """What makes an evaluation better than another one.

    Attributes:
        metric: A column of ``metrics.csv``.
        highest: Whether the highest value is the best, or the lowest.
    """

    metric: str
    highest: bool

    @classmethod
    def of(cls, recipe: Mapping[str, Any] | config_dict.ConfigDict) -> "Criterion":
        """That of a recipe, of before there was a choice too.

        Args:
            recipe: A resolved one.
        """
        chosen = recipe.get("best") or {}
        metric, direction = (
            chosen.get(name, SELECTION_FIELDS[f"best.{name}"].default)
            for name in ("metric", "direction")
        )
        return cls(metric, bool(_is_highest_best(metric, direction)))

    def check(self, measured: Sequence[str]) -> None:
        """Raises ``ValueError`` unless the metric is among what the run measures."""
        if self.metric not in measured:
            raise ValueError(
                f"`best.metric` must be one of {tuple(measured)}. "
                f"Received: best.metric={self.metric!r}{nearest(self.metric, measured)}"
            )

    def best(self, rows: Sequence[Row]) -> Row:
        """The best of at least one row; of equal ones the first."""
        return max(rows, key=self._merit)

    def waited(self, rows: Sequence[Row], min_delta: float = 0.0) -> int:
        """The number of rows since the last that was better than all before by over ``min_delta``.

        0 where that is the newest row, or there is none.
        """
        best, since = -float("inf"), 0
        for row in rows:
            merit = self._merit(row)
            best, since = (merit, 0) if merit - min_delta > best else (best, since + 1)
        return since

    def _merit(self, row: Row) -> float:
        return row[self.metric] if self.highest else -row[self.metric]


def selection_problems(recipe: config_dict.ConfigDict) -> list[str]:
    """What is wrong with ``SELECTION_FIELDS`` that only make sense together, in words."""
    if _is_highest_best(recipe.best.metric, recipe.best.direction) is not None:
        return []
    return [
        "`best.direction` must be 'highest' or 'lowest' for metrics whose names end neither in "
        f"'accuracy' nor in 'loss'. Received: best.metric={recipe.best.metric!r}"
    ]


def _is_highest_best(metric: str, direction: str) -> bool | None:
    """Whether the highest value of a metric is the best, or the lowest; None: nobody said."""
    if direction != "auto":
        return direction == "highest"
    known = {"accuracy": True, "loss": False}
    return next((known[end] for end in known if metric.endswith(end)), None)
