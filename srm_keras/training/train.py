"""``train(recipe, workdir)``: from a recipe to a run folder."""

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.adapted import architecture_digest
from srm_keras.support.files import as_json, write_json
from srm_keras.training import run_folder
from srm_keras.training.build import (
    build_model,
    check_model,
    check_optimizer,
    compiled_twin,
    make_metrics,
    make_optimizer,
)
from srm_keras.training.by_path import ByPath
from srm_keras.training.callbacks import RunLog, averaged_weights
from srm_keras.training.checkpoint import TrainingState
from srm_keras.training.confusion import save_confusion
from srm_keras.training.criterion import Criterion
from srm_keras.training.distillation import Teacher, read_teacher
from srm_keras.training.distribution import Distribution, inference_state, set_synchronized
from srm_keras.training.evaluation import Predictions, predict
from srm_keras.training.fields import Recipe
from srm_keras.training.fine_tuning import Beginning
from srm_keras.training.gates import draw_last_gates, gate_histograms_of
from srm_keras.training.inputs import Inputs, check_inputs, load_inputs
from srm_keras.training.parts import rate_factors
from srm_keras.training.recipe import resolve
from srm_keras.training.reports import write_report
from srm_keras.training.schedules import make_schedule
from srm_keras.training.selection import EarlyStopping, SavedWeights
from srm_keras.training.session import (
    Session,
    at_work,
    begin,
    checkpoints_of,
    finished_result,
    fit,
    make_deterministic,
)
from srm_keras.training.trackers import Trackers, check_trackers


def train(recipe: Recipe, workdir: str | os.PathLike, overwrite: bool = False) -> dict[str, Any]:
    """Trains the classifier that ``recipe`` describes and leaves the run in ``workdir``.

    Where ``workdir`` holds an unfinished run of the same recipe, it goes on from the newest
    checkpoint, and ends with the weights and metrics of a run that was never interrupted. Where
    it holds the finished run, nothing is done.

    Args:
        recipe: The recipe, a ``ConfigDict`` or a nested mapping;
            ``srm_keras.training.default_recipe()`` lists its fields.
        workdir: The run folder; made if it does not exist.
        overwrite: Whether a run that ``workdir`` already holds is replaced.

    Returns:
        What ``result.json`` holds: accuracies and loss of the best and the last weights on every
        evaluated split, by class and by domain too, the number of parameters, and the seconds it
        took. Nothing on workers other than the chief.

    Raises:
        ValueError: Before any work, if the recipe or ``workdir`` is wrong.
        ImportError: Before any work, if a package that the recipe needs is not installed.
        FloatingPointError: If the loss or a weight stops being finite; it says at which step.
        OSError: If the disk is full; the earlier checkpoints are intact.
        srm_keras.training.Interrupted: After SIGTERM or SIGINT, with the state saved.
    """
    recipe, folder = resolve(recipe), Path(workdir)
    result = finished_result(recipe, folder, overwrite)
    if result is not None:
        return result
    with at_work(recipe, folder) as distribution:
        check(recipe)
        beginning = Beginning(recipe, folder, overwrite)
        _check_weights(recipe, beginning)
        with distribution.scope():
            teacher = read_teacher(recipe, check_inputs(recipe))
        make_deterministic(recipe)
        inputs = load_inputs(recipe)
        session = _build(inputs, beginning, teacher, folder, overwrite, distribution)
        with Trackers(session) as trackers:
            with contextlib.closing(session.checkpoints):
                resumed = begin(session, overwrite)
                if distribution.is_chief:
                    _describe(folder, inputs, beginning, teacher)
                validation = functools.partial(inputs.evaluation, inputs.validation)
                writers = [*_writers(session, inputs), trackers]
                early_stopping = EarlyStopping(recipe, session.log, distribution)
                fit(session, resumed, inputs.train, validation, writers, early_stopping)
            return _finish(session, inputs) if distribution.is_chief else {}


def check(recipe: config_dict.ConfigDict) -> None:
    """Checks what can be known of a resolved recipe before anything is read, drawn or built.

    Raises:
        ValueError: If a name, an option or a module is wrong.
        ImportError: If a tracker is not installed.
    """
    check_trackers(recipe.trackers)
    make_schedule(recipe)
    check_optimizer(recipe)
    check_model(recipe, check_inputs(recipe).image_shape)


def _check_weights(recipe: config_dict.ConfigDict, beginning: Beginning) -> None:
    """Tries on a network of its own what depends on the network: initial weights, parts of it."""
    multipliers = recipe.learning_rate.multipliers
    if recipe.init is None and not multipliers:
        return
    with dtype_policy(recipe.dtype_policy):
        shape = check_inputs(recipe).image_shape
        model = build_model(recipe, shape, len(beginning.classes), beginning.blueprint)
        if not beginning.of_bare_weights:
            beginning.apply(model, beginning.classes)
        rate_factors(model, multipliers or {})


