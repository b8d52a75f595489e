import importlib.metadata
import json

import numpy as np
import pytest

from srm_keras.support import files, timing
from srm_keras.training import default_recipe, run_folder, stylization
from srm_keras.training.checkpoint import Identity
from srm_keras.training.recipe import FIELDS
from srm_keras.training.session import finished_result
from srm_keras.training.stylization.recipe import FIELDS as STYLIZATION_FIELDS


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


def test_a_recipe_of_before_there_was_a_field_has_its_default(tmp_path):
    make_run(tmp_path, "result.json")
    written = recipe()
    del written["model"]["neutral"]
    files.write_json(tmp_path / "recipe.json", written)
    assert run_folder.has_result(tmp_path, recipe(), overwrite=False)
    changed = default_recipe()
    changed.model.neutral = True
    with pytest.raises(ValueError, match=r"model.neutral=None instead of True"):
        run_folder.has_result(tmp_path, changed.to_dict(), overwrite=False)


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


def test_versions_keep_what_the_run_began_with_and_every_time_it_went_on(tmp_path, monkeypatch):
    run_folder.describe(tmp_path, recipe(seed=3), step=4)  # of a folder without any
    run_folder.describe(tmp_path, recipe(seed=3), step=0)
    monkeypatch.setattr(timing.platform, "python_version", lambda: "9.9")
    for step in (6, 8):
        run_folder.describe(tmp_path, recipe(seed=3), step)
    saved = json.loads((tmp_path / "versions.json").read_text())
    assert [entry["step"] for entry in saved] == [0, 6, 8]
    assert [entry["seed"] for entry in saved] == [3, 3, 3]
    assert saved[0]["backend"] == "tensorflow"
    assert saved[0]["packages"]["keras"].startswith("3.")
    assert saved[0]["packages"]["scikit-learn"] == importlib.metadata.version("scikit-learn")
    told = run_folder.told_versions(tmp_path)
    assert told["packages.keras"] == saved[0]["packages"]["keras"]
    assert "python 9.9" in told["gone on from step 6"]
    assert "python" not in told["gone on from step 8"]


@pytest.mark.parametrize(
    ("content", "earlier"),
    [('{"seed": 1, "python": "3.9"}', [{"seed": 1, "python": "3.9"}]), ("{", [])],
)
def test_versions_of_an_early_package_are_the_first_entry(content, earlier, tmp_path):
    (tmp_path / "versions.json").write_text(content)
    assert run_folder.read_versions(tmp_path) == earlier
    run_folder.told_versions(tmp_path)
    run_folder.describe(tmp_path, recipe(), step=6)
    assert run_folder.read_versions(tmp_path)[:-1] == earlier


def test_where_the_data_lie_is_left_to_the_checkpoint(tmp_path):
    """Which knows whether they are the same; a run without one is of another recipe."""
    here, there = recipe(), recipe()
    here["data"]["options"], there["data"]["options"] = ({"data_dir": name} for name in "ab")
    files.write_json(tmp_path / "recipe.json", here)
    assert not run_folder.has_result(tmp_path, there, overwrite=False)  # killed early: begins anew
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ValueError, match=r"another recipe.*data_dir='a' instead of 'b'"):
        run_folder.has_result(tmp_path, there, overwrite=False)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step_000000004.npz").touch()
    assert not run_folder.has_result(tmp_path, there, overwrite=False)
    assert run_folder.has_result(tmp_path, here, overwrite=False)
    default = {**here, "data": {**here["data"], "options": {}}}  # where the source looks by itself
    assert not run_folder.has_result(tmp_path, default, overwrite=False)
    with pytest.raises(ValueError, match="seed=0 instead of 1"):
        run_folder.has_result(tmp_path, {**there, "seed": 1}, overwrite=False)


MAY_CHANGE = {
    *("eval_batch_size", "checkpoint_every", "keep_checkpoints", "trackers"),
    *("data.cache", "content.cache"),
    *(f"{g}.options.{o}" for g in ("data", "content", "style") for o in ("data_dir", "verify")),
    *("data.options.path", "data.options.imagenet_dir", "data.options.on_error", "style.image"),
}
OPTIONS = {f"{group}.options.seed" for group in ("data", "content", "style")}
OPTIONS |= {"model.options.path", "data.augmentation.data_dir"}
KINDS = {"classifier": (FIELDS, default_recipe), "stylizer": (STYLIZATION_FIELDS, None)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_with_other_fields_where_they_change_no_result_and_nowhere_else(
    kind, tmp_path
):
    """Every field there is, and options of the data: by the folder, and by a checkpoint."""
    fields, make = KINDS[kind]
    whole = (make or stylization.default_recipe)().to_dict()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step_000000004.npz").touch()
    files.write_json(tmp_path / "recipe.json", whole)
    saved = Identity({"recipe": run_folder.flatten(files.as_json(whole))}, {}, tmp_path).value
    for path in fields.keys() | MAY_CHANGE | OPTIONS:
        *groups, leaf = path.split(".")
        if groups and groups[0] not in whole:
            continue
        other = files.as_json(whole)
        holder = other
        for group in groups:
            holder = holder[group]
        holder[leaf] = {"another": 1} if holder.get(leaf) == {} else "another"
        flat = run_folder.flatten(other)
        told = Identity({"recipe": flat}, {}, tmp_path).difference(saved)
        if path in MAY_CHANGE:
            assert not run_folder.has_result(tmp_path, other, False), path
            assert told == "", path
        else:
            assert told == "its recipe differ", path
            with pytest.raises(ValueError, match=rf"another recipe.*with {path}"):
                run_folder.has_result(tmp_path, other, False)


def test_a_finished_run_stays_finished_with_fields_that_change_no_result(tmp_path, capsys):
    """And `recipe.json` holds the new ones."""
    made = default_recipe()
    files.write_json(tmp_path / "recipe.json", made.to_dict())
    (tmp_path / "result.json").write_text('{"seconds": 1}')
    made.update(keep_checkpoints=7, eval_batch_size=3, checkpoint_every=5)
    made.data.cache = True
    assert finished_result(made, tmp_path, overwrite=False) == {"seconds": 1}
    assert "nothing to do" in capsys.readouterr().err
    assert files.read_json(tmp_path / "recipe.json") == files.as_json(made.to_dict())
    assert finished_result(made, tmp_path, overwrite=True) is None
    made.seed = 1
    with pytest.raises(ValueError, match="seed=0 instead of 1"):
        finished_result(made, tmp_path, overwrite=False)
    assert files.read_json(tmp_path / "recipe.json")["seed"] == 0


def test_flatten_names_leaves_by_their_paths():
    values = {"a": {"b": 1, "c": {}}, "d": [{"e": 2}]}
    assert run_folder.flatten(values) == {"a.b": 1, "a.c": {}, "d": [{"e": 2}]}
