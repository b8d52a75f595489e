import importlib.util
import math
from pathlib import Path

import pytest

from srm_keras.training import default_recipe, train, with_steps
from srm_keras.training.build import build_model
from srm_keras.training.inputs import HELD_OUT, load_inputs
from srm_keras.training.recipe import resolve
from srm_keras.training.run_folder import flatten
from srm_keras.training.stylization import resolve as resolve_stylization

FOLDER = Path(__file__).parents[2] / "srm_keras" / "recipes"
OF_STYLIZERS = ("adain", "style_transfer")  # see tests/training/stylization
RECIPES = [path for path in sorted(FOLDER.glob("[!_]*.py")) if path.stem not in OF_STYLIZERS]


OF_FOLDERS = ("efficientnet", "textures", "textures_adamw")  # on images of whoever trains


def get_config(path, form):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(form)


def test_there_are_recipes():
    assert {path.stem for path in RECIPES} == {
        "ablations",
        "cifar10",
        "cifar100",
        "dtd",
        "efficientnet",
        "fashion_mnist",
        "imagenet",
        "imagenet_a3",
        "office_home",
        "stylized_imagenet",
        "texture_shapes",
        "textures",
        "textures_adamw",
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_both_forms_pass_the_checks_and_smoke_is_small(path):
    full = resolve(get_config(path, ""))
    smoke = resolve(get_config(path, "smoke"))
    assert smoke.steps * smoke.batch_size <= 100 < full.steps * full.batch_size


QUICKLY = ("cifar10", "office_home")  # two networks, folds with domains


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem not in QUICKLY))
        for path in RECIPES
    ],
)
def test_the_smoke_form_trains(path, tmp_path):
    recipe = get_config(path, "smoke")
    splits = train(recipe, tmp_path / "run")["last"]["splits"]
    expected = [HELD_OUT] if recipe.data.folds else []
    assert list(splits) == [*expected, *recipe.data.eval_splits]
    assert all(math.isfinite(scores["loss"]) for scores in splits.values())
    assert ("domains" in splits.get(HELD_OUT, {})) == (path.stem == "office_home")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_data_of_the_full_form_exist_or_are_asked_for(path, tmp_path, monkeypatch):
    """The source takes the recipe's options and, where nothing is there, says what to get."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    recipe = resolve(get_config(path, ""))
    if "train_examples" in recipe.data.options:
        recipe.data.options.update(train_examples=128, test_examples=10)
    try:
        inputs = load_inputs(recipe)
    except ValueError as error:
        message = str(error)
        assert message.endswith("Give it by --config.data.options.data_dir=…")
        assert path.stem in OF_FOLDERS or "https://" in message or "apt-get install" in message
    else:
        assert inputs.info.split == recipe.data.train_split


# Lee et al. 2019, section 4: the counts of tables 1 and 2, to the digit, and the schedules.
PAPER = {
    "cifar10": (10, 885_658, 64_000, (32_000, 48_000), 0.2),
    "cifar100": (100, 908_788, 64_000, (32_000, 48_000), 0.2),
    "dtd": (47, 517_055, 64_000, (32_000, 48_000), 0.2),
    "imagenet": (1000, 25_617_448, 450_360, (150_120, 300_240), 0.1),
    "stylized_imagenet": (1000, None, 450_360, (150_120, 300_240), 0.1),
    "office_home": (65, None, 17_460, (5_820, 11_640), 0.1),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_numbers(name):
    classes, parameters, steps, milestones, rate = PAPER[name]
    recipe = resolve(get_config(RECIPES[0].with_name(f"{name}.py"), ""))
    assert (recipe.steps, recipe.learning_rate.milestones) == (steps, milestones)
    assert (recipe.learning_rate.base, recipe.learning_rate.factor) == (rate, 0.1)
    assert (recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.9, 1e-4)
    if parameters is not None:
        recipe.recalibration = "srm"
        side = recipe.data.preprocessing.image_size
        model = build_model(recipe, (side, side, 3), classes)
        assert sum(math.prod(v.shape) for v in model.trainable_variables) == parameters


def test_the_papers_recipes_start_as_the_paper_and_ours_neutral():
    ours = {*OF_FOLDERS, "fashion_mnist", "imagenet_a3", "texture_shapes"}
    assert {path.stem for path in RECIPES if get_config(path, "").model.neutral} == ours
    for name in ("ablations", "stylized_imagenet"):
        assert get_config(FOLDER / f"{name}.py", "desk").model.neutral


def test_the_ablations_have_a_form_for_a_desk():
    recipe = resolve(get_config(RECIPES[0].with_name("ablations.py"), "desk"))
    assert (recipe.data.name, recipe.model.options.block) == ("texture_shapes", "bottleneck")
    assert 100 < recipe.steps <= 2_000


def test_stylized_imagenet_has_a_form_for_a_desk():
    recipe = resolve(get_config(FOLDER / "stylized_imagenet.py", "desk"))
    assert (recipe.data.name, recipe.data.eval_splits) == (
        "stylized_imagenet",
        ("val", "imagenet_val"),
    )
    assert recipe.steps <= 1_000


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_another_form_is_refused(path):
    with pytest.raises(ValueError, match=r"form must be '' or 'smoke'. Received: 'smok'"):
        get_config(path, "smok")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_every_recipe_can_be_made_shorter_or_longer(path):
    """Milestones and warm-up keep their place on the way, and evaluations divide the steps."""
    check = resolve_stylization if path.stem in OF_STYLIZERS else resolve
    for form in ("", "smoke"):
        whole = check(get_config(path, form))
        for steps in (1, 7, 120, 100_000):
            moved = check(with_steps(get_config(path, form), steps))
            assert moved.steps == steps
            assert steps // moved.eval_every <= max(1, whole.steps // whole.eval_every)
            if steps == 120:
                rate, of_whole = moved.learning_rate, whole.learning_rate
                places = [step / whole.steps for step in of_whole.milestones]
                assert [step / 120 for step in rate.milestones] == pytest.approx(
                    places, abs=1 / 240
                )
                assert rate.warmup_steps / 120 == pytest.approx(
                    of_whole.warmup_steps / whole.steps, abs=1 / 120
                )
            changed = {
                name
                for name, value in flatten(moved.to_dict()).items()
                if value != flatten(whole.to_dict())[name]
            }
            assert changed <= {"steps", "eval_every", "checkpoint_every"} | {
                f"learning_rate.{name}" for name in ("milestones", "warmup_steps")
            }


def test_what_counts_in_updates_moves_along_but_for_what_is_kept():
    recipe = default_recipe()
    recipe.update(steps=1200, eval_every=200, checkpoint_every=100, steps_per_execution=2)
    recipe.learning_rate.update(milestones=(600, 900), warmup_steps=100)
    moved = with_steps(recipe, 120)
    assert (moved.eval_every, moved.checkpoint_every) == (20, 10)
    assert (moved.learning_rate.milestones, moved.learning_rate.warmup_steps) == ((60, 90), 10)
    assert with_steps(recipe, 22).eval_every == 22  # 11 executions of 2: 1 or 11 evaluations
    assert with_steps(recipe, 4).learning_rate.milestones == (2, 3)
    assert with_steps(recipe, 2).learning_rate.milestones == (1,)
    recipe.learning_rate.update(cycle_steps=401, rise_steps=1000)
    for steps, lengths in ((120, (41, 100)), (2400, (802, 2000)), (2, (1, 1))):
        rate = with_steps(recipe, steps).learning_rate  # three cycles, not a fourth of an update
        assert (rate.cycle_steps, rate.rise_steps) == lengths
    kept = with_steps(recipe, 120, keep=["eval_every", "learning_rate.milestones"])
    assert (kept.eval_every, kept.learning_rate.milestones) == (200, (600, 900))
    assert recipe.steps == 1200  # a copy is moved
    with pytest.raises(ValueError, match=r"multiple of steps_per_execution=2. Received: steps=3"):
        with_steps(recipe, 3)
    with pytest.raises(ValueError, match=r"`steps` must be a positive integer"):
        with_steps(recipe, 0)
    recipe.eval_every = 0
    with pytest.raises(ValueError, match=r"`eval_every` must be a positive integer"):
        with_steps(recipe, 2)
