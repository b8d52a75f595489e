import json
import math
import re
import shutil
from unittest import mock

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from srm_keras import data
from srm_keras.data import texture_shapes
from srm_keras.support.files import read_csv
from srm_keras.training import callbacks, default_recipe, load_run, read_metrics, train
from srm_keras.training.evaluation import predict
from srm_keras.training.reports import save_run_as_preset
from srm_keras.training.run_folder import FILES, FOLDERS
from tests.support.strict_json import strictly
from tests.support.tiny_training import LOOP, train_tiny

OPTIONS = {"size": 16, "train_examples": 48, "test_examples": 40}


def tiny_recipe(**changes):
    recipe = default_recipe()
    recipe.recalibration = "srm"
    recipe.data.options = OPTIONS
    recipe.data.eval_splits = ("test", "test_unseen_style")
    recipe.data.preprocessing = {"image_size": 16, "pad": 2}
    recipe.model.options = {"depth": 8, "block": "basic"}
    recipe.update(steps=6, eval_every=2, batch_size=16, eval_batch_size=16)
    recipe.learning_rate.milestones = (3, 5)
    recipe.update(changes)
    return recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "srm"
    train_tiny(tiny_recipe(), folder)
    return folder


def accuracy(run, split):
    """Top-1 accuracy, counted image by image, from what the run folder says."""
    examples, _ = data.load("texture_shapes", split, **OPTIONS)
    images, labels = zip(*examples.as_numpy_iterator(), strict=True)
    inputs = run.preprocessing.evaluation(np.stack(images))
    return np.mean(keras.ops.convert_to_numpy(run.model(inputs)).argmax(axis=-1) == labels)


def test_every_file_is_there_and_no_other(folder):
    assert sorted(file.name for file in folder.iterdir()) == sorted((*FILES, *FOLDERS))
    for picture in ("curves.png", "gates.png", "gates_over_training.png"):
        Image.open(folder / picture).verify()


def test_the_report_needs_no_other_file_and_holds_the_final_numbers(folder):
    page = (folder / "report.html").read_text()
    result = json.loads((folder / "result.json").read_text())
    assert page.count("data:image/png;base64,") == 4 + page.count("<figcaption>")
    assert 'src="http' not in page
    assert "href" not in page
    for name in ("best", "last"):
        for score in result[name]["splits"].values():
            assert f"{score['accuracy']:.4f}" in page
    results, _, recipe = page.partition("<details>")
    assert "data.preprocessing.pad" in recipe
    assert "data.preprocessing.pad" not in results


def test_the_report_shows_examples_of_right_and_of_wrong_predictions(folder):
    rows = read_csv(folder / "predictions.csv")
    right = sum(row["label"] == row["predicted"] for row in rows)
    page = (folder / "report.html").read_text()
    for name, count in (("Right", right), ("Wrong", len(rows) - right)):
        assert (f"{name}: {count} of {len(rows)}" in page) == (count > 0)
        assert page.count(f'class="{name.lower()}"') == min(6, count)
    captions = re.findall(r"true: ([a-z]+)(.*?)<br>.*?predicted: ([a-z]+) \((\d+)&nbsp;%", page)
    assert len(captions) == page.count("<figcaption>")
    names = json.loads((folder / "classes.json").read_text())
    for label, probability, predicted, _ in captions:
        assert {label, predicted} <= set(names)
        assert (label == predicted) == (probability == "")


def test_events_are_the_rows(folder):
    accumulator = event_accumulator.EventAccumulator(str(folder / "events")).Reload()
    rows = read_metrics(folder / "metrics.csv")
    tags = {"val_accuracy": "accuracy/validation", "lr": "learning_rate"}
    tags["val_top5_accuracy"] = "top5_accuracy/validation"
    for name, tag in tags.items():
        events = accumulator.Tensors(tag)
        assert [event.step for event in events] == [row["step"] for row in rows]
        values = [float(tensor_util.make_ndarray(event.tensor_proto)) for event in events]
        assert values == pytest.approx([row[name] for row in rows])


def test_metrics_follow_the_recipe(folder):
    rows = read_metrics(folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["step"] for row in rows] == [2, 4, 6]
    # Updates 0-2 use 0.1, 3-4 use 0.01, 5 uses 0.001; the row holds the last update's rate.
    assert [row["lr"] for row in rows] == pytest.approx([0.1, 0.01, 0.001])
    assert all(math.isfinite(value) for row in rows for value in row.values())
    timing = read_metrics(folder / "timing.csv")
    assert [row["step"] for row in timing] == [2, 4, 6]
    seconds = [row["seconds"] for row in timing]
    assert seconds == sorted(seconds)
    rate = 32 / (seconds[1] - seconds[0])
    assert timing[1]["images_per_second"] == pytest.approx(rate, rel=0.1)


def test_checkpoints_have_the_accuracy_that_metrics_csv_says(folder):
    accuracies = [row["val_accuracy"] for row in read_metrics(folder / "metrics.csv")]
    best, last = (accuracy(load_run(folder, name), "test") for name in ("best", "last"))
    assert best == pytest.approx(max(accuracies), abs=1e-6)
    assert last == pytest.approx(accuracies[-1], abs=1e-6)


