"""Stylizers trained for a few steps, killed, resumed and read back."""

import csv
import re
from unittest import mock

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.data import texture_shapes
from srm_keras.support.files import read_json
from srm_keras.training import read_metrics
from srm_keras.training.stylization import reports
from srm_keras.training.stylization import train_stylizer as train
from srm_keras.training.stylization.inputs import load_stylization_inputs
from srm_keras.training.stylization.objective import build_objective, build_stylizer
from srm_keras.training.stylization.recipe import resolve
from tests.support.tiny_stylization import EVAL_EVERY, STEPS, tiny_recipe
from tests.support.tiny_training import (
    Killed,
    after_every_update,
    assert_same_arrays,
    newest_state,
    sketches,
    weights,
)

METHODS = {
    "feed_forward": {"normalization": "batch", "recalibration": (None, "srm", None)},
    "adain": {"method": "adain"},
}


def train_stylizer(recipe, workdir):
    with sketches():
        return train(recipe, workdir)


@pytest.fixture(scope="module", params=METHODS)
def run(request, tmp_path_factory):
    """A run of each method that nothing disturbs: its recipe's fields, result and folder."""
    folder = tmp_path_factory.mktemp(request.param)
    fields = METHODS[request.param]
    keras.backend.clear_session()
    return fields, train_stylizer(tiny_recipe(**fields), folder), folder


def test_the_files_of_a_run(run):
    fields, result, folder = run
    for name in ("recipe.json", "versions.json", "timing.csv", "curves.png", "report.html"):
        assert (folder / name).stat().st_size > 0, name
    assert (folder / "style.png").exists() == ("method" not in fields)
    assert read_json(folder / "result.json") == result
    strips = sorted(path.name for path in (folder / "samples").iterdir())
    assert strips == ["step_000000003.png", "step_000000006.png"]
    rows = 3 if fields.get("method") == "adain" else 2
    assert Image.open(folder / "samples" / strips[0]).size == (2 * 100 - 4, rows * 100 - 4)


def test_the_losses_of_the_table_are_those_of_the_saved_network(run):
    """Computed anew from last.keras, one image at a time, with the recipe's weights."""
    fields, result, folder = run
    recipe = resolve(tiny_recipe(**fields))
    inputs = load_stylization_inputs(recipe)
    keras.utils.set_random_seed(recipe.seed)
    stylizer = keras.saving.load_model(folder / "last.keras")
    if "method" not in fields:
        # The random feature network is drawn after the stylizer, from the same seed.
        keras.utils.set_random_seed(recipe.seed)
        build_stylizer(recipe)
    tensors, terms = build_objective(recipe, stylizer, inputs.style)
    losses = keras.Model(tensors, terms)
    total = {name: [] for name in terms}
    for images, _ in inputs.validation():
        count = len(keras.tree.flatten(images)[0])
        for k in range(count):
            one = keras.tree.map_structure(lambda x, k=k: x[k : k + 1], images)
            for name, value in losses(one, training=False).items():
                total[name].append(keras.ops.convert_to_numpy(value)[0])
    held_out = result["last"]["splits"]["held_out"]
    assert {len(values) for values in total.values()} == {3}
    for name, values in total.items():
        assert held_out[name] == pytest.approx(np.mean(values), rel=1e-4), name
    assert held_out["loss"] == pytest.approx(
        held_out["content_loss"] + held_out["style_loss"], rel=1e-4
    )


def test_the_table_has_all_losses(run):
    _, _, folder = run
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == [EVAL_EVERY, STEPS]
    names = ("loss", "content_loss", "style_loss")
    assert set(rows[0]) == {"epoch", "step", "lr", *names, *(f"val_{name}" for name in names)}


