import importlib.util
from pathlib import Path

import pytest

from srm_keras.training.recipe import resolve

RECIPES = sorted((Path(__file__).parents[2] / "train" / "recipes").glob("*.py"))


def get_config(path, form):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(form)


def test_there_are_recipes():
    assert {path.stem for path in RECIPES} >= {"texture_shapes", "fashion_mnist", "textures"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_both_forms_pass_the_checks_and_smoke_is_small(path):
    full = resolve(get_config(path, ""))
    smoke = resolve(get_config(path, "smoke"))
    assert smoke.steps * smoke.batch_size <= 100 < full.steps * full.batch_size


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_another_form_is_refused(path):
    with pytest.raises(ValueError, match=r"form must be '' or 'smoke'. Received: 'smok'"):
        get_config(path, "smok")
