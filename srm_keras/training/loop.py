"""`train(recipe, workdir)`: from a recipe to a run folder."""

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.files import read_json, write_json
from srm_keras.training import run_folder
from srm_keras.training.averages import averaged_weights
from srm_keras.training.beginning import Beginning
from srm_keras.training.build import (
    build_model,
    compiled_twin,
    make_accuracy,
    make_optimizer,
    make_schedule,
)
from srm_keras.training.checkpoints import Checkpoint, CheckpointFolder
from srm_keras.training.distribution import (
    Distribution,
    inference_state,
    resolve_strategy,
    set_synchronized,
)
from srm_keras.training.evaluation import Predictions, predict
from srm_keras.training.gates import draw_last_gates, gate_histograms_of
from srm_keras.training.inputs import Inputs, load_inputs
from srm_keras.training.optimizer import SGDWithL2
from srm_keras.training.process_settings import dtype_policy, make_deterministic
from srm_keras.training.recipe import resolve
from srm_keras.training.report import write_report
from srm_keras.training.run_log import RunLog
from srm_keras.training.saved_weights import EvaluatedWeights, SavedWeights
from srm_keras.training.state import TrainingState
from srm_keras.training.state_keeper import StateKeeper
from srm_keras.training.stopping import StopRequest

Context = Callable[[], AbstractContextManager]


@dataclass(frozen=True)
class _Session:
    """What one process has of a run: its parts, all built."""

    recipe: config_dict.ConfigDict
    folder: Path
    distribution: Distribution
    inputs: Inputs
    model: keras.Model
    learner: keras.Model
    evaluated: Context
    log: RunLog
    state: TrainingState
    checkpoints: CheckpointFolder


def train(
    recipe: config_dict.ConfigDict, workdir: str | os.PathLike, overwrite: bool = False
) -> dict[str, Any]:
    """Trains the classifier that `recipe` describes and leaves the run in `workdir`.

    Where `workdir` holds an unfinished run of the same recipe, it goes on from the newest
    checkpoint, and ends with the weights and metrics of a run that was never interrupted. Where
    it holds the finished run, nothing is done.

    Args:
        recipe: The recipe; `srm_keras.training.default_recipe()` lists its fields.
        workdir: The run folder; made if it does not exist.
        overwrite: Whether a run that `workdir` already holds is replaced.

    Returns:
        What `result.json` holds: accuracy and loss of the best and the last weights on every
        evaluated split, the number of parameters, and the seconds it took. Nothing on workers
        other than the chief.

    Raises:
        ValueError: Before any work, if the recipe or `workdir` is wrong.
        FloatingPointError: If the loss or a weight stops being finite; it says at which step.
        OSError: If the disk is full; the earlier checkpoints are intact.
        srm_keras.training.Interrupted: After SIGTERM or SIGINT, with the state saved.
    """
    recipe = resolve(recipe)
    if run_folder.has_result(workdir, recipe.to_dict(), overwrite):
        print(f"{workdir} holds the finished run of this recipe: nothing to do", file=sys.stderr)
        return read_json(Path(workdir) / run_folder.RESULT)
    distribution = resolve_strategy(recipe)
    session = _prepare(recipe, workdir, overwrite, distribution)
    with contextlib.closing(session.checkpoints):
        _fit(session)
    result = _finish(session) if distribution.is_chief else {}
    _wait_for_all(distribution)  # a worker that leaves takes the others with it
    return result


def _prepare(
    recipe: config_dict.ConfigDict,
    workdir: str | os.PathLike,
    overwrite: bool,
    distribution: Distribution,
) -> _Session:
    """Reads the data, builds the network and, when nothing can go wrong any more, the folder."""
    beginning = Beginning(recipe, Path(workdir), overwrite)
    make_deterministic(recipe)
    inputs = load_inputs(recipe)
    schedule = make_schedule(recipe)
    with distribution.scope(), dtype_policy(recipe.dtype_policy):
        model = build_model(recipe, inputs.image_shape, inputs.info.num_classes)
        beginning.apply(model, inputs.info.class_names)
        set_synchronized(model, recipe.synchronized_batch_norm and distribution.replicas > 1)
        optimizer = make_optimizer(recipe, model, schedule)
        accuracy = make_accuracy(inputs.one_hot)
        learner = compiled_twin(model, recipe, optimizer, accuracy)
    state = TrainingState(learner, [accuracy], distribution)
    folder = Path(workdir)
    if distribution.is_chief:
        folder = run_folder.create(workdir, overwrite)
        _write_description(folder, recipe, inputs, beginning)
    identity = {
        "recipe": run_folder.flatten(recipe.to_dict()),
        "variables": state.layout(),
        "replicas": distribution.replicas,
        **({} if beginning.record is None else {"initial weights": beginning.record}),
    }
    return _Session(
        recipe=recipe,
        folder=folder,
        distribution=distribution,
        inputs=inputs,
        model=model,
        learner=learner,
        evaluated=lambda: _evaluated(learner, optimizer),
        log=RunLog(
            folder if distribution.is_chief else None,
            recipe.eval_every,
            recipe.batch_size,
            schedule,
            _title(recipe),
        ),
        state=state,
        checkpoints=CheckpointFolder(
            folder / run_folder.CHECKPOINTS, identity, recipe.keep_checkpoints
        ),
    )


