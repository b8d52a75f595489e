import itertools

import numpy as np
import pytest

from srm_keras.training import statistics
from srm_keras.training.statistics import HeldOut, paired_difference


def held_out(right, groups=None, fold=0):
    right = np.array(right, bool)
    groups = np.arange(len(right)) if groups is None else np.array(groups)
    return HeldOut(right, groups, fold)


def test_the_mean_is_the_difference_of_the_pooled_accuracies():
    ours = [held_out([1, 1, 0, 1]), held_out([1, 0], fold=1)]
    theirs = [held_out([1, 0, 0, 0]), held_out([1, 1], fold=1)]
    difference = paired_difference(ours, theirs)
    assert difference.mean == pytest.approx((4 - 3) / 6)
    assert (difference.examples, difference.level) == (6, 0.95)


def test_equal_classifiers_have_no_difference_and_no_interval():
    runs = [held_out([1, 0, 1]), held_out([0, 1], fold=1)]
    difference = paired_difference(runs, runs)
    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)


def test_a_run_that_is_repeated_makes_no_interval_narrower():
    """Seeds of a fold are of the same examples: copies of a run hold nothing new."""
    random = np.random.default_rng(0)
    ours, theirs = (held_out(random.random(200) < accuracy) for accuracy in (0.62, 0.55))
    once = paired_difference([ours], [theirs])
    spread = np.std(ours.right.astype(float) - theirs.right)
    assert once.high - once.low == pytest.approx(2 * 1.96 * spread / np.sqrt(200), rel=0.05)
    for copies in (3, 10, 100):
        again = paired_difference([ours] * copies, [theirs] * copies)
        assert again.examples == 200
        assert again.mean == pytest.approx(once.mean)
        assert again.low == pytest.approx(once.low, abs=0.005)
        assert again.high == pytest.approx(once.high, abs=0.005)


def test_seeds_are_nested_in_their_fold_and_see_the_same_examples():
    """In brute force: every draw of folds, and in each of its groups (once) and of its seeds."""
    right = [[[1, 1, 0, 0], [0, 0, 0, 1]], [[1, 0, 1, 0], [0, 0, 1, 1]]]  # fold: seed × example
    ours = [held_out(seed, list("aabb"), fold) for fold in (0, 1) for seed in right[fold]]
    theirs = [held_out([0] * 4, list("aabb"), fold) for fold in (0, 0, 1, 1)]
    gains = np.array(right).reshape(2, 2, 2, 2).sum(axis=-1)  # fold × seed × group
    of_folds = [
        [
            fold[np.ix_(seeds, groups)].sum(axis=1).mean()
            for seeds in itertools.product((0, 1), repeat=2)
            for groups in itertools.product((0, 1), repeat=2)
        ]
        for fold in gains
    ]
    resampled = [
        (one + two) / 8
        for drawn in itertools.product((0, 1), repeat=2)
        for one, two in itertools.product(*(of_folds[fold] for fold in drawn))
    ]
    difference = paired_difference(ours, theirs)
    assert difference.examples == 8
    assert difference.mean == pytest.approx(np.sum(right) / 2 / 8)
    assert difference.low == pytest.approx(np.quantile(resampled, 0.025), abs=0.07)
    assert difference.high == pytest.approx(np.quantile(resampled, 0.975), abs=0.07)


def test_one_run_has_the_interval_of_all_resamples_that_there_are():
    gains = np.array([1, 0, -1, 1])
    difference = paired_difference([held_out(gains == 1)], [held_out(gains == -1)])
    means = [np.mean(draw) for draw in itertools.product(gains, repeat=4)]
    assert difference.low == pytest.approx(np.quantile(means, 0.025), abs=0.26)
    assert difference.high == pytest.approx(np.quantile(means, 0.975), abs=0.26)
    assert difference.low in np.unique(means)


def test_folds_are_drawn_and_so_are_groups_within_them():
    """Both levels in brute force: every draw of folds, and of groups within each."""
    gains = [{"a": 2, "b": -1}, {"a": 0, "b": 1}]
    groups = ["a", "a", "b"]
    ours = [held_out([1, 1, 0], groups, 0), held_out([0, 0, 1], groups, 1)]
    theirs = [held_out([0, 0, 1], groups, 0), held_out([0, 0, 0], groups, 1)]
    sizes = {"a": 2, "b": 1}
    resampled = []
    for runs in itertools.product((0, 1), repeat=2):
        for draws in itertools.product(itertools.product("ab", repeat=2), repeat=2):
            pairs = [(r, g) for r, draw in zip(runs, draws, strict=True) for g in draw]
            gain = sum(gains[r][g] for r, g in pairs)
            resampled.append(gain / sum(sizes[g] for _, g in pairs))
    difference = paired_difference(ours, theirs)
    assert difference.mean == pytest.approx(2 / 6)
    assert difference.low == pytest.approx(np.quantile(resampled, 0.025), abs=0.1)
    assert difference.high == pytest.approx(np.quantile(resampled, 0.975), abs=0.1)


def test_grouped_examples_give_a_wider_interval_than_independent_ones():
    rng = np.random.default_rng(0)
    better = np.repeat(rng.random(20) < 0.6, 10)
    nothing = np.zeros(200, bool)
    groups = np.repeat(np.arange(20), 10)
    alone = paired_difference([held_out(better)], [held_out(nothing)])
    together = paired_difference([held_out(better, groups)], [held_out(nothing, groups)])
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_runs_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"same runs, at least one. Received: 0 and 0"):
        paired_difference([], [])
    with pytest.raises(ValueError, match=r"same examples in the same order"):
        paired_difference([held_out([1, 0])], [held_out([1])])
    with pytest.raises(ValueError, match=r"other ones in fold 2"):
        paired_difference(*[[held_out([1, 0], fold=2), held_out([1, 0, 1], fold=2)]] * 2)
    with pytest.raises(ValueError, match=r"same folds in the same order. Received: folds 0 and 1"):
        paired_difference([held_out([1, 0], fold=0)], [held_out([1, 0], fold=1)])


def test_the_result_is_the_same_every_time():
    ours, theirs = [held_out([1, 0, 1, 1])], [held_out([0, 1, 1, 0])]
    assert paired_difference(ours, theirs) == paired_difference(ours, theirs)
    assert statistics.RESAMPLES >= 10_000
