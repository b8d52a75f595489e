"""What every kind of training does, in the order in which ``train`` and ``train_stylizer`` call it.

``finished_result``, ``at_work``, ``make_deterministic``, ``checkpoints_of``, ``begin``, ``fit``.
"""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.support.files import as_json, read_json, write_json
from srm_keras.training import run_folder
from srm_keras.training.callbacks import EvaluatedWeights, Progress, RunLog
from srm_keras.training.checkpoint import Checkpoint, CheckpointFolder, Identity, TrainingState
from srm_keras.training.distribution import Distribution, resolve_strategy
from srm_keras.training.inputs import Examples
from srm_keras.training.selection import EarlyStopping
from srm_keras.training.state_keeper import FiniteFirst, StateKeeper, StopRequest


@dataclass(frozen=True)
class Session:
    """What one process has of a run: its parts, all built.

    Attributes:
        recipe: Resolved, with at least the fields of ``RUN_FIELDS``.
        folder: The run folder.
        distribution: What it is trained on.
        model: The network that is saved; it shares its layers with the learner.
        learner: The compiled model, its optimizer built.
        evaluated: A context in which both are the network that is evaluated and saved.
        log: The rows of the run.
        state: What the next update depends on.
        checkpoints: Where it is kept.
    """

    recipe: config_dict.ConfigDict
    folder: Path
    distribution: Distribution
    model: keras.Model
    learner: keras.Model
    evaluated: Callable[[], AbstractContextManager]
    log: RunLog
    state: TrainingState
    checkpoints: CheckpointFolder


def finished_result(
    recipe: config_dict.ConfigDict, folder: Path, overwrite: bool
) -> dict[str, Any] | None:
    """What ``result.json`` of the finished run of a resolved recipe holds; None if there is none.

    Fields that change no result may be others now: ``recipe.json`` then holds the new ones.

    Raises:
        ValueError: If the folder holds another run, and ``overwrite`` is false.
    """
    given = recipe.to_dict()
    if not run_folder.has_result(folder, given, overwrite):
        return None
    if read_json(folder / run_folder.RECIPE) != as_json(given):
        write_json(folder / run_folder.RECIPE, given)
    print(f"{folder} holds the finished run of this recipe: nothing to do", file=sys.stderr)
    return read_json(folder / run_folder.RESULT)


@contextlib.contextmanager
def at_work(recipe: config_dict.ConfigDict, folder: Path) -> Iterator[Distribution]:
    """A context in which this call alone trains in the folder; gives what it trains on.

    Of several workers the chief takes the folder's lock, and all leave together.

    Raises:
        ValueError: If the recipe's strategy cannot be had here, or another call is at work.
    """
    distribution = resolve_strategy(recipe)
    alone = run_folder.held(folder) if distribution.is_chief else contextlib.nullcontext()
    with alone, new_networks_are_no_retracing():
        yield distribution
        _wait_for_all(distribution)  # a worker that leaves takes the others with it


def make_deterministic(recipe: config_dict.ConfigDict) -> None:
    """Seeds all generators and, where ``recipe.deterministic``, fixes what operations compute."""
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def new_networks_are_no_retracing() -> Iterator[None]:
    """Holds back TensorFlow's warning that a function is traced again and again.

    It counts by the line of Keras where ``fit`` and ``predict`` make their functions, so a few
    short runs in one process, or the networks that the end of a small run loads, look like one
    function that is retraced, while each is traced once.
    """
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_of_something_else)
    try:
        yield
    finally:
        logger.removeFilter(_is_of_something_else)


