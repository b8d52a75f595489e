"""Reading runs and results of analyses from folders, as tools.paper_tables does."""

import json

import pytest

from srm_keras.analysis.paper_tables.runs import differences
from srm_keras.cli.paper_records import (
    PAPER_RECIPES,
    curve_analyses,
    evaluated_runs,
    expanded,
    figure_analyses,
    paper_recipes,
    run_folders,
)
from srm_keras.cli.paper_records import trained_run as read_run
from srm_keras.recipes import cifar10
from srm_keras.support.files import write_csv, write_json
from srm_keras.training import resolve
from tests.support.paper_runs import trained_run

SPLITS = {
    "held_out": {"accuracy": 0.4, "loss": 1.0, "domains": {"a": {"accuracy": 0.3, "examples": 2}}},
    "test": {"accuracy": 0.5, "loss": 1.0, "top5_accuracy": 0.9},
}


def write_run(folder, finished=True, recalibration="srm"):
    recipe = {"model": {"name": "cifar_resnet", "options": {}}, "recalibration": recalibration}
    recipe |= {"data": {"name": "npz", "options": {}}, "steps": 4}
    write_json(folder / "recipe.json", recipe)
    write_json(folder / "classes.json", ["one", "two"])
    rows = [
        {"step": step, "loss": 1, "accuracy": 0.5, "val_loss": 1, "val_accuracy": 0.5}
        for step in (2, 4)
    ]
    write_csv(folder / "metrics.csv", rows)
    if finished:
        write_json(folder / "result.json", {"last": {"splits": SPLITS}, "best": {}})


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path / "one")
    write_run(tmp_path / "begun", finished=False)
    write_run(tmp_path / "folds" / "runs" / "none_fold0_seed0", recalibration=None)
    write_run(tmp_path / "folds" / "runs" / "se_fold0_seed0", recalibration="se")
    (tmp_path / "notes.log").write_text("no run")
    return tmp_path


def test_runs_and_cross_validations_are_found_once(folder, capsys):
    found = run_folders([f"{folder}/*", str(folder / "one")])
    names = [path.relative_to(folder).as_posix() for path in found]
    assert names == ["folds/runs/none_fold0_seed0", "folds/runs/se_fold0_seed0", "one"]
    assert "begun: not finished" in capsys.readouterr().err


def test_what_cannot_be_used_is_passed_over_with_a_line_each(folder, capsys):
    write_json(
        folder / "painting" / "recipe.json", {"method": "feed_forward", "recalibration": None}
    )
    for name, file, content in (
        ("list", "recipe.json", "[]"),
        ("text", "recipe.json", "{"),
        ("headless", "recipe.json", '{"steps": 4}'),
        ("cut", "result.json", '{"last": 3}'),
        ("torn", "metrics.csv", "step,loss\n1"),
        ("latin", "recipe.json", b"\xff"),
    ):
        write_run(folder / name)
        content = content if isinstance(content, bytes) else content.encode()
        (folder / name / file).write_bytes(content)
    assert run_folders([f"{folder}/[!f]*"]) == [folder / "one"]
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0].rpartition("/")[2] for line in told] == [
        *("begun", "cut", "headless", "latin", "list", "painting", "text", "torn")
    ]
    assert told[5].endswith("painting: not a run of train")
    assert "recipe.json' must hold a recipe, which is an object. Received: []" in told[4]
    assert evaluated_runs([f"{folder}/*"]) == [folder / "begun", folder / "one"]
    with pytest.raises(ValueError, match="At least one run folder of"):
        evaluated_runs([str(folder / "painting")])


