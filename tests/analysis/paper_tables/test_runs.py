import statistics

import pytest

from srm_keras.analysis.paper_tables.runs import (
    Measured,
    differences,
    measured,
    module_key,
    settings,
)
from srm_keras.training.recipe import FIELDS
from tests.support.paper_runs import trained_run


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (None, "none"),
        ("srm", {"name": "srm"}),
        ("srm", {"name": "srm", "pooling": ("avg", "std"), "reduction": 16}),
        ("se", {"name": "se", "reduction": 16}),
        ([None, "srm"], ("none", {"name": "srm"})),
    ],
)
def test_specs_of_the_same_module(one, same):
    assert module_key(one) == module_key(same)


def test_specs_of_different_modules():
    specs = [None, "se", "srm", {"name": "srm", "pooling": ["avg"]}, {"name": "se", "reduction": 8}]
    assert len({module_key(spec) for spec in [*specs, [None, "srm"], ["srm", None]]}) == 7


@pytest.mark.parametrize(
    ("changes", "network", "module"),
    [
        ({}, "cifar_resnet56_bottleneck", "srm"),
        ({"model.options.block": "basic"}, "cifar_resnet56_basic", "srm"),
        ({"model.name": "resnet18"}, "resnet18", "srm"),
        ({"model.name": "se_resnet50", "recalibration": None}, "resnet50", "se"),
    ],
)
def test_network_and_module(changes, network, module):
    run = trained_run(**changes)
    assert (run.network, run.module) == (network, module)


def test_runs_are_grouped_by_what_they_should_share():
    base = [
        trained_run(seed=0),
        trained_run(seed=1, recalibration="se"),
        trained_run(**{"data.fold": 3, "data.options.data_dir": "elsewhere", "eval_every": 7}),
    ]
    others = [trained_run(steps=10), trained_run(**{"model.options.depth": 20})]
    groups = settings([*base, *others])
    assert [len(group.runs) for group in groups] == [3, 1, 1]
    assert len(groups[0].of({"name": "srm"})) == 2


def test_mean_and_spread_over_runs():
    values = [0.5, 0.6, 0.8]
    runs = [trained_run(accuracies={"test": value}) for value in values]
    score = measured([*runs, trained_run(accuracies={"val": 0.1})], "test")
    assert score.mean == pytest.approx(100 * statistics.mean(values))
    assert score.std == pytest.approx(100 * statistics.stdev(values))
    assert str(score) == "63.33 ± 15.28 (3 runs)"
    assert str(Measured(50.0, None, 1)) == "50.00 (1 run)"
    assert measured(runs, "other") is None


def test_the_mean_over_domains_counts_each_once():
    run = trained_run(
        accuracies={"held_out": 0.9}, domains={"held_out": {"Art": 0.2, "Clipart": 0.6}}
    )
    assert run.accuracy("held_out", "mean") == pytest.approx(0.4)
    assert run.accuracy("held_out", "Art") == 0.2
    assert run.accuracy("held_out", "Product") is None
    assert trained_run().accuracy("held_out", "mean") is None


def test_differences_name_the_fields_and_both_values():
    paper = trained_run().recipe
    assert differences(trained_run(seed=9, recalibration="se", eval_every=3).recipe, paper) == {}
    ours = trained_run(
        **{"steps": 10, "learning_rate.milestones": [5], "model.options.stride_in": 1}
    )
    assert differences(ours.recipe, paper) == {
        "steps": (10, 64_000),
        "learning_rate.milestones": ([5], [32_000, 48_000]),
        "model.options.stride_in": (1, None),
    }


ASKED = (
    *("recalibration", "data.name", "data.eval_splits", "data.fold_by", "data.fold_seed"),
    *("model.name", "model.where", "early_stopping.min_delta"),
    *("distillation.temperature", "distillation.weight"),
)
"""What a training is asked, what the tables show elsewhere, and what others switch on."""


def test_every_field_of_a_recipe_counts_or_is_known_not_to():
    """Of a field that changes a training and is not compared, a table would say: as the paper's."""
    for name, field in FIELDS.items():
        mapping = field.default == {}
        path, value = (f"{name}.option", 1) if mapping else (name, "another")
        base = trained_run().recipe
        counts = bool(differences({**base, path: value}, base))
        runs = [trained_run(**{name: field.default}), trained_run(**{path: value})]
        same_setting = len(settings(runs)) == 1
        assert counts or same_setting or name in (*ASKED, "data.options"), name
