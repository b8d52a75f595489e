"""`train(recipe, workdir)`: from a recipe to a run folder."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.files import write_json
from srm_keras.training import run_folder
from srm_keras.training.build import build_model, compiled_twin, make_schedule
from srm_keras.training.callbacks import Checkpoints, RunLog
from srm_keras.training.inputs import Inputs, load_inputs
from srm_keras.training.recipe import resolve


def train(
    recipe: config_dict.ConfigDict, workdir: str | os.PathLike, overwrite: bool = False
) -> dict[str, Any]:
    """Trains the classifier that `recipe` describes and leaves the run in `workdir`.

    Args:
        recipe: The recipe; `srm_keras.training.default_recipe()` lists its fields.
        workdir: The run folder; made if it does not exist.
        overwrite: Whether a run that `workdir` already holds is replaced.

    Returns:
        What `result.json` holds: accuracy and loss of the best and the last weights on every
        split of `data.eval_splits`, the number of parameters, and the seconds it took.

    Raises:
        ValueError: Before any work, if the recipe or `workdir` is wrong.
        FloatingPointError: If the loss stops being finite.
    """
    recipe = resolve(recipe)
    run_folder.check_free(workdir, overwrite)
    keras.utils.set_random_seed(recipe.seed)
    inputs = load_inputs(recipe)
    schedule = make_schedule(recipe)
    with _dtype_policy(recipe.dtype_policy):
        model = build_model(recipe, inputs.image_shape, inputs.info.num_classes)
        learner = compiled_twin(model, recipe, schedule)
    folder = run_folder.create(workdir, overwrite)
    _write_description(folder, recipe, inputs)
    log = RunLog(folder, recipe.eval_every, schedule, _title(recipe))
    learner.fit(
        inputs.train,
        steps_per_epoch=recipe.eval_every,
        epochs=recipe.steps // recipe.eval_every,
        validation_data=inputs.evals[recipe.data.eval_splits[0]],
        callbacks=[log, Checkpoints(model, folder)],
        shuffle=False,  # the batches come shuffled
        verbose=1 if sys.stdout.isatty() else 2,
    )
    result = _result(folder, inputs, learner, log.rows)
    write_json(folder / run_folder.RESULT, result)
    return result


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _write_description(folder: Path, recipe: config_dict.ConfigDict, inputs: Inputs) -> None:
    write_json(folder / run_folder.RECIPE, recipe.to_dict())
    write_json(folder / run_folder.VERSIONS, run_folder.versions(recipe.seed))
    write_json(folder / run_folder.PREPROCESSING, inputs.preprocessing.to_dict())
    write_json(folder / run_folder.CLASSES, list(inputs.info.class_names))


def _title(recipe: config_dict.ConfigDict) -> str:
    spec = recipe.to_dict()["recalibration"]
    return f"{recipe.data.name}, {recipe.model.name}, recalibration={spec}, seed={recipe.seed}"


def _result(
    folder: Path, inputs: Inputs, learner: keras.Model, rows: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Evaluates the last and the best weights on every split."""
    parameters = {
        "trainable": _count(learner.trainable_variables),
        "non_trainable": _count(learner.non_trainable_variables),
    }
    last = _scores(learner, rows[-1], inputs)
    best_row = max(rows, key=lambda row: row["val_accuracy"])
    best = last
    if best_row is not rows[-1]:
        learner.set_weights(keras.saving.load_model(folder / run_folder.BEST).get_weights())
        best = _scores(learner, best_row, inputs)
    seconds = rows[-1]["seconds"]
    return {"best": best, "last": last, "parameters": parameters, "seconds": seconds}


def _count(variables: Sequence[keras.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _scores(learner: keras.Model, row: Mapping[str, float], inputs: Inputs) -> dict[str, Any]:
    """Where the weights are from, and {"accuracy", "loss"} of every split."""
    splits = {}
    for split, batches in inputs.evals.items():
        measured = learner.evaluate(batches, return_dict=True, verbose=0)
        splits[split] = {name: float(measured[name]) for name in ("accuracy", "loss")}
    return {"epoch": row["epoch"], "step": row["step"], "splits": splits}