def test_result_holds_every_split(folder):
    result = json.loads((folder / "result.json").read_text())
    for name in ("best", "last"):
        run = load_run(folder, name)
        for split in ("test", "test_unseen_style"):
            saved = result[name]["splits"][split]["accuracy"]
            assert saved == pytest.approx(accuracy(run, split), abs=1e-6)
        rows = read_metrics(folder / "metrics.csv")
        (row,) = [row for row in rows if row["step"] == result[name]["step"]]
        scores = result[name]["splits"]["test"]
        for measure in ("accuracy", "top5_accuracy"):
            assert row[f"val_{measure}"] == pytest.approx(scores[measure], abs=1e-6)
        assert list(scores["classes"]) == list(run.classes)
        assert sum(one["examples"] for one in scores["classes"].values()) == 40
    trainable = sum(math.prod(v.shape) for v in load_run(folder).model.trainable_variables)
    assert result["parameters"]["trainable"] == trainable


def test_confusions_are_counts_of_what_was_predicted(folder):
    """One a split; that of the validation split by the predictions, image by image."""
    names = json.loads((folder / "classes.json").read_text())
    result = json.loads((folder / "result.json").read_text())["last"]["splits"]
    for split in ("test", "test_unseen_style"):
        Image.open(folder / "confusion" / f"{split}.png").verify()
        rows = read_csv(folder / "confusion" / f"{split}.csv")
        assert [row.pop("true / predicted") for row in rows] == names
        right = sum(int(row[name]) for row, name in zip(rows, names, strict=True))
        assert right / 40 == pytest.approx(result[split]["accuracy"])
        if split == "test":
            pairs = [
                (row["label"], row["predicted"]) for row in read_csv(folder / "predictions.csv")
            ]
            for label, row in enumerate(rows):
                counted = [pairs.count((str(label), str(other))) for other in range(10)]
                assert list(map(int, row.values())) == counted


def test_load_run_gives_the_recipe_and_the_classes_back(folder):
    run = load_run(folder)
    assert run.recipe.recalibration == "srm"
    assert run.recipe.steps == 6
    assert run.classes == data.load("texture_shapes", "test", **OPTIONS)[1].class_names
    assert run.preprocessing == data.Preprocessing(image_size=16, pad=2)


