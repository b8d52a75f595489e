import importlib.metadata
import json

import numpy as np
import pytest

from srm_keras import files
from srm_keras.training import default_recipe, run_folder


def recipe(**changes):
    made = default_recipe()
    made.update(changes)
    return made.to_dict()


def make_run(folder, *names):
    files.write_json(folder / "recipe.json", recipe())
    for name in names:
        (folder / name).write_text("{}")


def test_overwriting_removes_the_run_and_leaves_other_files(tmp_path):
    make_run(tmp_path, "result.json")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert not run_folder.has_result(tmp_path, recipe(seed=1), overwrite=True)
    run_folder.create(tmp_path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("with_recipe", [True, False])
def test_overwriting_removes_stale_checkpoints_and_leaves_what_no_run_made(with_recipe, tmp_path):
    """Without recipe.json they stayed, and the new run went on from another one's weights."""
    if with_recipe:
        make_run(tmp_path)
    stale = ("checkpoints/step_000000004.npz", "samples/step_000000002.png", "metrics.csv")
    stale += ("events/events.out.tfevents.1.host", "events/gates/events.out.tfevents.2.host")
    mine = {"checkpoints/mine", "checkpoints/deep/step_000000004.npz", "notes.txt"}
    for name in (*stale, *mine):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    run_folder.create(tmp_path, overwrite=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == mine | {"checkpoints", "checkpoints/deep"}


def test_a_run_of_the_same_recipe_is_unfinished_or_has_a_result(tmp_path):
    assert not run_folder.has_result(tmp_path, recipe(), overwrite=False)
    make_run(tmp_path, "metrics.csv")
    assert not run_folder.has_result(tmp_path, recipe(), overwrite=False)
    make_run(tmp_path, "result.json")
    assert run_folder.has_result(tmp_path, recipe(), overwrite=False)


def test_a_run_of_another_recipe_is_refused_and_left_alone(tmp_path):
    make_run(tmp_path)
    with pytest.raises(ValueError, match=r"another recipe.*seed=0 instead of 7"):
        run_folder.has_result(tmp_path, recipe(seed=7), overwrite=False)
    nested = default_recipe()
    nested.data.options = {"label": "texture"}
    with pytest.raises(ValueError, match=r"data.options"):
        run_folder.has_result(tmp_path, nested.to_dict(), overwrite=False)
    assert (tmp_path / "recipe.json").exists()


@pytest.mark.parametrize(
    "recalibration",
    [
        [None, {"name": "srm", "pooling": ("avg",)}, None],
        ({"name": "srm", "pooling": ("avg", "std")}, ("se", "srm"), None),
    ],
)
def test_a_recipe_is_compared_as_json_holds_it(recalibration, tmp_path):
    """Tuples inside of mappings were lists in recipe.json: never resumed, never found finished."""
    options = {"data_dir": tmp_path, "size": np.int64(8), "fraction": np.float32(0.5), 1: (2,)}
    mine = recipe(recalibration=recalibration)
    mine["data"]["options"] = options
    files.write_json(tmp_path / "recipe.json", mine)
    assert not run_folder.has_result(tmp_path, mine, overwrite=False)
    (tmp_path / "result.json").write_text("{}")
    assert run_folder.has_result(tmp_path, mine, overwrite=False)
    with pytest.raises(ValueError, match=r"another recipe.*size=8 instead of 9"):
        run_folder.has_result(
            tmp_path, {**mine, "data": {**mine["data"], "options": {**options, "size": 9}}}, False
        )


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\xff"])
def test_a_damaged_recipe_is_named(content, tmp_path):
    (tmp_path / "recipe.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"a whole recipe.json; .*`overwrite`. Received: workdir="):
        run_folder.has_result(tmp_path, recipe(), overwrite=False)


def test_files_of_a_run_without_its_recipe_are_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("")
    with pytest.raises(ValueError, match=r"pass `overwrite`. Received.*holds metrics.csv"):
        run_folder.has_result(tmp_path, recipe(), overwrite=False)


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`workdir` must be a folder. Received: .*a file"):
        run_folder.has_result(tmp_path / "file", recipe(), overwrite=True)


def test_what_a_kill_left_half_written_is_removed_at_the_next_start(tmp_path):
    gone = (".last.17.keras", ".best.17.keras", ".curves.9.png", ".gates_over_training.3.csv")
    gone += (".recipe.4.json", "checkpoints/.step_000000006.99999.npz")
    gone += ("samples/.step_000000002.1.png",)
    kept = ("checkpoints/step_000000006.npz", ".mine.1.png", ".gitignore")
    for name in (*gone, *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with run_folder.held(tmp_path):
        pass
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == set(kept)


def test_versions_can_be_written_as_json(tmp_path):
    files.write_json(tmp_path / "versions.json", run_folder.versions(seed=3))
    saved = json.loads((tmp_path / "versions.json").read_text())
    assert saved["seed"] == 3
    assert saved["backend"] == "tensorflow"
    assert saved["packages"]["keras"].startswith("3.")
    assert saved["packages"]["scikit-learn"] == importlib.metadata.version("scikit-learn")


def test_flatten_names_leaves_by_their_paths():
    values = {"a": {"b": 1, "c": {}}, "d": [{"e": 2}]}
    assert run_folder.flatten(values) == {"a.b": 1, "a.c": {}, "d": [{"e": 2}]}
