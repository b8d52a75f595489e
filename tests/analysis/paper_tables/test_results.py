import statistics

import pytest

from srm_keras.analysis.paper_tables import TABLE_1, TABLE_3, TABLE_4, TABLE_6, TABLE_7, TABLES
from srm_keras.analysis.paper_tables.paper import COEFFICIENTS, SQUARED_CORRELATIONS
from srm_keras.analysis.paper_tables.runs import module_key
from srm_keras.models import list_models
from srm_keras.recipes import ablations

ALL = [result for table in TABLES for result in table.results]


def test_every_cell_is_there():
    """Rows × columns of accuracies, as in the paper."""
    counts = [len(table.results) for table in TABLES]
    assert counts == [8, 4 * 2, 3 * 2, 3 * 5, 3 * 2, 6, 4]
    top5 = [sum(result.top5 is not None for result in table.results) for table in TABLES]
    assert top5 == [8, 0, 6, 0, 6, 0, 0]


def test_srm_is_the_best_of_every_experiment():
    """The paper prints these numbers in bold."""
    for table in TABLES:
        experiments = {}
        for result in table.results:
            experiments.setdefault((result.column, result.network), []).append(result)
        for results in experiments.values():
            best = max(results, key=lambda result: result.top1)
            assert best.recalibration == "srm", (table.number, best)


def test_the_averages_of_table_4_are_those_of_its_domains():
    """But for the baseline's, which is printed 0.32 lower than the mean of its row."""
    for row, difference in (("Baseline", -0.32), ("SE", 0.0), ("SRM", 0.0)):
        *domains, average = (result.top1 for result in TABLE_4 if result.row == row)
        assert average - statistics.mean(domains) == pytest.approx(difference, abs=0.006)


def test_numbers_of_the_text():
    """Sections 3.3, 4.1 and 5.3: what SRM and SE add, and "almost three times smaller"."""
    of = {result.row: result for result in TABLE_1}
    plain, se, srm = (of[name] for name in ("ResNet-50", "SE-ResNet-50", "SRM-ResNet-50"))
    assert se.params_millions - plain.params_millions == pytest.approx(2.53)
    assert srm.params_millions - plain.params_millions == pytest.approx(0.06)
    assert 100 * (srm.gflops / plain.gflops - 1) == pytest.approx(0.52, abs=0.005)
    assert 2.9 < SQUARED_CORRELATIONS["se"] / SQUARED_CORRELATIONS["srm"] < 3
    assert SQUARED_CORRELATIONS["se"] < COEFFICIENTS


def test_ablations_share_the_rows_of_table_1():
    imagenet = {module_key(r.recalibration): r.top1 for r in TABLE_1 if r.network == "resnet50"}
    for result in (*TABLE_6, *TABLE_7):
        key = module_key(result.recalibration)
        assert result.top1 == imagenet.get(key, result.top1)
    assert sum(module_key(r.recalibration) in imagenet for r in (*TABLE_6, *TABLE_7)) == 3


def test_the_recipe_of_the_ablations_has_every_variant_once():
    variants = [module_key(spec) for spec in ablations.RECALIBRATIONS.values()]
    assert len(set(variants)) == len(variants)
    assert set(variants) == {module_key(r.recalibration) for r in (*TABLE_6, *TABLE_7)}
    assert next(iter(ablations.RECALIBRATIONS.values())) is None


def test_networks_can_be_built():
    assert {result.network for result in ALL} <= set(list_models())
    assert {result.split for result in TABLE_3} == {"val", "imagenet_val"}
