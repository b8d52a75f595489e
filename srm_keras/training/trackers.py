"""What a run tells experiment trackers: MLflow, Weights & Biases.

They get the rows of ``metrics.csv``, by the step of the optimizer, through ``mlflow.log_metrics``
and wandb's ``run.log``. Where they keep them is theirs to say: environment variables such as
``MLFLOW_TRACKING_URI`` and ``WANDB_MODE``.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import keras
from absl import logging

from srm_keras.support.files import as_json, read_json, write_json
from srm_keras.support.foreign import first_line, require
from srm_keras.training import run_folder
from srm_keras.training.session import Session
from srm_keras.training.state_keeper import Interrupted

Row = Mapping[str, float]


class Tracker(Protocol):
    """A tracker's record of one run.

    Attributes:
        run: What the tracker calls it; to go on with it later.
        newest: The step of the newest row that it has, -1 for none.
    """

    run: str
    newest: int

    def log(self, row: Row) -> None:
        """Adds a row, which is newer than all that are there."""

    def end(self, status: str, scores: Row) -> None:
        """Ends it: ``"finished"`` with what the networks score, ``"stopped"`` or ``"failed"``."""


class MLflow:
    """A run of MLflow, inside of the one that is active, if any.

    Args:
        run: Its ``run_id``, None for a new one.
        name: Of a new one.
        recipe: Its parameters: the recipe by dotted paths.
    """

    def __init__(self, run: str | None, name: str, recipe: Mapping[str, Any]):
        self._mlflow = require("mlflow", "mlflow")
        nested = self._mlflow.active_run() is not None
        started = self._mlflow.start_run(run_id=run, run_name=name, nested=nested)
        self.run = started.info.run_id
        if run is None:  # parameters cannot be changed
            self._mlflow.log_params(_named(recipe), run_id=self.run)
        rows = self._mlflow.MlflowClient().get_metric_history(self.run, "epoch")
        self.newest = max((row.step for row in rows), default=-1)

    def log(self, row: Row) -> None:
        """Adds its columns as metrics."""
        self._mlflow.log_metrics(_measured(row), step=int(row["step"]), run_id=self.run)

    def end(self, status: str, scores: Row) -> None:
        """Marks it as FINISHED, KILLED, which can go on, or FAILED."""
        self._mlflow.log_metrics(_named(scores), run_id=self.run)
        self._mlflow.end_run({"finished": "FINISHED", "stopped": "KILLED"}.get(status, "FAILED"))


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by names that MLflow takes."""
    return {re.sub(r"[^\w.\-/ ]", "_", name): value for name, value in values.items()}


class WandB:
    """A run of Weights & Biases, beside those that are active.

    Args:
        run: Its ``id``, None for a new one.
        name: Of a new one.
        recipe: Its config: the recipe by dotted paths.
    """

    def __init__(self, run: str | None, name: str, recipe: Mapping[str, Any]):
        wandb = require("wandb", "wandb")
        self._run = wandb.init(id=run, name=name, resume="allow", reinit="create_new")
        self._run.config.update(dict(recipe), allow_val_change=True)
        self.run = self._run.id
        self.newest = self._run.starting_step - 1

    def log(self, row: Row) -> None:
        """Adds its columns to the history."""
        self._run.log(_measured(row), step=int(row["step"]))

    def end(self, status: str, scores: Row) -> None:
        """Ends it; with the exit code 1, which W&B shows as failed, where it is not finished."""
        self._run.summary.update(dict(scores))
        self._run.finish(exit_code=0 if status == "finished" else 1)


KINDS: dict[str, Callable[[str | None, str, Mapping[str, Any]], Tracker]] = {
    "mlflow": MLflow,
    "wandb": WandB,
}
"""Trackers by the names that recipes have for them, which are those of packages and extras too."""


def check_trackers(names: Sequence[str]) -> None:
    """Raises ``ImportError`` that says what to install, if a tracker's package is not there."""
    for name in names:
        require(name, extra=name)


class Trackers(keras.callbacks.Callback):
    """The trackers of a run: a callback behind its log, and a context that ends them with it.

    Each begins with the training, or goes on with the run that ``trackers.json`` names. After every
    evaluation it gets all the rows that it lacks, so that it ends with those of ``metrics.csv``,
    each once, wherever the run was stopped and whenever the tracker was added. What it raises
    then is logged, and stops no training.

    Args:
        session: The run; of several workers the chief's is told of.
    """

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self._names = session.recipe.trackers if session.distribution.is_chief else ()
        self._trackers: dict[str, Tracker] = {}

    def on_train_begin(self, logs=None):
        """Begins them, once.

        Raises:
            ValueError: If one cannot begin, such as where its server does not answer.
        """
        path = self._session.folder / run_folder.TRACKERS
        recipe = run_folder.flatten(as_json(self._session.recipe.to_dict()))
        for name in self._names:
            if name in self._trackers:
                continue
            known = read_json(path) if path.is_file() else {}
            try:
                begun = KINDS[name](known.get(name), self._session.folder.name, recipe)
            except Exception as error:
                raise ValueError(
                    f"`trackers` must name what can begin here. Received: {name!r}, which says: "
                    f"{first_line(error)}"
                ) from error
            self._trackers[name] = begun
            write_json(path, {**known, name: begun.run})

    def on_epoch_end(self, epoch, logs=None):
        """Sends the new row, and those that could not be sent before."""
        for name, tracker in self._trackers.items():
            with _no_harm(name):
                for row in self._session.log.rows:
                    if row["step"] > tracker.newest:
                        tracker.log(row)
                        tracker.newest = int(row["step"])

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends them; what is not finished is not marked so."""
        if error is None:
            with _no_harm(", ".join(self._names)):
                self.on_train_begin()  # where all steps had been done before
            self.on_epoch_end(0)
        for name, tracker in self._trackers.items():
            with _no_harm(name):
                scores = {} if error else _scores(self._session.folder)
                tracker.end(_status(error), scores)


def _status(error: BaseException | None) -> str:
    if error is None:
        return "finished"
    stopped = isinstance(error, Interrupted) or not isinstance(error, Exception)
    return "stopped" if stopped else "failed"


@contextlib.contextmanager
def _no_harm(name: str) -> Iterator[None]:
    """What a tracker raises inside is logged."""
    try:
        yield
    except Exception as error:
        logging.warning("Trackers lack something of the run: %s: %s", name, first_line(error))


def _measured(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "step"}


def _scores(folder: Path) -> dict[str, float]:
    """The numbers in ``result.json``, but for those by class and by domain."""
    found = run_folder.flatten(read_json(folder / run_folder.RESULT))
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not {"classes", "domains"} & set(name.split("."))
    }
