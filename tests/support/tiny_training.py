"""A training that takes seconds, with everything in it that a resumed run must get right."""

import contextlib
import importlib
from unittest import mock

import keras
import numpy as np
from matplotlib.figure import Figure

from srm_keras.layers import SRM, StochasticDepth
from srm_keras.training import default_recipe, state_keeper, train

LOOP = importlib.import_module("srm_keras.training.train")
"""The module; `srm_keras.training.train` is its function."""

STEPS, EVAL_EVERY = 8, 4

REGULARIZED = {
    "loss": "binary_crossentropy",
    "label_smoothing": 0.1,
    "data.augmentation": {"random_erasing": 0.5, "mixup": 0.2, "cutmix": 1.0},
    "data.repeats": 2,
    "model.options": {"depth": 8, "block": "basic", "drop_path_rate": 0.2, "dropout": 0.2},
}
"""Fields of all that regularizes; ``tiny_network`` drops whatever ``model.options`` say."""

SAME = (
    *("metrics.csv", "curves.png", "predictions.csv"),
    *("gates.png", "gates_over_training.csv", "gates_over_training.png"),
    *("confusion/test.csv", "confusion/test.png"),
)


class Killed(BaseException):
    """Stands for a process that is gone: nothing catches it."""


def tiny_recipe(**fields):
    """Augmented images, batches of 8, an evaluation every 4 of 8 steps, a checkpoint every 3."""
    recipe = default_recipe()
    recipe.recalibration = "srm"
    recipe.steps, recipe.eval_every, recipe.checkpoint_every = STEPS, EVAL_EVERY, 3
    recipe.batch_size, recipe.eval_batch_size = 8, 16
    recipe.data.options = {"size": 16, "train_examples": 40, "test_examples": 24}
    recipe.data.preprocessing = {"image_size": 16, "pad": 2, "flip": True}
    recipe.model.options = {"depth": 8, "block": "basic"}
    recipe.optimizer.ema_decay = 0.9
    with recipe.unlocked():
        for path, value in fields.items():
            recipe.update_from_flattened_dict({path.replace("__", "."): value})
    return recipe


def tiny_network(recipe, image_shape, classes, blueprint=None):
    """One convolution, batch norm, SRM, stochastic depth and dropout, for the recipe's network."""
    inputs = keras.Input(image_shape)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)
    x = keras.layers.ReLU()(x)
    x = StochasticDepth(0.2, name="drop_path")(SRM(name="recalibration")(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    # With a seed: without one, Keras on torch draws from torch's own generator.
    x = keras.layers.Dropout(0.3, seed=1, name="dropout")(x)
    outputs = keras.layers.Dense(classes, "softmax", dtype="float32", name="classifier")(x)
    return keras.Model(inputs, outputs, name="tiny")


def train_tiny(recipe, workdir, die_after=None, network=tiny_network, **kwargs):
    """Trains the tiny network; with `die_after`, the process "dies" after that many updates."""
    keras.backend.clear_session()
    with mock.patch.object(LOOP, "build_model", network), _death(die_after), sketches():
        return train(recipe, workdir, **kwargs)


@contextlib.contextmanager
def sketches():
    """Figures without a layout, small: drawing them took a third of the time.

    How they look is what ``tests/support/test_figures.py`` looks at.
    """
    save = Figure.savefig

    def sketch(figure, *args, **kwargs):
        figure.set_layout_engine("none")
        save(figure, *args, **{**kwargs, "dpi": 20})

    with mock.patch.object(Figure, "savefig", sketch):
        yield


@contextlib.contextmanager
def after_every_update(act):
    """Calls `act(keeper)` after every update, `keeper.step` of them done, and what is done then.

    After the last one of an epoch that is before its evaluation.
    """
    begin = state_keeper.StateKeeper.on_train_batch_begin
    over = state_keeper.FiniteFirst.on_test_begin

    def acting(keeper, batch, logs=None):
        begin(keeper, batch, logs)
        if batch:
            act(keeper)

    def ending(first, logs=None):
        over(first, logs)
        act(first.keeper)

    with (
        mock.patch.object(state_keeper.StateKeeper, "on_train_batch_begin", acting),
        mock.patch.object(state_keeper.FiniteFirst, "on_test_begin", ending),
    ):
        yield


@contextlib.contextmanager
def _death(step):
    if step is None:
        yield
        return

    def die(keeper):
        if keeper.step == step:
            raise Killed

    with after_every_update(die):
        try:
            yield
        except Killed:
            return
        raise AssertionError(f"the run did not reach step {step}")


def assert_same_run(one, other):
    """The weights, the tables and the pictures of two runs are equal to the bit."""
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for name in ("last.keras", "best.keras"):
        assert_same_arrays(weights(one / name), weights(other / name))
    assert_same_arrays(newest_state(one), newest_state(other))


def assert_same_arrays(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def weights(path):
    variables = keras.saving.load_model(path).weights  # seeds are not in the file
    return {f"{index}: {v.name}": v.numpy() for index, v in enumerate(variables)}


def newest_state(workdir):
    """The arrays of the newest checkpoint: weights, velocities, averages, seeds, metrics."""
    path = sorted((workdir / "checkpoints").glob("step_*.npz"))[-1]
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name != "meta"}
