import json

import pytest

from srm_keras import files
from srm_keras.training import run_folder


def test_overwriting_removes_the_run_and_leaves_other_files(tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    run_folder.create(tmp_path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_holds_a_run_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("")
    with pytest.raises(ValueError, match=r"pass `overwrite`. Received.*holds metrics.csv"):
        run_folder.create(tmp_path, overwrite=False)
    assert (tmp_path / "metrics.csv").exists()


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`workdir` must be a folder. Received: .*a file"):
        run_folder.check_free(tmp_path / "file", overwrite=True)


def test_versions_can_be_written_as_json(tmp_path):
    files.write_json(tmp_path / "versions.json", run_folder.versions(seed=3))
    saved = json.loads((tmp_path / "versions.json").read_text())
    assert saved["seed"] == 3
    assert set(saved["packages"]) >= {"srm-keras", "keras", "tensorflow", "numpy"}