def test_overwriting_repeats_the_run_and_tells_of_every_step_that_takes_long(
    folder, monkeypatch, capsys
):
    monkeypatch.setattr(callbacks.Progress, "SECONDS", 0.0)
    first = (folder / "metrics.csv").read_bytes()
    train_tiny(tiny_recipe(), folder, overwrite=True)
    assert (folder / "metrics.csv").read_bytes() == first
    told = [line.split(": loss ")[0] for line in capsys.readouterr().err.splitlines()]
    # The last update of an epoch is told by the line of its evaluation.
    assert [line for line in told if line.startswith("step")] == [
        f"step {step} of 6" for step in (1, 3, 5)
    ]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The folder of a short run in float16, and what it returned: a split has a loss of NaN."""

    def with_nan(path, inputs):
        found = predict(path, inputs)
        found["test_unseen_style"].losses[3] = math.nan
        return found

    folder = tmp_path_factory.mktemp("mixed")
    with mock.patch.object(LOOP, "predict", with_nan):
        return folder, train_tiny(mixed_recipe().to_dict(), folder)


def mixed_recipe():
    recipe = tiny_recipe(dtype_policy="mixed_float16", steps=2)
    recipe.learning_rate.milestones = ()
    return recipe


def test_mixed_precision(mixed):
    folder, _ = mixed
    assert keras.config.dtype_policy().name == "float32"
    assert load_run(folder).model.layers[1].compute_dtype == "float16"
    assert math.isfinite(read_metrics(folder / "metrics.csv")[0]["loss"])


def test_a_loss_that_is_no_number_is_null_and_a_dash(mixed, tmp_path):
    """On the validation split training stops at it."""
    folder, result = mixed
    again = train(mixed_recipe(), folder)
    assert again == result == strictly((folder / "result.json").read_text())
    scores = result["last"]["splits"]["test_unseen_style"]
    assert scores["loss"] is None
    row = f"<td>{scores['top5_accuracy']:.4f}</td><td>–</td>"
    assert row in (folder / "report.html").read_text()
    card = save_run_as_preset(folder, tmp_path / "preset").card
    assert card["metrics"]["test_unseen_style"].keys() == {"accuracy", "top5_accuracy"}


WRONG = [
    ({"recalibration": "smr"}, "`recalibration` must be one of .*'smr' .did you mean 'srm'"),
    ({"recalibration": {"name": "se", "reductoin": 8}}, "no option 'reductoin'"),
    ({"model.name": "resnet51"}, "In `model`: `name` must be one of"),
    ({"model.options": {"depth": 9}}, "In `model`: `depth` must be 6n"),
    ({"model.options": {"dept": 8}}, "In `model`: .*no argument 'dept'.*did you mean 'depth'"),
    ({"model.options": {"depth": 8, "block": "basc"}}, "`block` must be .*did you mean 'basic'"),
    ({"model.options": {"depth": 8, "stride_in": "2x2"}}, "`stride_in` must be one of"),
    ({"model.options": {"classes": 8}}, "In `model`: .*classes"),
    ({"model.name": "resnet50", "model.options": {}}, "sides of at least 32 pixels"),
    ({"recalibration": [None, "srm"]}, "`recalibration` must have one entry a stage, 3"),
    ({"recalibration": [None, "srm", "sr"]}, "'sr' .did you mean 'srm'"),
    ({"recalibration": {"name": "srm", "pooling": ["avgg"]}}, "avgg"),
    ({"data.name": "imagenet21k"}, "In `data`: `name` must be one of"),
    ({"data.options": {"sise": 16}}, "In `data`: .*no option 'sise'"),
    ({"data.options": {"label": "shap"}}, "`label` must be .*did you mean 'shape'"),
    ({"data.name": "image_folder", "data.options": {}}, "needs the option `data_dir`.*Give it by"),
    (
        {"data.name": "npz", "data.options": {"path": None}, "data.eval_splits": ("test",)},
        "--config.data.options.path=…",
    ),
    ({"data.train_split": "trian"}, "In `data`: `split` must be .*did you mean 'train'"),
    ({"data.eval_splits": ("test", "tset")}, "In `data`: `split` must be .*did you mean 'test'"),
    ({"eval_every": 4}, "`eval_every` must divide steps=6"),
    ({"learning_rate.schedule": "cosin"}, "`learning_rate.schedule` must be one of"),
    ({"learning_rate.multipliers": {"hed": 0.1}}, "parts of the network.*did you mean 'head'"),
    ({"dtype_policy": "float16"}, "`dtype_policy` must be one of"),
    ({"init": "no_such_run"}, "`init` 'no_such_run' of '.*resnet8.*' cannot be had: looked for in"),
    ({"data.augmentation": {"mixupp": 1}}, "no attribute 'mixupp'.*did you mean 'mixup'"),
    ({"data.preprocessing": {"size": 16}}, "In `data.preprocessing`: .*'size'"),
    ({"data.preprocessing": {}}, "In `data.preprocessing`: `image_size` is required"),
    ({"data.augmentation": {"mixup": -1}}, "In `data.augmentation`: `mixup` must be"),
    ({"data.folds": 3, "data.fold_by": "goup"}, "`data.fold_by` must be one of"),
    ({"strategy": "tpu"}, "TPU"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[str(changes) for changes, _ in WRONG])
def test_wrong_recipes_fail_before_anything_is_drawn_or_written(
    tmp_path, changes, message, monkeypatch
):
    def drawn(*arguments):
        raise AssertionError("images were drawn")

    monkeypatch.setattr(texture_shapes.source, "_draw", drawn)
    recipe = tiny_recipe()
    for path, value in changes.items():
        group, _, leaf = path.rpartition(".")
        holder = recipe[group] if group else recipe
        with recipe.ignore_type():
            holder[leaf] = value
    with pytest.raises(ValueError, match=message) as error:
        train(recipe, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_batch_of_more_than_all_examples_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="at most the number of training examples, 48"):
        train(tiny_recipe(batch_size=49), tmp_path / "run")
    with pytest.raises(ValueError, match=r"examples, 48, times data.repeats=2. .* batch_size=98"):
        train(tiny_recipe(batch_size=98, data={"repeats": 2}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_load_run_refuses_what_is_no_run(folder, tmp_path):
    with pytest.raises(ValueError, match=r"must be a run folder.*which lacks best.keras, recipe"):
        load_run(tmp_path)
    with pytest.raises(ValueError, match=r"`checkpoint` must be 'best' or 'last'"):
        load_run(folder, "final")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "recipe.json",
            b"[]",
            r"recipe\.json' must hold a recipe, which is an object. Received: \[",
        ),
        ("recipe.json", b"{}", "must be a run of `train`"),
        ("recipe.json", b'{"method": "adain", "model": {}}', "must be a run of .*method, model"),
        ("recipe.json", b'{"data": 3, "model": {}}', "whose recipe names data and a model"),
        ("recipe.json", b"{", r"recipe\.json' cannot be read"),
        ("recipe.json", b"\xff\xfe", r"recipe\.json' cannot be read"),
        ("preprocessing.json", b"[]", r"preprocessing\.json' must hold an object"),
        ("preprocessing.json", b'{"sise": 3}', r"preprocessing\.json`: .*did you mean"),
        ("classes.json", b"{}", r"classes\.json' must hold a list of names"),
        ("best.keras", b"", r"best\.keras"),
        ("best.keras", b"PK\x03\x04 cut off", r"best\.keras"),
    ],
)
def test_load_run_names_the_damaged_file(folder, tmp_path, file, content, message):
    shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    (tmp_path / "run" / file).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        load_run(tmp_path / "run")
    assert "\n" not in str(error.value)
    assert "File not found" not in str(error.value)