def _is_of_something_else(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


def checkpoints_of(
    recipe: config_dict.ConfigDict,
    folder: Path,
    overwrite: bool,
    state: TrainingState,
    distribution: Distribution,
    splits: Mapping[str, Examples],
    **others: Any,
) -> CheckpointFolder:
    """The checkpoints of a run, with all that must be equal for it to go on from one.

    Args:
        recipe: The resolved recipe.
        folder: The run folder.
        overwrite: Whether a run that it holds is replaced.
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
    identity = Identity({**known, **others}, splits, folder / run_folder.DATA)
    place = folder / run_folder.CHECKPOINTS
    return CheckpointFolder(place, identity, recipe.keep_checkpoints, overwrite)


def begin(session: Session, overwrite: bool) -> Checkpoint | None:
    """Makes the folder, finds where the run goes on from, and then writes what run it is.

    Returns:
        The newest checkpoint; None where the run begins.

    Raises:
        ValueError: If there are checkpoints, and none can be used.
    """
    chief = session.distribution.is_chief
    if chief:
        run_folder.create(session.folder, overwrite)
    _wait_for_all(session.distribution)  # the chief may have had an earlier run to remove
    resumed = session.checkpoints.newest()
    step = 0 if resumed is None else resumed.step
    if chief:
        run_folder.describe(session.folder, session.recipe.to_dict(), step)
        session.checkpoints.identity.write_listing(anew=step == 0)
    if resumed is not None:
        print(f"Going on from step {step} of {session.recipe.steps}", file=sys.stderr)
    return resumed


def fit(
    session: Session,
    resumed: Checkpoint | None,
    train: Callable[[int, tuple[int, int]], Any],
    validation: Callable[[], Any],
    writers: Sequence[keras.callbacks.Callback],
    early_stopping: EarlyStopping | None = None,
) -> None:
    """Trains from where ``begin`` found the run to the end.

    Args:
        session: The run.
        resumed: What ``begin`` returned.
        train: Batches from a step on, this worker's part of them: ``train(start_step, (i, n))``.
        validation: Batches to evaluate on, once through and in order.
        writers: Callbacks that write files after every evaluation; the chief's.
        early_stopping: What may end the run before its last update; on all workers.
    """
    steps = session.recipe.steps
    step = 0 if resumed is None else resumed.step
    session.log.begin(None if resumed is None else resumed.progress)
    stopped = early_stopping is not None and early_stopping.is_due()
    if resumed is not None and (step == steps or stopped):
        session.state.write(resumed.arrays)
        return
    distribution = session.distribution
    shard = (distribution.worker, distribution.workers)
    with StopRequest() as stop, _naming_what_is_not_deterministic(session.recipe):
        ending = [] if early_stopping is None else [early_stopping]
        callbacks = _callbacks(session, stop, resumed, [*writers, *ending])
        for segment in _segments(step, steps, session.recipe.eval_every):
            distribution.fit(
                session.learner,
                train(segment.step, shard),
                steps_per_epoch=segment.steps_per_epoch,
                initial_epoch=segment.epoch,
                epochs=segment.epochs,
                validation_data=validation(),
                callbacks=callbacks,
                verbose=(1 if sys.stdout.isatty() else 2) if distribution.is_chief else 0,
            )
            if session.learner.stop_training:
                return


@contextlib.contextmanager
def _naming_what_is_not_deterministic(recipe: config_dict.ConfigDict) -> Iterator[None]:
    """Makes TensorFlow's error about an operation that is not deterministic there a line.

    It is raised in the first update, before a weight is changed, on GPUs alone. Which operations
    that are depends on TensorFlow, cuDNN and the operation's arguments, so TensorFlow is asked.
    """
    try:
        yield
    except Exception as error:
        told = [line.strip() for line in str(error).splitlines() if "eterminis" in line]
        if not recipe.deterministic or type(error).__name__ != "UnimplementedError" or not told:
            raise
        raise ValueError(
            "`deterministic` must be False for this network on this device. Received: "
            f"deterministic=True, and TensorFlow says: {told[0]}"
        ) from None


def _wait_for_all(distribution: Distribution) -> None:
    distribution.any_worker(False)


@dataclass(frozen=True)
class _Segment:
    """Epochs of equal length: updates ``step``, …, in epochs ``epoch`` to ``epochs`` - 1."""

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


def _callbacks(
    session: Session,
    stop: StopRequest,
    resumed: Checkpoint | None,
    writers: Sequence[keras.callbacks.Callback],
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
        question=session.distribution.question(),
    )
    evaluated = EvaluatedWeights(session.evaluated)
    shown = chief and not sys.stdout.isatty()
    progress = [Progress(session.recipe, keeper.step)] if shown else []
    return [FiniteFirst(keeper), evaluated, session.log, *writers, *progress, keeper]
