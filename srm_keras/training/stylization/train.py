"""``train_stylizer(recipe, workdir)``: from a stylization recipe to a run folder."""

import contextlib
import functools
import os
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict
from PIL import Image

from srm_keras.layers.conventions import dtype_policy
from srm_keras.support.files import write_atomically, write_json
from srm_keras.training import run_folder
from srm_keras.training.callbacks import RunLog
from srm_keras.training.checkpoint import TrainingState
from srm_keras.training.distribution import Distribution, inference_state, set_synchronized
from srm_keras.training.fields import Recipe
from srm_keras.training.schedules import make_schedule
from srm_keras.training.session import (
    Session,
    at_work,
    begin,
    checkpoints_of,
    finished_result,
    fit,
    make_deterministic,
)
from srm_keras.training.stylization.inputs import (
    StylizationInputs,
    check_stylization_inputs,
    load_stylization_inputs,
)
from srm_keras.training.stylization.objective import (
    build_objective,
    build_stylizer,
    check_networks,
    compiled_learner,
    loss_means,
    loss_weights,
)
from srm_keras.training.stylization.recipe import resolve
from srm_keras.training.stylization.reports import SampleStrips, title_of, write_stylization_report
from srm_keras.training.trackers import Trackers, check_trackers


def train_stylizer(
    recipe: Recipe, workdir: str | os.PathLike, overwrite: bool = False
) -> dict[str, Any]:
    """Trains the stylizer that ``recipe`` describes and leaves the run in ``workdir``.

    It resumes, distributes, logs and fails as ``srm_keras.training.train`` does, and ends with the
    weights of a run that was never interrupted. Instead of accuracies there are the content and
    the style loss, of training and of held-out contents, and pictures.

    Args:
        recipe: The recipe, a ``ConfigDict`` or a nested mapping;
            ``srm_keras.training.stylization.default_recipe()`` lists its fields.
        workdir: The run folder; made if it does not exist.
        overwrite: Whether a run that ``workdir`` already holds is replaced.

    Returns:
        What ``result.json`` holds: the losses of the last weights, the number of parameters, and
        the seconds it took. Nothing on workers other than the chief.

    Raises:
        ValueError: Before any work, if the recipe or ``workdir`` is wrong.
        ImportError: Before any work, if a package that the recipe needs is not installed.
        FloatingPointError: If the loss or a weight stops being finite; it says at which step.
        OSError: If the disk is full; the earlier checkpoints are intact.
        srm_keras.training.Interrupted: After SIGTERM or SIGINT, with the state saved.

    Reference:
        Johnson et al. 2016; Lee et al. 2019, section 4.3; Huang and Belongie 2017.
    """
    recipe, folder = resolve(recipe), Path(workdir)
    result = finished_result(recipe, folder, overwrite)
    if result is not None:
        return result
    with at_work(recipe, folder) as distribution:
        check(recipe)
        make_deterministic(recipe)
        inputs = load_stylization_inputs(recipe)
        session = _build(inputs, folder, overwrite, distribution)
        with Trackers(session) as trackers:
            with contextlib.closing(session.checkpoints):
                resumed = begin(session, overwrite)
                if distribution.is_chief and inputs.style is not None:
                    write_atomically(folder / run_folder.STYLE, Image.fromarray(inputs.style).save)
                writers = [*_writers(session, inputs), trackers]
                fit(session, resumed, inputs.train, inputs.validation, writers)
            return _finish(session) if distribution.is_chief else {}


def check(recipe: config_dict.ConfigDict) -> None:
    """Checks what can be known of a resolved recipe before anything is read, drawn or built.

    Raises:
        ValueError: If a name, an option or a module is wrong.
        ImportError: If a tracker is not installed.
    """
    check_trackers(recipe.trackers)
    make_schedule(recipe)
    check_networks(recipe)
    check_stylization_inputs(recipe)


def _build(
    inputs: StylizationInputs, folder: Path, overwrite: bool, distribution: Distribution
) -> Session:
    """The stylizer, and all that trains it; writes nothing."""
    recipe = inputs.recipe
    schedule = make_schedule(recipe)
    with distribution.scope(), dtype_policy(recipe.dtype_policy):
        stylizer = build_stylizer(recipe)
        objective = build_objective(recipe, stylizer, inputs.style)
        set_synchronized(stylizer, recipe.synchronized_batch_norm and distribution.replicas > 1)
        names = tuple(objective[1])
        metrics = loss_means(names)
        weights = loss_weights(recipe, names)
        learner = compiled_learner(objective, weights, metrics, schedule, recipe, stylizer.name)
    state = TrainingState(learner, metrics, distribution)
    logged = folder if distribution.is_chief else None
    title = title_of(recipe.to_dict())
    return Session(
        recipe=recipe,
        folder=folder,
        distribution=distribution,
        model=stylizer,
        learner=learner,
        evaluated=functools.partial(inference_state, learner),
        log=RunLog(logged, recipe, schedule, title, ("loss", *names), "log"),
        state=state,
        checkpoints=checkpoints_of(
            recipe,
            folder,
            overwrite,
            state,
            distribution,
            inputs.splits,
            style=inputs.style_digest,
        ),
    )


def _writers(session: Session, inputs: StylizationInputs) -> list[keras.callbacks.Callback]:
    """What the chief writes after every evaluation."""
    if not session.distribution.is_chief:
        return []
    every, evaluated = session.recipe.eval_every, session.evaluated
    return [SampleStrips(session.model, *inputs.samples(), session.folder, every, evaluated)]


def _finish(session: Session) -> dict[str, Any]:
    """Writes the final files: the losses are those of the last evaluation."""
    folder, log = session.folder, session.log
    last = log.rows[-1]
    splits = {
        split: {name: last[prefix + name] for name in log.quantities}
        for split, prefix in (("training", ""), ("held_out", "val_"))
    }
    result = {
        "last": {"epoch": last["epoch"], "step": last["step"], "splits": splits},
        "parameters": run_folder.parameter_counts(session.model),
        "seconds": log.seconds,
    }
    write_stylization_report(folder, result)
    write_json(folder / run_folder.RESULT, result)  # the last: it says that all is done
    return result
