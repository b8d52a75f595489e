import dataclasses
import weakref
from typing import ClassVar

import keras
import numpy as np
import pytest
from ml_collections import ConfigDict

from srm_keras import data
from srm_keras.cli import gates, networks, prune, samples
from srm_keras.cli.samples import (
    SampleBatches,
    evaluation_samples,
    pixels,
    representative_inputs,
)
from srm_keras.training import Run, default_recipe
from tests.support.command_lines import command
from tests.support.gated_network import gated_network

EXAMPLES = 60


@pytest.fixture(scope="module")
def run():
    recipe = default_recipe()
    recipe.data.options = ConfigDict({"test_examples": EXAMPLES, "train_examples": 10})
    recipe.data.eval_splits = ("test", "cue_conflict")
    preprocessing = data.Preprocessing(image_size=24, mean=(0.4,), std=(0.2,))
    fields = {"model": None, "recipe": recipe, "preprocessing": preprocessing, "classes": ()}
    return Run(**{field.name: fields[field.name] for field in dataclasses.fields(Run)})


def test_samples_come_from_all_over_the_first_evaluation_split(run):
    samples = evaluation_samples(run, 20)
    dataset, _ = data.load("texture_shapes", "test", **run.recipe.data.options)
    everything = list(dataset.as_numpy_iterator())
    assert samples.split == "test"
    for image, label, (expected, expected_label) in zip(
        samples.images, samples.labels, everything[::3], strict=True
    ):
        np.testing.assert_array_equal(image, expected)
        assert label == expected_label


def test_inputs_are_what_evaluation_feeds_the_network(run):
    samples = evaluation_samples(run, EXAMPLES)
    dataset, _ = data.load("texture_shapes", "test", **run.recipe.data.options)
    batches = data.batches(dataset, run.preprocessing, EXAMPLES, training=False)
    inputs, labels = next(iter(batches))
    np.testing.assert_array_equal(samples.inputs, inputs)
    np.testing.assert_array_equal(samples.labels, labels)


def test_there_may_be_fewer_examples_than_asked_for(run):
    assert len(evaluation_samples(run, 1000).images) == EXAMPLES


def test_of_a_fold_the_samples_are_the_held_out_ones(run):
    recipe = run.recipe.copy_and_resolve_references()
    recipe.data.options.train_examples = 40
    recipe.data.folds, recipe.data.fold, recipe.data.fold_by = 2, 1, "group"
    examples = data.load_examples("texture_shapes", "train", **recipe.data.options)
    _, held_out = data.k_folds(examples, 2, "group")[1]
    samples = evaluation_samples(dataclasses.replace(run, recipe=recipe), 1000)
    assert samples.split == "held_out"
    np.testing.assert_array_equal(np.stack(samples.images), examples.images[held_out])


def test_representative_images_are_training_images_prepared_for_evaluation(run):
    expected = data.load_examples("texture_shapes", "train", **run.recipe.data.options)
    inputs = representative_inputs(run, 5)
    for prepared, image in zip(inputs, expected.images[::2], strict=True):
        np.testing.assert_array_equal(prepared, run.preprocessing.evaluation(image))


def test_of_a_fold_the_representative_images_are_not_the_held_out_ones(run):
    recipe = run.recipe.copy_and_resolve_references()
    recipe.data.folds, recipe.data.fold, recipe.data.fold_by = 2, 1, "group"
    examples = data.load_examples("texture_shapes", "train", **recipe.data.options)
    trained_on, _ = data.k_folds(examples, 2, "group")[1]
    inputs = representative_inputs(dataclasses.replace(run, recipe=recipe), 1000)
    expected = [run.preprocessing.evaluation(examples.images[k]) for k in trained_on]
    np.testing.assert_array_equal(inputs, np.stack(expected))


def test_batches_are_the_samples_however_they_are_divided(run):
    samples, batches = evaluation_samples(run, 20), SampleBatches(run, 20, 8)
    inputs, labels = zip(*batches, strict=True)
    assert [len(part) for part in labels] == [8, 8, 4]
    np.testing.assert_array_equal(np.concatenate(inputs), samples.inputs)
    np.testing.assert_array_equal(np.concatenate(labels), samples.labels)
    again = [part for part, _ in batches.told("read again")]
    np.testing.assert_array_equal(np.concatenate(again), samples.inputs)
    shown = pixels(run.preprocessing, samples.inputs)
    assert len(batches.shown) == 20
    np.testing.assert_array_equal(np.stack(list(batches.shown)), shown)
    assert len(SampleBatches(run, None, 8).positions) == EXAMPLES


class Alive(SampleBatches):
    """Batches of which, when another is read, at most the one before it may still be there."""

    arrays: ClassVar[list[weakref.ref]] = []
    reads = 0

    def read(self, positions):
        assert sum(array() is not None for array in self.arrays) <= 1
        inputs, labels = super().read(positions)
        type(self).reads += len(labels)
        self.arrays.append(weakref.ref(inputs))
        return inputs, labels


def classifier(module):
    base = gated_network(module, size=24)
    scores = keras.layers.Dense(10, "softmax")(base.output)
    return keras.Model(base.input, scores)


@pytest.mark.parametrize(
    ("name", "flags", "reads"),
    [
        ("gates", (), EXAMPLES),  # both networks in one pass
        ("top_activations", ("--channels=2", "--top=1", "--batch_size=8"), 2 * EXAMPLES),
        ("prune", ("--ratios=0,1", "--nocontrol", "--batch_size=8"), 2 * EXAMPLES),
    ],
)
def test_commands_keep_no_more_than_a_batch(name, flags, reads, run, monkeypatch, tmp_path):
    classes = tuple("abcdefghij")
    runs = {
        module: dataclasses.replace(run, model=classifier(module), classes=classes)
        for module in ("se", "srm")
    }
    monkeypatch.setattr(networks, "analysed_runs", lambda *args, **options: runs)
    for module in (samples, prune):
        monkeypatch.setattr(module, "SampleBatches", Alive)
    monkeypatch.setattr(gates, "BATCH", 8)
    monkeypatch.setattr(Alive, "reads", 0)
    monkeypatch.setattr(Alive, "arrays", [])
    done = command(name, "--models=any", f"--out={tmp_path}", *flags)
    assert done.returncode == 0, done.stderr
    # The sheets of two networks show two channels each: an image a channel, and some for the size.
    assert reads <= Alive.reads <= reads + (12 if name == "top_activations" else 0)
