"""A run that was interrupted ends as if it had not been."""

import os
import re
import shutil
import signal
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srm_keras.support.files import as_json, read_json
from srm_keras.training import (
    Interrupted,
    callbacks,
    confusion,
    gates,
    run_folder,
    session,
    state_keeper,
)
from srm_keras.training.build import make_metrics
from srm_keras.training.reports import read_metrics
from tests.support import fault_injection
from tests.support.tiny_training import (
    LOOP,
    REGULARIZED,
    STEPS,
    Killed,
    assert_same_arrays,
    assert_same_run,
    newest_state,
    tiny_recipe,
    train_tiny,
    weights,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    train_tiny(tiny_recipe(), workdir)
    return workdir


# Twice after a checkpoint; before any (as in `test_fine_tuning`), at one and at an evaluation when
# there is time.
DEATHS = [(5, 7), *(pytest.param((step,), marks=pytest.mark.slow) for step in (2, 3, 4))]


@pytest.mark.parametrize("deaths", DEATHS, ids=str)
def test_a_run_that_dies_and_goes_on_is_bit_identical(deaths, undisturbed, tmp_path):
    """Before any checkpoint, at one, before an evaluation, and twice in an epoch."""
    for step in deaths:
        train_tiny(tiny_recipe(), tmp_path, die_after=step)
    train_tiny(tiny_recipe(), tmp_path)
    assert_same_run(undisturbed, tmp_path)


SAME_BITS = {
    "keep_checkpoints": 1,
    "checkpoint_every": 1,
    "data.cache": True,
    "trackers": ("wandb", "mlflow"),
    "jit_compile": False,  # what a recipe of before "auto" says
}


@pytest.mark.parametrize("changes", [SAME_BITS, {"eval_batch_size": 7}], ids=str)
def test_a_run_ends_the_same_where_fields_that_change_no_result_were_changed(
    changes, undisturbed, tmp_path, tracked
):
    """Of another `eval_batch_size` the means of losses are rounded otherwise."""
    train_tiny(tiny_recipe(), tmp_path, die_after=5)
    train_tiny(tiny_recipe(**changes), tmp_path)
    if changes is SAME_BITS:
        assert_same_run(undisturbed, tmp_path)
        assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    for name in ("last.keras", "best.keras"):
        assert_same_arrays(weights(undisturbed / name), weights(tmp_path / name))
    one, other = (read_metrics(folder / "metrics.csv") for folder in (undisturbed, tmp_path))
    assert one == [pytest.approx(row, rel=1e-5) for row in other]
    saved = run_folder.flatten(read_json(tmp_path / "recipe.json"))
    assert as_json(changes).items() <= saved.items()
    for name in changes.get("trackers", ()):  # all rows, also those of before there was a tracker
        (record,) = tracked[name].values()
        assert record.rows == other
        assert (record.status, record.scores["last.step"]) == ("finished", STEPS)


@pytest.mark.slow
def test_a_process_that_is_killed_goes_on_bit_identical(tmp_path):
    """SIGKILL, two replicas, mixed precision: the short form of the tests below."""
    options = {"steps": 8, "strategy": "mirrored", "policy": "mixed_bfloat16"}
    assert not fault_injection.run(tmp_path / "whole", **options)
    killed = tmp_path / "killed"
    assert fault_injection.run(killed, **options, death=(5, 0.01))
    assert not (killed / "result.json").exists()
    assert not fault_injection.run(killed, **options)
    assert_same_run(tmp_path / "whole", killed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("strategy", "policy"), [("one_device", "mixed_float16"), ("mirrored", "float32")]
)
def test_twenty_kills_at_random_moments_change_nothing(strategy, policy, tmp_path):
    # More steps than twenty processes can do before they die.
    options = {"steps": 240, "strategy": strategy, "policy": policy}
    assert not fault_injection.run(tmp_path / "whole", **options)
    killed, rng = tmp_path / "killed", np.random.default_rng(len(strategy))
    kills = 0
    while not (killed / "result.json").exists():
        death = (int(rng.integers(1, 7)), float(rng.uniform(0, 0.03))) if kills < 20 else None
        kills += fault_injection.run(killed, **options, death=death)
    assert kills == 20
    assert_same_run(tmp_path / "whole", killed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_that_are_killed_go_on_bit_identical(tmp_path):
    assert not fault_injection.run_workers(tmp_path / "whole", 16)
    assert fault_injection.run_workers(tmp_path / "killed", 16, death=(13, 0.05))
    assert not (tmp_path / "killed" / "result.json").exists()
    assert not fault_injection.run_workers(tmp_path / "killed", 16)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


MORE = {
    "one-hot labels, clipping, folds": {
        "data.augmentation": {"mixup": 0.2, "cutmix": 1.0},
        "label_smoothing": 0.1,
        "optimizer.clip_norm": 1.0,
        "data.folds": 3,
    },
    "all that regularizes": REGULARIZED,
    "AdamW on two replicas, in parts, mixed precision": {
        "optimizer.name": "adamw",
        "optimizer.exclude_from_decay": ("norms", "biases"),
        "learning_rate.base": 0.001,
        "accumulation_steps": 2,
        "strategy": "mirrored",
        "dtype_policy": "mixed_float16",
        "optimizer.clip_norm": 1.0,
    },
    "two updates an execution": {"steps_per_execution": 2, "checkpoint_every": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("fields", MORE.values(), ids=MORE)
def test_more_of_what_a_recipe_may_ask_for_resumes_bit_identical(fields, tmp_path):
    train_tiny(tiny_recipe(**fields), tmp_path / "whole")
    train_tiny(tiny_recipe(**fields), tmp_path / "dead", die_after=6)
    train_tiny(tiny_recipe(**fields), tmp_path / "dead")
    assert_same_run(tmp_path / "whole", tmp_path / "dead")
    splits = read_json(tmp_path / "dead" / "result.json")["last"]["splits"]
    assert ("held_out" in splits) == ("data.folds" in fields)


@pytest.mark.parametrize(
    ("number", "overwrite", "hint"),
    [
        (signal.SIGTERM, True, "the same command without `overwrite` goes on"),
        pytest.param(signal.SIGINT, False, "the same command goes on", marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_says_so(number, overwrite, hint, undisturbed, tmp_path, monkeypatch):
    keep = state_keeper.StateKeeper.on_train_batch_begin

    def signalled(keeper, batch, logs=None):
        if (keeper.step, batch) == (5 - 1, 1):
            os.kill(os.getpid(), number)
        keep(keeper, batch, logs)

    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(state_keeper.StateKeeper, "on_train_batch_begin", signalled)
        with pytest.raises(
            Interrupted, match=rf"{number.name} after step 5, .* saved; {hint}$"
        ) as at:
            train_tiny(tiny_recipe(checkpoint_every=0), tmp_path, overwrite=overwrite)
    assert (at.value.step, at.value.signal) == (5, number)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert (tmp_path / "checkpoints" / "step_000000005.npz").exists()
    train_tiny(tiny_recipe(checkpoint_every=0), tmp_path)
    for name in ("metrics.csv", "curves.png", "predictions.csv"):
        assert (undisturbed / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.slow
def test_a_run_that_began_without_top_5_goes_on_without(undisturbed, tmp_path, monkeypatch):
    """As version 0.1.0 left it within an epoch: its checkpoints know of one accuracy."""
    with monkeypatch.context() as patch:
        patch.setattr(LOOP, "make_metrics", lambda one_hot, _: make_metrics(one_hot, 2))
        train_tiny(tiny_recipe(), tmp_path, die_after=7)
    assert "metrics/4/0" not in newest_state(tmp_path)
    train_tiny(tiny_recipe(), tmp_path)
    rows, whole = (read_metrics(path / "metrics.csv") for path in (tmp_path, undisturbed))
    assert rows == [{n: v for n, v in row.items() if n != "val_top5_accuracy"} for row in whole]
    assert_same_arrays(weights(undisturbed / "last.keras"), weights(tmp_path / "last.keras"))
    result = read_json(tmp_path / "result.json")
    assert result["last"] == read_json(undisturbed / "result.json")["last"]
    top5 = result["last"]["splits"]["test"]["top5_accuracy"]
    assert top5 == pytest.approx(whole[-1]["val_top5_accuracy"], abs=1e-6)


def test_a_damaged_checkpoint_is_passed_over(undisturbed, tmp_path, caplog):
    train_tiny(tiny_recipe(), tmp_path, die_after=7)
    newest = tmp_path / "checkpoints" / "step_000000006.npz"
    newest.write_bytes(newest.read_bytes()[:1000])
    train_tiny(tiny_recipe(), tmp_path)
    assert "step_000000006.npz is truncated or damaged" in caplog.text
    assert_same_run(undisturbed, tmp_path)


def test_a_loss_that_is_not_finite_stops_at_its_step(tmp_path):
    with pytest.raises(FloatingPointError, match=r"(loss|Weights) became .* step \d+") as error:
        train_tiny(tiny_recipe(learning_rate__base=1e30, checkpoint_every=1), tmp_path)
    step = int(re.search(r"step (\d+)", str(error.value))[1])
    kept = newest_state(tmp_path)
    assert all(np.isfinite(array).all() for array in kept.values())
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names[-1] == f"step_{step - 1:09d}.npz"


OVERFLOWING = {"learning_rate.base": 3.4e38, "optimizer.weight_decay": 1e5}


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_nothing_that_is_not_finite_is_written(ema_decay, tmp_path):
    """The loss of the first update is finite, the weights after it are not."""
    fields = {"steps": 2, "eval_every": 1, "checkpoint_every": 0, "optimizer.ema_decay": ema_decay}
    with pytest.raises(FloatingPointError, match=r"Weights became infinite or NaN .* step 1\."):
        train_tiny(tiny_recipe(**OVERFLOWING, **fields), tmp_path)
    assert read_metrics(tmp_path / "metrics.csv") == []
    pictures = ("curves.png", "gates_over_training.png", "gates_over_training.csv")
    for name in ("best.keras", "last.keras", *pictures):
        assert not (tmp_path / name).exists(), name
    assert not list(tmp_path.glob("checkpoints/*"))


def keeper_of(losses, looking, monkeypatch):
    """A keeper of a run of 16 updates in epochs of 8, after each of which the loss is as given."""
    keeper = state_keeper.StateKeeper(
        state=mock.Mock(read=lambda: {"weight": np.zeros(1)}),
        steps_per_epoch=8,
        every=0,
        save=mock.Mock(),
        progress=dict,
        stop=mock.Mock(signal=None),
        any_worker=bool,
        resumed=None,
        hint="",
        question=bool,
    )
    keeper.set_model(mock.Mock())
    monkeypatch.setattr(state_keeper.StateKeeper, "LOOK_EVERY", looking)
    monkeypatch.setattr(state_keeper, "running_loss", lambda _: losses[keeper.step - 1])
    return keeper


def run_epochs(keeper, stride):
    """The calls of a `fit`, `stride` updates at a time."""
    first = state_keeper.FiniteFirst(keeper)
    for epoch in range(2):
        keeper.on_epoch_begin(epoch)
        for batch in range(0, 8, stride):
            keeper.on_train_batch_begin(batch)
        first.on_test_begin()
        first.on_epoch_end(epoch, {"loss": 0.0})
        keeper.on_epoch_end(epoch)


@pytest.mark.parametrize(
    ("bad", "looking", "stride", "told"),
    [
        (3, 1, 1, "at step 3"),
        (3, 5, 1, "between steps 1 and 5"),
        (6, 5, 1, "between steps 6 and 8"),  # before the evaluation
        (10, 5, 1, "between steps 9 and 10"),
        (10, 50, 1, "between steps 9 and 16"),
        (3, 3, 2, "between steps 1 and 4"),
        (7, 4, 4, "between steps 5 and 8"),
    ],
)
def test_a_loss_that_is_not_finite_is_found_when_it_is_looked_at(
    bad, looking, stride, told, monkeypatch
):
    """And saved are only the updates before: of 16, those of the first epoch."""
    keeper = keeper_of([1.0] * (bad - 1) + [np.nan] * 16, looking, monkeypatch)
    with pytest.raises(FloatingPointError, match=f"The loss became nan {told}\\."):
        run_epochs(keeper, stride)
    assert [call.args[0].step for call in keeper.save.call_args_list] == [8] * (bad > 8)


@pytest.mark.parametrize("stride", [1, 4])
def test_a_loss_is_read_when_it_is_time_to_and_before_anything_is_saved(stride, monkeypatch):
    keeper = keeper_of([1.0] * 16, 50, monkeypatch)
    keeper.every = 4
    reading = mock.Mock(return_value=1.0)
    monkeypatch.setattr(state_keeper, "running_loss", reading)
    run_epochs(keeper, stride)
    assert [call.args[0].step for call in keeper.save.call_args_list] == [4, 8, 12, 16]
    assert reading.call_count == 4


@pytest.mark.parametrize("name", ["loss", "accuracy", "val_loss", "val_accuracy"])
def test_a_measurement_that_is_not_finite_stops_the_run(name):
    """Of finite weights too, as where float16 overflows in the evaluation alone."""
    logs = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
    keeper = mock.Mock(step=4)
    keeper.check = lambda values: state_keeper.StateKeeper.check(keeper, values)
    first = state_keeper.FiniteFirst(keeper)
    first.on_epoch_end(0, logs)
    with pytest.raises(FloatingPointError, match=f"The {name} became nan at step 4"):
        first.on_epoch_end(0, {**logs, name: np.float32("nan")})


def test_what_is_not_deterministic_on_a_gpu_is_a_line():
    """What TensorFlow raises there in the first update."""
    advice = "A deterministic GPU implementation of AdjustContrastv2 is not currently available."
    text = f"Graph execution error:\n\nDetected at node x\n{advice}\n\t [[{{{{node x}}}}]]"
    error = tf.errors.UnimplementedError(None, None, text)
    recipe = tiny_recipe()
    with (
        pytest.raises(ValueError, match=f"`deterministic` must be False .* {advice}$"),
        session._naming_what_is_not_deterministic(recipe),
    ):
        raise error
    recipe.deterministic = False
    others = tf.errors.UnimplementedError(None, None, "Cast of complex is not supported.")
    for given, raised in ((recipe, error), (tiny_recipe(), others), (tiny_recipe(), OSError("x"))):
        with (
            pytest.raises(type(raised), match=re.escape(str(raised))),
            session._naming_what_is_not_deterministic(given),
        ):
            raise raised


def test_a_plot_never_stops_a_training(undisturbed, tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no font\nand a second line")

    for module, name in (
        (callbacks, "plot_run"),
        (gates, "plot_gate_histograms"),
        (gates, "plot_gate_training"),
        (confusion, "plot_confusion"),
    ):
        monkeypatch.setattr(module, name, fail)
    train_tiny(tiny_recipe(), tmp_path)
    pictures = ("curves.png", "gates.png", "gates_over_training.png", "confusion/test.png")
    for name in pictures:
        assert f"{name} is not drawn: no font" in caplog.text
        assert not (tmp_path / name).exists()
    assert "second line" not in caplog.text
    for name in ("metrics.csv", "predictions.csv", "gates_over_training.csv"):
        assert (tmp_path / name).read_bytes() == (undisturbed / name).read_bytes()
    assert (tmp_path / "confusion" / "test.csv").is_file()
    assert "curves.png was not drawn" in (tmp_path / "report.html").read_text()


def test_a_finished_run_is_not_repeated(undisturbed, capsys):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    result = train_tiny(tiny_recipe(), undisturbed)
    assert result == read_json(undisturbed / "result.json")
    assert "nothing to do" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    with pytest.raises(ValueError, match=r"another recipe.*seed=0 instead of 3"):
        train_tiny(tiny_recipe(seed=3), undisturbed)


def draw_images(root):
    """Two classes, 12 images each for training and 4 for testing."""
    for split, count in (("train", 12), ("test", 4)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = np.random.default_rng(k).integers(0, 256, (16, 16, 3), "uint8")
                Image.fromarray(pixels).save(root / split / name / f"{k}.png")


def image_recipe(root, **options):
    recipe = tiny_recipe(data__name="image_folder", recalibration=None)
    with recipe.unlocked(), recipe.ignore_type():
        recipe.data.options = {"data_dir": root, **options}
    return recipe


def test_data_that_changed_stop_a_run_and_data_that_moved_do_not(tmp_path):
    here, there, workdir = (tmp_path / name for name in ("here", "there", "run"))
    draw_images(here)
    train_tiny(image_recipe(here), workdir, die_after=5)
    new = here / "train" / "cat" / "new.png"
    shutil.copyfile(here / "train" / "dog" / "0.png", new)
    told = r"belongs to another run: data: 1 file added to train \(train/cat/new.png\)$"
    with pytest.raises(ValueError, match=told):
        train_tiny(image_recipe(here), workdir)
    new.unlink()
    (here / "test" / "dog" / "0.png").rename(here / "test" / "cat" / "dog.png")
    with pytest.raises(ValueError, match=r"data: 1 file added to test .*1 file removed from test"):
        train_tiny(image_recipe(here), workdir)
    (here / "test" / "cat" / "dog.png").rename(here / "test" / "dog" / "0.png")
    assert [entry["step"] for entry in read_json(workdir / "versions.json")] == [0]
    train_tiny(image_recipe(here), tmp_path / "whole")
    shutil.move(here, there)
    train_tiny(image_recipe(there, verify=False), workdir)
    assert_same_run(tmp_path / "whole", workdir)
    assert [entry["step"] for entry in read_json(workdir / "versions.json")] == [0, 4]
    assert "gone on from step 4" in (workdir / "report.html").read_text()
    assert read_json(workdir / "recipe.json")["data"]["options"]["data_dir"] == str(there)
    assert read_json(workdir / "recipe.json")["data"]["options"]["verify"] is False
    with pytest.raises(ValueError, match=r"another recipe.*data\.options\.seed"):
        train_tiny(image_recipe(there, seed=1), workdir)


def test_a_folder_in_which_a_run_is_at_work_is_refused(tmp_path, monkeypatch):
    """Also to `overwrite`, and before any data is read; of several workers to the chief alone."""
    monkeypatch.setattr(LOOP, "load_inputs", mock.Mock(side_effect=AssertionError))
    with run_folder.held(tmp_path):
        for overwrite in (False, True):
            with pytest.raises(ValueError, match=rf"in use by process {os.getpid()} on"):
                train_tiny(tiny_recipe(), tmp_path, overwrite=overwrite)
        monkeypatch.setattr(session, "resolve_strategy", lambda _: mock.MagicMock(is_chief=False))
        with pytest.raises(AssertionError):
            train_tiny(tiny_recipe(), tmp_path)


def test_the_end_of_a_run_is_finished_too(undisturbed, tmp_path, monkeypatch):
    """Killed after the last checkpoint, before the result was written."""
    with monkeypatch.context() as patch:
        patch.setattr(LOOP, "_finish", die)
        with pytest.raises(Killed):
            train_tiny(tiny_recipe(), tmp_path)
    assert read_metrics(tmp_path / "metrics.csv")[-1]["step"] == STEPS
    train_tiny(tiny_recipe(), tmp_path)
    assert_same_run(undisturbed, tmp_path)


def die(*_):
    raise Killed


def test_last_holds_the_average_of_the_weights(undisturbed):
    """0.9 * (… 0.9 * w1 + 0.1 * w2 …) + 0.1 * w8, not w8."""
    last, state = weights(undisturbed / "last.keras"), newest_state(undisturbed)
    kernel = next(array for name, array in last.items() if name.endswith(": kernel"))
    same_shape = {n: a for n, a in state.items() if a.shape == kernel.shape}
    assert not np.array_equal(same_shape["model/0/0"], kernel)
    averages = [n for n, a in same_shape.items() if np.array_equal(a, kernel)]
    assert len(averages) == 1
    assert averages[0].startswith("optimizer/")
