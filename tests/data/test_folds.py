"""Cross-validation splits: what must hold for any labels and groups."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srm_keras import data
from srm_keras.data import DatasetInfo, Examples, hold_out, k_folds


def examples(labels, groups=None):
    labels = np.asarray(labels, "int32")
    classes = int(labels.max()) + 1
    names = tuple(map(str, range(classes)))
    info = DatasetInfo("mine", "all", len(labels), classes, names, (1, 1, 1))
    images = np.zeros((len(labels), 1, 1, 1), "uint8")
    groups = None if groups is None else np.asarray(groups).astype(str)
    return Examples(images, labels, info, groups=groups)


def check_partition(folds, count):
    held_out = np.concatenate([out for _, out in folds])
    np.testing.assert_array_equal(np.sort(held_out), np.arange(count))
    for train, out in folds:
        np.testing.assert_array_equal(np.union1d(train, out), np.arange(count))
        assert len(train) + len(out) == count
        assert (np.diff(train) > 0).all()
        assert (np.diff(out) > 0).all()
        assert train.dtype == out.dtype == np.int64


@given(
    st.lists(st.integers(0, 4), min_size=8, max_size=60),
    st.integers(2, 8),
    st.integers(0, 2**32 - 1),
)
def test_every_example_is_held_out_once_and_classes_are_spread_evenly(labels, folds, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if np.bincount(labels).max() < folds:
            with pytest.raises(ValueError, match="`folds` must be at most the size"):
                k_folds(examples(labels), folds, seed=seed)
            return
        parts = k_folds(examples(labels), folds, seed=seed)
    assert len(parts) == folds
    check_partition(parts, len(labels))
    for label in set(labels):
        counts = [int((np.array(labels)[out] == label).sum()) for _, out in parts]
        assert max(counts) - min(counts) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=10, max_size=60),
    st.integers(2, 4),
    st.integers(0, 100),
)
def test_groups_are_never_on_both_sides(pairs, folds, seed):
    labels, groups = zip(*pairs, strict=True)
    known = examples(labels, groups)
    if len(set(groups)) < folds or np.bincount(labels).max() < folds:
        with pytest.raises(ValueError, match="`folds` must be at most the"):
            k_folds(known, folds, by="group", seed=seed)
        return
    parts = k_folds(known, folds, by="group", seed=seed)
    check_partition(parts, len(labels))
    for train, out in parts:
        assert not set(known.groups[train]) & set(known.groups[out])


def test_classes_stay_close_to_their_proportions_with_groups():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), rng.integers(1, 10, 200))
    labels = (groups * 7 % 10).astype("int32")
    whole = np.bincount(labels, minlength=10) / len(labels)
    for _, out in k_folds(examples(labels, groups), 5, by="group"):
        part = np.bincount(labels[out], minlength=10) / len(out)
        assert np.abs(part - whole).max() < 0.03
        assert abs(len(out) - len(labels) / 5) < 0.05 * len(labels)


@pytest.mark.parametrize("by", ["label", "group"])
def test_the_seed_alone_decides(by):
    known = examples(np.arange(60) % 3, np.arange(60) // 2)
    first, second, other = (
        [out.tolist() for _, out in k_folds(known, 4, by, seed)] for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_a_rare_class_is_named(caplog):
    k_folds(examples([0] * 10 + [1] * 2), 4)
    assert "Classes with fewer than 4 examples: 1" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 1}, "`folds` must be at least 2. Received: folds=1"),
        ({"folds": 2.0}, "`folds` must be a positive integer. Received: folds=2.0"),
        ({"folds": 13}, "`folds` must be at most the size of the largest class, 12"),
        ({"folds": 5, "by": "group"}, "`folds` must be at most the number of groups, 4"),
        ({"folds": 3, "by": "domain"}, "`by` must be one of ['label', 'group']"),
        ({"folds": 3, "seed": -1}, "`seed` must be an integer in [0, 2**32). Received: seed=-1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        k_folds(examples(np.zeros(12), np.arange(12) % 4), **arguments)


def test_a_part_that_would_be_empty_is_refused():
    sizes, labels = [1, 12, 60, 50, 1], np.array([2, 0, 2, 2, 1])
    groups = np.repeat(np.arange(5), sizes)
    with pytest.raises(ValueError, match="`folds` must be fewer: the groups are so unequal"):
        k_folds(examples(labels[groups], groups), 5, by="group")


def test_groups_are_needed_for_group_folds():
    with pytest.raises(ValueError, match="`by` must be 'label' for 'made_up', whose examples"):
        k_folds(data.load_examples("made_up", "train"), 3, by="group")


def share(parts, count):
    train, out = parts
    check_partition([(train, out), (out, train)], count)
    return len(out) / count


@given(
    st.lists(st.integers(0, 4), min_size=20, max_size=80),
    st.sampled_from([0.1, 0.25, 0.15, 0.5, 0.85, 0.9]),
    st.integers(0, 100),
)
@settings(max_examples=40)
def test_a_fraction_is_held_out_of_every_class(labels, fraction, seed):
    labels = np.concatenate([labels, np.zeros(20, "int64")])
    parts = hold_out(examples(labels), fraction, seed=seed)
    assert share(parts, len(labels)) == pytest.approx(fraction, abs=1 / len(labels))
    for label in set(labels):
        expected = fraction * (labels == label).sum()
        assert abs((labels[parts[1]] == label).sum() - expected) < 1
    np.testing.assert_array_equal(parts[1], hold_out(examples(labels), fraction, seed=seed)[1])


@pytest.mark.parametrize(
    ("fraction", "taken"), [(0.2, 1 / 5), (0.33, 1 / 3), (0.03, 1 / 33), (0.12, 2 / 17), (0.5, 0.5)]
)
def test_the_fraction_is_the_nearest_of_few_parts(fraction, taken):
    count = 33 * 85
    parts = hold_out(examples(np.zeros(count)), fraction)
    assert share(parts, count) == pytest.approx(taken, abs=20 / count)


def test_groups_stay_on_one_side_of_a_fraction():
    groups = np.arange(200) // 4
    known = examples(groups % 5, groups)
    train, out = parts = hold_out(known, 0.2, by="group", seed=3)
    assert share(parts, 200) == 0.2
    assert not set(groups[train]) & set(groups[out])
    np.testing.assert_array_equal(np.bincount(known.labels[out]), [8] * 5)
    assert out.tolist() != hold_out(known, 0.2, by="group", seed=4)[1].tolist()


def test_classes_that_are_on_one_side_alone_are_named(caplog):
    hold_out(examples([0] * 20 + [1]), 0.1)
    assert re.search("Classes without (training|held-out) examples: 1", caplog.text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fraction": 0.0}, "`fraction` must be a number in (0, 1). Received: fraction=0.0"),
        ({"fraction": 1.0}, "`fraction` must be a number in (0, 1). Received: fraction=1.0"),
        ({"fraction": 0.01}, "`fraction` must hold out some and not all of 12 examples of the la"),
        ({"fraction": 0.1, "by": "group"}, "`fraction` must hold out some and not all of 4 groups"),
        ({"fraction": 0.5, "by": "domain"}, "`by` must be one of ['label', 'group']"),
        ({"fraction": 0.5, "seed": -1}, "`seed` must be an integer in [0, 2**32)"),
    ],
)
def test_bad_fractions(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        hold_out(examples(np.zeros(12), np.arange(12) % 4), **arguments)
