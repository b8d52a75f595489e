"""A run that is going on: what every kind of training does from its first step to its last."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.layers.conventions import dtype_policy
from srm_keras.support.files import as_json, read_json
from srm_keras.training import run_folder
from srm_keras.training.callbacks import EvaluatedWeights, Progress, RunLog
from srm_keras.training.checkpoint import Checkpoint, CheckpointFolder, Identity, TrainingState
from srm_keras.training.distribution import Distribution, resolve_strategy
from srm_keras.training.inputs import Examples
from srm_keras.training.state_keeper import FiniteFirst, StateKeeper
from srm_keras.training.stopping import StopRequest

__all__ = ["dtype_policy", "make_deterministic", "new_networks_are_no_retracing"]


def make_deterministic(recipe: config_dict.ConfigDict) -> None:
    """Seeds all generators and, where `recipe.deterministic`, fixes what operations compute."""
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def new_networks_are_no_retracing() -> Iterator[None]:
    """Holds back TensorFlow's warning that a function is traced again and again.

    It counts by the line of Keras where `fit` and `predict` make their functions, so a few short
    runs in one process, or the networks that the end of a small run loads, look like one function
    that is retraced, while each is traced once.
    """
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_of_something_else)
    try:
        yield
    finally:
        logger.removeFilter(_is_of_something_else)


def _is_of_something_else(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


Context = Callable[[], AbstractContextManager]


@dataclass(frozen=True)
class Session:
    """What one process has of a run: its parts, all built.

    Attributes:
        recipe: With at least the fields of `RUN_FIELDS`.
        folder: The run folder.
        distribution: What it is trained on.
        learner: The compiled model, its optimizer built.
        train: Batches from a step on, this worker's part of them: `train(start_step, (i, n))`.
        validation: Batches to evaluate on, once through and in order.
        evaluated: A context in which the learner is the network that is evaluated and saved.
        log: The rows of the run.
        writers: Callbacks of the chief that write files after every evaluation.
        state: What the next update depends on.
        checkpoints: Where it is kept.
        describe: Called by the chief when it is known that the run can begin or go on, with the
            step that it does so from; writes the files that say what the run is.
        finish: Called by the chief after the last step; writes the final files, `result.json` the
            last, and returns what that holds.
    """

    recipe: config_dict.ConfigDict
    folder: Path
    distribution: Distribution
    learner: keras.Model
    train: Callable[[int, tuple[int, int]], Any]
    validation: Callable[[], Any]
    evaluated: Context
    log: RunLog
    writers: Sequence[keras.callbacks.Callback]
    state: TrainingState
    checkpoints: CheckpointFolder
    describe: Callable[[int], None]
    finish: Callable[[], dict[str, Any]]


Prepare = Callable[[config_dict.ConfigDict, Path, bool, Distribution], Session]


def run(
    recipe: config_dict.ConfigDict, workdir: str | os.PathLike, overwrite: bool, prepare: Prepare
) -> dict[str, Any]:
    """Trains what a resolved recipe describes, from wherever `workdir` is to the end.

    Args:
        recipe: The resolved recipe.
        workdir: The run folder; made if it does not exist.
        overwrite: Whether a run that `workdir` already holds is replaced.
        prepare: Called with these and the distribution: reads the data, builds the networks and,
            when nothing can go wrong any more, the folder.

    Returns:
        What `result.json` holds; nothing on workers other than the chief.
    """
    if run_folder.has_result(workdir, recipe.to_dict(), overwrite):
        print(f"{workdir} holds the finished run of this recipe: nothing to do", file=sys.stderr)
        return read_json(Path(workdir) / run_folder.RESULT)
    distribution = resolve_strategy(recipe)
    alone = run_folder.held(workdir) if distribution.is_chief else contextlib.nullcontext()
    with alone, new_networks_are_no_retracing():
        session = prepare(recipe, Path(workdir), overwrite, distribution)
        with contextlib.closing(session.checkpoints):
            _fit(session)
        result = session.finish() if distribution.is_chief else {}
        _wait_for_all(distribution)  # a worker that leaves takes the others with it
    return result


def identity_of(
    folder: Path,
    recipe: config_dict.ConfigDict,
    state: TrainingState,
    distribution: Distribution,
    splits: Mapping[str, Examples],
    **others: Any,
) -> Identity:
    """What must be equal for a run to go on.

    Args:
        folder: The run folder.
        recipe: The resolved recipe.
        state: The training state.
        distribution: What it is trained on.
        splits: The data.
        **others: What else must be equal; JSON.
    """
    known = {
        "recipe": run_folder.flatten(as_json(recipe.to_dict())),
        "variables": state.layout(),
        "replicas": distribution.replicas,
    }
    return Identity({**known, **others}, splits, folder / run_folder.DATA)


def _wait_for_all(distribution: Distribution) -> None:
    distribution.any_worker(False)


def _fit(session: Session) -> None:
    """Trains from where the newest checkpoint is to the end."""
    _wait_for_all(session.distribution)  # the chief may have had an earlier run to remove
    resumed = session.checkpoints.newest()
    step = 0 if resumed is None else resumed.step
    if session.distribution.is_chief:
        session.describe(step)
    if resumed is not None:
        print(f"Going on from step {step} of {session.recipe.steps}", file=sys.stderr)
    session.log.begin(None if resumed is None else resumed.progress)
    if step == session.recipe.steps and resumed is not None:
        session.state.write(resumed.arrays)
        return
    with StopRequest() as stop:
        callbacks = _callbacks(session, stop, resumed)
        for segment in _segments(step, session.recipe.steps, session.recipe.eval_every):
            _fit_segment(session, segment, callbacks)


@dataclass(frozen=True)
class _Segment:
    """Epochs of equal length: updates `step`, …, in epochs `epoch` to `epochs` - 1."""

    step: int
    steps_per_epoch: int
    epoch: int
    epochs: int


def _segments(step: int, steps: int, eval_every: int) -> Iterator[_Segment]:
    """What is left to do: the rest of an epoch that was begun, then whole ones."""
    epoch, done = divmod(step, eval_every)
    if done:
        yield _Segment(step, eval_every - done, epoch, epoch + 1)
        epoch += 1
    if epoch * eval_every < steps:
        yield _Segment(epoch * eval_every, eval_every, epoch, steps // eval_every)


def _fit_segment(
    session: Session, segment: _Segment, callbacks: Sequence[keras.callbacks.Callback]
) -> None:
    distribution = session.distribution
    shard = (distribution.worker, distribution.workers)
    distribution.fit(
        session.learner,
        session.train(segment.step, shard),
        steps_per_epoch=segment.steps_per_epoch,
        initial_epoch=segment.epoch,
        epochs=segment.epochs,
        validation_data=session.validation(),
        callbacks=callbacks,
        verbose=(1 if sys.stdout.isatty() else 2) if distribution.is_chief else 0,
    )


def _callbacks(
    session: Session, stop: StopRequest, resumed: Checkpoint | None
) -> list[keras.callbacks.Callback]:
    chief = session.distribution.is_chief
    keeper = StateKeeper(
        session.state,
        steps_per_epoch=session.recipe.eval_every,
        every=session.recipe.checkpoint_every,
        save=session.checkpoints.save if chief else None,
        progress=session.log.progress,
        stop=stop,
        any_worker=session.distribution.any_worker,
        resumed=resumed,
        hint=session.checkpoints.hint,
    )
    evaluated = EvaluatedWeights(session.evaluated)
    shown = chief and not sys.stdout.isatty()
    progress = [Progress(session.recipe, keeper.step)] if shown else []
    return [evaluated, FiniteFirst(keeper), session.log, *session.writers, *progress, keeper]