def test_a_name_that_exists_means_itself_and_other_brackets_are_a_pattern(tmp_path, monkeypatch):
    for name in ("exp [final]/srm", "exp [final]/se", "exp f/srm", "seed_1", "seed_2", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for pattern, names in {
        "exp [final]": ["exp [final]"],
        "exp [final]/*": ["exp [final]/se", "exp [final]/srm"],
        "exp [f]": ["exp f"],
        "seed_[12]": ["seed_1", "seed_2"],
        "*": ["exp [final]", "exp f", "seed_1", "seed_2"],
        f"{tmp_path}/s*": [f"{tmp_path}/seed_1", f"{tmp_path}/seed_2"],
    }.items():
        assert [str(path) for path in expanded([pattern, pattern])] == names


def test_a_run_is_read(folder):
    run = read_run(folder / "one")
    assert (run.network, run.module, run.classes) == ("cifar_resnet56_bottleneck", "srm", 2)
    assert run.accuracies == {"held_out": 0.4, "test": 0.5}
    assert run.accuracy("held_out", "a") == 0.3
    assert run.top5 == {"test": 0.9}


def test_a_recipe_of_before_there_was_a_field_is_the_papers_too(folder):
    recipe = resolve(cifar10.get_config()).to_dict()
    for group, name in (("learning_rate", "end_factor"), ("model", "neutral")):
        del recipe[group][name]
    write_json(folder / "one" / "recipe.json", recipe)
    assert differences(read_run(folder / "one").recipe, paper_recipes()["cifar10"]) == {}


def test_a_variant_of_a_module_is_read(tmp_path):
    spec = {"name": "srm", "pooling": ["avg"]}
    write_run(tmp_path / "avg", recalibration=spec)
    assert read_run(tmp_path / "avg").module == spec


@pytest.mark.parametrize("pattern", ["nowhere", "none*", "notes.log"])
def test_a_pattern_without_runs_is_refused(folder, pattern):
    with pytest.raises(ValueError, match=r"`--models` must be .* which holds none"):
        run_folders([str(folder / pattern)])


@pytest.mark.parametrize("content", ["{", "{}", '{"last": 3}'])
def test_a_damaged_result_is_named(folder, content):
    (folder / "one" / "result.json").write_text(content)
    with pytest.raises(ValueError, match=r"`--models` must be .* Received: .*result\.json"):
        read_run(folder / "one")


def test_the_papers_recipes_are_those_of_the_recipe_files():
    recipes = paper_recipes()
    assert tuple(recipes) == PAPER_RECIPES
    assert differences(trained_run().recipe, recipes["cifar10"]) == {}
    assert (recipes["imagenet"]["steps"], recipes["dtd"]["data.folds"]) == (450_360, 5)


def test_curves_are_drawn_where_modules_can_be_compared(folder):
    folders = run_folders([str(folder / "one"), str(folder / "folds")])
    runs = [read_run(path) for path in folders]
    (analysis,) = curve_analyses(folders, runs)
    (picture,) = analysis.pictures
    assert picture.png.startswith(b"\x89PNG")
    assert picture.caption == "npz, 2 classes, cifar_resnet56_bottleneck, 4 steps"
    assert curve_analyses(folders[:1], runs[:1]) == []


def test_results_of_analyses_are_found_with_their_pictures(tmp_path):
    below = tmp_path / "results" / "gates"
    write_json(below / "correlation.json", {"runs": {}})
    (below / "correlation_conv2_1.png").write_bytes(b"png")
    (below / "other.png").write_bytes(b"png")
    found = figure_analyses([str(tmp_path)])
    counts = {number: len(analyses) for number, analyses in found.items()}
    assert counts == dict.fromkeys((4, 5, 6, 7, 9, 10), 0) | {8: 1}
    (analysis,) = found[8]
    assert analysis.data == {"runs": {}}
    assert [picture.name for picture in analysis.pictures] == [
        "results_gates_correlation_conv2_1.png"
    ]


def test_pictures_of_several_analyses_have_names_of_their_own(tmp_path):
    for part in ("shapes/gates", "textures/gates"):
        write_json(tmp_path / part / "correlation.json", [])
        (tmp_path / part / "correlation.png").write_bytes(part.encode())
    found = figure_analyses([str(tmp_path)])[8]
    assert [analysis.name for analysis in found] == ["shapes/gates", "textures/gates"]
    pictures = {picture.name: picture.png for each in found for picture in each.pictures}
    assert pictures == {
        "shapes_gates_correlation.png": b"shapes/gates",
        "textures_gates_correlation.png": b"textures/gates",
    }


def test_bad_figure_folders(tmp_path):
    with pytest.raises(ValueError, match="`--figures` must be folders"):
        figure_analyses([str(tmp_path / "nowhere")])
    (tmp_path / "pruning.json").write_text(json.dumps({})[:1])
    with pytest.raises(ValueError, match=r"`--figures` must hold .*pruning\.json"):
        figure_analyses([str(tmp_path)])