def _wait_for_all(distribution: Distribution) -> None:
    distribution.any_worker(False)


def _fit(session: _Session) -> None:
    """Trains from where the newest checkpoint is to the end."""
    _wait_for_all(session.distribution)  # the chief may have had an earlier run to remove
    resumed = session.checkpoints.newest()
    step = 0 if resumed is None else resumed.step
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
    session: _Session, segment: _Segment, callbacks: Sequence[keras.callbacks.Callback]
) -> None:
    distribution, inputs = session.distribution, session.inputs
    shard = (distribution.worker, distribution.workers)
    distribution.fit(
        session.learner,
        inputs.train(segment.step, shard),
        steps_per_epoch=segment.steps_per_epoch,
        initial_epoch=segment.epoch,
        epochs=segment.epochs,
        validation_data=inputs.evaluation(inputs.validation),
        callbacks=callbacks,
        verbose=(1 if sys.stdout.isatty() else 2) if distribution.is_chief else 0,
    )


def _callbacks(
    session: _Session, stop: StopRequest, resumed: Checkpoint | None
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
    )
    writers: list[keras.callbacks.Callback] = []
    if chief:
        writers = [
            SavedWeights(session.model, session.folder, session.log, session.evaluated),
            *gate_histograms_of(session.model, session.inputs, session.folder, session.evaluated),
        ]
    return [EvaluatedWeights(session.evaluated), session.log, *writers, keeper]


@contextlib.contextmanager
def _evaluated(learner: keras.Model, optimizer: SGDWithL2) -> Iterator[None]:
    """A context in which the learner is the network that is evaluated and saved."""
    with averaged_weights(learner, optimizer), inference_state(learner):
        yield


def _write_description(
    folder: Path, recipe: config_dict.ConfigDict, inputs: Inputs, beginning: Beginning
) -> None:
    write_json(folder / run_folder.RECIPE, recipe.to_dict())
    write_json(folder / run_folder.VERSIONS, run_folder.versions(recipe.seed))
    write_json(folder / run_folder.PREPROCESSING, inputs.preprocessing.to_dict())
    write_json(folder / run_folder.CLASSES, list(inputs.info.class_names))
    if beginning.is_read:
        write_json(folder / run_folder.INITIAL, beginning.record)
        print(beginning.told(), file=sys.stderr)


def _title(recipe: config_dict.ConfigDict) -> str:
    spec = recipe.to_dict()["recalibration"]
    return f"{recipe.data.name}, {recipe.model.name}, recalibration={spec}, seed={recipe.seed}"


def _finish(session: _Session) -> dict[str, Any]:
    """Scores the best and the last weights on every split, and writes the final files."""
    rows, folder = session.log.rows, session.folder
    best_row = max(rows, key=lambda row: row["val_accuracy"])
    last = predict(folder / run_folder.LAST, session.inputs)
    best = last if best_row is rows[-1] else predict(folder / run_folder.BEST, session.inputs)
    last[session.inputs.validation].save(folder / run_folder.PREDICTIONS)
    parameters = {
        "trainable": _count(session.model.trainable_variables),
        "non_trainable": _count(session.model.non_trainable_variables),
    }
    result = {
        "best": _scored(best_row, best),
        "last": _scored(rows[-1], last),
        "parameters": parameters,
        "seconds": session.log.seconds,
    }
    draw_last_gates(folder, session.inputs)
    write_report(folder, result)
    write_json(folder / run_folder.RESULT, result)  # the last: it says that all is done
    return result


def _scored(row: Mapping[str, float], predictions: Mapping[str, Predictions]) -> dict[str, Any]:
    """Where the weights are from, and what they score on every split."""
    splits = {split: predicted.scores() for split, predicted in predictions.items()}
    return {"epoch": row["epoch"], "step": row["step"], "splits": splits}


def _count(variables: Sequence[keras.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)
