"""The recipes of train_stylizer."""

import math
import re

import pytest

from srm_keras.training.stylization import resolve, train_stylizer
from tests.training.test_recipe_files import FOLDER, OF_STYLIZERS, get_config


@pytest.mark.parametrize("name", OF_STYLIZERS)
def test_both_forms_pass_the_checks_and_smoke_is_small(name):
    full, smoke = (resolve(get_config(FOLDER / f"{name}.py", form)) for form in ("", "smoke"))
    assert smoke.steps * smoke.batch_size <= 100 < full.steps * full.batch_size


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_STYLIZERS)
def test_the_smoke_form_trains(name, tmp_path):
    result = train_stylizer(get_config(FOLDER / f"{name}.py", "smoke"), tmp_path / "run")
    losses = result["last"]["splits"]["held_out"]
    assert all(math.isfinite(loss) for loss in losses.values())


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("adain", "--config.style.options.data_dir=…"),
        ("style_transfer", "--config.style.image=FILE"),
    ],
)
def test_the_data_of_the_full_form_are_asked_for(name, flag, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    recipe = get_config(FOLDER / f"{name}.py", "")
    assert recipe.content.name == "coco"
    with pytest.raises(ValueError, match=re.escape(flag)):
        train_stylizer(recipe, tmp_path / "run")
    with recipe.unlocked():
        recipe.style.update(name="texture_shapes", split="test")
        recipe.style.options = {}
    with pytest.raises(ValueError, match=r"train2017\.zip.*--config\.content\.options\.data_dir=…"):
        train_stylizer(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_defaults_of_the_example():
    """fast_neural_style: two epochs of batches of 4, Adam at 1e-3, 256×256."""
    recipe = resolve(get_config(FOLDER / "style_transfer.py", ""))
    assert (recipe.batch_size, recipe.learning_rate.base) == (4, 1e-3)
    assert recipe.steps == pytest.approx(2 * 118_287 / 4, rel=0.02)
    assert (recipe.content.image_size, recipe.content.resize) == (256, 256)
    layers = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")
    assert (recipe.features.content_layer, recipe.features.style_layers) == (layers[1], layers)
    assert recipe.loss.style / recipe.loss.content == pytest.approx(1e5 / (255 * 0.226) ** 2)