def test_a_killed_run_ends_with_the_same_weights(run, tmp_path):
    fields, _, folder = run

    def die(keeper):
        if keeper.step == 5:
            raise Killed

    keras.backend.clear_session()
    with after_every_update(die), pytest.raises(Killed):
        train_stylizer(tiny_recipe(**fields), tmp_path)
    keras.backend.clear_session()
    train_stylizer(tiny_recipe(**fields, content__cache=True).to_dict(), tmp_path)
    assert read_json(tmp_path / "recipe.json")["content"]["cache"] is True
    for name in ("metrics.csv", "samples/step_000000006.png"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
    assert_same_arrays(weights(tmp_path / "last.keras"), weights(folder / "last.keras"))
    assert_same_arrays(newest_state(tmp_path), newest_state(folder))


@pytest.mark.parametrize("method", METHODS)
def test_nothing_that_is_not_finite_is_written(method, tmp_path):
    fields = {**METHODS[method], "steps": 2, "eval_every": 1, "checkpoint_every": 0}
    with pytest.raises(FloatingPointError, match=r" became .* step \d\.") as error:
        train_stylizer(tiny_recipe(**fields, learning_rate__base=3e38), tmp_path)
    done = int(re.search(r"step (\d)", str(error.value))[1]) - 1
    rows = read_metrics(tmp_path / "metrics.csv")
    assert len(rows) == done
    assert np.isfinite([value for row in rows for value in row.values()]).all()
    for name in ("last.keras", "curves.png", "checkpoints"):
        assert (tmp_path / name).exists() == (done > 0), name


def test_a_sample_that_cannot_be_painted_stops_no_training(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(reports, "strip", mock.Mock(side_effect=MemoryError))
    train_stylizer(tiny_recipe(steps=1, eval_every=1, checkpoint_every=0), tmp_path)
    assert "step_000000001.png is not drawn: MemoryError" in caplog.text
    assert (tmp_path / "last.keras").exists()
    assert "step_000000001.png was not drawn" in (tmp_path / "report.html").read_text()


def test_another_style_is_another_run(run):
    fields, _, folder = run
    with pytest.raises(ValueError, match=r"style\.index=0 instead of 1"):
        train_stylizer(tiny_recipe(**fields, style__index=1), folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style__image": "missing.jpg"}, r"`style\.image` must be an image file.*missing\.jpg"),
        (
            {"style__options": {"data_dir": None}, "style__name": "image_files"},
            "--config.style.image",
        ),
        ({"style__split": "tset"}, r"`split` must be one of .*did you mean 'test'"),
        ({"content__eval_split": "tset"}, r"In `content`: .*'test'"),
        ({"content__name": "cocoo"}, r"In `content`: .*did you mean 'coco'"),
        ({"recalibration": "srn"}, "In `network`: .*'srm'"),
        ({"features__content_layer": "block1_conv9"}, r"In `features`: .*block1_conv"),
        ({"features__network": "vgg61"}, r"In `features`: .*vgg"),
        ({"features__weights": "no.weights.h5"}, r"In `features`: .*no\.weights\.h5"),
    ],
)
def test_what_is_refused_before_any_image_is_drawn(changes, message, tmp_path, monkeypatch):
    def drawn(*arguments):
        raise AssertionError("images were drawn")

    monkeypatch.setattr(texture_shapes.source, "_draw", drawn)
    with pytest.raises(ValueError, match=message):
        train_stylizer(tiny_recipe(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style__index": 20}, r"`style\.index` must be below the number of examples, 20"),
        ({"batch_size": 21}, "`batch_size` must be at most the number of training images"),
    ],
)
def test_what_is_refused_before_any_work(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_stylizer(tiny_recipe(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_devices_train_as_one_does(method, tmp_path):
    """The losses of three updates and after them, with synchronized batch norm.

    Adam divides by the gradient's size: rounding decides about weights whose gradient is near 0.
    """
    fields = {**METHODS[method], "steps": 3, "eval_every": 1, "learning_rate__base": 0.03}
    rows = {}
    for strategy in ("one_device", "mirrored"):
        keras.backend.clear_session()
        train_stylizer(tiny_recipe(**fields, strategy=strategy), tmp_path / strategy)
        rows[strategy] = read_metrics(tmp_path / strategy / "metrics.csv")
    first, *_, last = rows["one_device"]
    learned = abs(last["val_loss"] - first["val_loss"])
    assert learned > 1e-2 * first["val_loss"]
    for one, two in zip(*rows.values(), strict=True):
        assert two["val_loss"] == pytest.approx(one["val_loss"], abs=0.05 * learned)
        assert two == pytest.approx(one, rel=2e-2)