def _build(
    inputs: Inputs,
    beginning: Beginning,
    teacher: Teacher | None,
    folder: Path,
    overwrite: bool,
    distribution: Distribution,
) -> Session:
    """The network with its initial weights, and all that trains it; writes nothing."""
    recipe = inputs.recipe
    schedule = make_schedule(recipe)
    if teacher is not None:
        teacher.check_classes(inputs.info.class_names)
    with distribution.scope(), dtype_policy(recipe.dtype_policy):
        classes = inputs.info.num_classes
        model = build_model(recipe, inputs.image_shape, classes, beginning.blueprint)
        beginning.apply(model, inputs.info.class_names)
        set_synchronized(model, recipe.synchronized_batch_norm and distribution.replicas > 1)
        optimizer = make_optimizer(recipe, model, schedule)
        metrics = make_metrics(inputs.one_hot, inputs.info.num_classes)
        learner = compiled_twin(model, recipe, optimizer, metrics)
        learner.teacher = teacher
    state = TrainingState(learner, metrics, distribution)
    logged = folder if distribution.is_chief else None
    more = [f"val_{metric.name}" for metric in metrics[1:]]
    log = RunLog(logged, recipe, schedule, _title(recipe), more=more)
    Criterion.of(recipe).check(log.measured)
    others = {
        "initial weights": beginning.record,
        "teacher's weights": None if teacher is None else teacher.sha256,
        "network": architecture_digest(recipe.model.name),
    }
    return Session(
        recipe=recipe,
        folder=folder,
        distribution=distribution,
        model=model,
        learner=learner,
        evaluated=functools.partial(_evaluated, learner, optimizer),
        log=log,
        state=state,
        checkpoints=checkpoints_of(
            recipe,
            folder,
            overwrite,
            state,
            distribution,
            inputs.splits,
            **{name: value for name, value in others.items() if value is not None},
        ),
    )


@contextlib.contextmanager
def _evaluated(learner: keras.Model, optimizer: ByPath) -> Iterator[None]:
    """A context in which the learner is the network that is evaluated and saved."""
    with averaged_weights(learner, optimizer), inference_state(learner):
        yield


def _describe(folder: Path, inputs: Inputs, beginning: Beginning, teacher: Teacher | None) -> None:
    """Writes what inputs and outputs mean, and which other networks the run depends on."""
    write_json(folder / run_folder.PREPROCESSING, inputs.preprocessing.to_dict())
    write_json(folder / run_folder.CLASSES, list(inputs.info.class_names))
    if beginning.is_read:
        write_json(folder / run_folder.INITIAL, beginning.record)
        print(beginning.told(), file=sys.stderr)
    if teacher is not None:
        teacher.describe(folder)


def _writers(session: Session, inputs: Inputs) -> list[keras.callbacks.Callback]:
    """What the chief writes after every evaluation."""
    if not session.distribution.is_chief:
        return []
    model, folder, evaluated = session.model, session.folder, session.evaluated
    gates = gate_histograms_of(model, inputs, folder, evaluated)
    criterion = Criterion.of(session.recipe)
    return [SavedWeights(model, folder, evaluated, session.log, criterion), *gates]


def _title(recipe: config_dict.ConfigDict) -> str:
    spec = recipe.to_dict()["recalibration"]
    network = Path(recipe.model.name).name
    return f"{recipe.data.name}, {network}, recalibration={spec}, seed={recipe.seed}"


def _finish(session: Session, inputs: Inputs) -> dict[str, Any]:
    """Scores the best and the last weights on every split, and writes the final files."""
    folder, rows = session.folder, session.log.rows
    best_row = Criterion.of(session.recipe).best(rows)
    last = predict(folder / run_folder.LAST, inputs)
    best = last if best_row is rows[-1] else predict(folder / run_folder.BEST, inputs)
    last[inputs.told].save(folder / run_folder.PREDICTIONS)
    for split, predicted in last.items():
        _save_confusion(folder, split, predicted, _title(session.recipe))
    result = as_json(
        {
            "best": _scored(best_row, best),
            "last": _scored(rows[-1], last),
            "parameters": run_folder.parameter_counts(session.model),
            "seconds": session.log.seconds,
        }
    )
    if rows[-1]["step"] < session.recipe.steps:
        result["stopped_early"] = {name: rows[-1][name] for name in ("epoch", "step")}
    draw_last_gates(folder, inputs)
    write_report(folder, result, inputs.told, last[inputs.told], inputs.info.class_names)
    write_json(folder / run_folder.RESULT, result)  # the last: it says that all is done
    return result


def _save_confusion(folder: Path, split: str, predicted: Predictions, run: str) -> None:
    classes = predicted.examples.info.class_names
    title = f"{split}, last weights\n{run}"
    save_confusion(predicted.confusion, classes, folder / run_folder.CONFUSION, split, title)


def _scored(row: Mapping[str, float], predictions: Mapping[str, Predictions]) -> dict[str, Any]:
    """Where the weights are from, and what they score on every split."""
    splits = {split: predicted.scores() for split, predicted in predictions.items()}
    return {"epoch": row["epoch"], "step": row["step"], "splits": splits}
