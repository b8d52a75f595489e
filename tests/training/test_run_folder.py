import json

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


def test_overwriting_leaves_folders_that_no_run_made(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine").touch()
    run_folder.create(tmp_path, overwrite=True)
    assert (tmp_path / "checkpoints" / "mine").exists()


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


def test_files_of_a_run_without_its_recipe_are_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("")
    with pytest.raises(ValueError, match=r"pass `overwrite`. Received.*holds metrics.csv"):
        run_folder.has_result(tmp_path, recipe(), overwrite=False)


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`workdir` must be a folder. Received: .*a file"):
        run_folder.has_result(tmp_path / "file", recipe(), overwrite=True)


def test_versions_can_be_written_as_json(tmp_path):
    files.write_json(tmp_path / "versions.json", run_folder.versions(seed=3))
    saved = json.loads((tmp_path / "versions.json").read_text())
    assert saved["seed"] == 3
    assert saved["backend"] == "tensorflow"
    assert saved["packages"]["keras"].startswith("3.")


def test_flatten_names_leaves_by_their_paths():
    values = {"a": {"b": 1, "c": {}}, "d": [{"e": 2}]}
    assert run_folder.flatten(values) == {"a.b": 1, "a.c": {}, "d": [{"e": 2}]}
