import pytest

from srm_keras.analysis.paper_tables import TABLES
from srm_keras.analysis.paper_tables.runs import settings
from srm_keras.analysis.paper_tables.stand_ins import stand_in_sections
from srm_keras.recipes.ablations import RECALIBRATIONS
from tests.support.paper_runs import trained_run


def sections(number, runs):
    return stand_in_sections(TABLES[number - 1], settings(runs))


def shapes(recalibration, accuracies, **changes):
    fields = {"data.name": "texture_shapes", "data.options.label": "shape", **changes}
    return trained_run(accuracies, recalibration=recalibration, **fields)


def test_each_split_stands_beside_the_table_that_asks_its_question():
    accuracies = {"held_out": 0.4, "test": 0.5, "test_unseen_style": 0.3, "cue_conflict": 0.2}
    run = shapes("srm", accuracies, **{"data.folds": 2, "data.fold_by": "group"})
    expected = {2: ["test"], 3: ["test_unseen_style", "cue_conflict"], 4: ["held_out"]}
    for number in range(1, 8):
        found = sections(number, [run])
        splits = list(found[0].data["rows"][0]["splits"]) if found else None
        assert splits == expected.get(number)


@pytest.mark.parametrize(
    ("changes", "table"),
    [
        ({"data.name": "fashion_mnist"}, 2),
        ({"data.name": "image_folder"}, 5),
        ({"data.name": "texture_shapes", "data.options.label": "texture"}, 5),
        ({"data.name": "npz"}, 2),
        ({"model.options.depth": 20}, 2),  # CIFAR-10, but another network
    ],
)
def test_data_sets(changes, table):
    found = {number for number in range(1, 8) if sections(number, [trained_run(**changes)])}
    assert found == {table}


def test_gains_over_the_plain_network_beside_the_papers():
    scores = {"se": 0.5, "none": 0.6, "srm": 0.65, "eca": 0.55}
    (found,) = sections(2, [shapes(name, {"test": score}) for name, score in scores.items()])
    rows = {row["module"]: row for row in found.rows}
    assert list(rows) == ["none", "se", "srm", "eca"]
    assert [row["test: gain"] for row in rows.values()] == [None, "-10.00", "+5.00", "-5.00"]
    # Table 2: 95.05 − 93.77 and 76.93 − 74.76.
    assert rows["srm"]["gain in the paper"] == "+1.28, +2.17"
    assert rows["eca"]["gain in the paper"] is None
    assert found.data["rows"][2]["splits"]["test"]["mean"] == pytest.approx(65)


def test_beside_table_4_stands_the_mean_over_domains():
    """What the paper's gains there are of; each domain counts once, however many examples."""
    by_domain = {"none": {"a": 0.3, "b": 0.5}, "srm": {"a": 0.4, "b": 0.7}}
    folds = {"data.folds": 2, "data.fold_by": "group"}
    runs = [
        shapes(name, {"held_out": 0.9}, domains={"held_out": domains}, **folds)
        for name, domains in by_domain.items()
    ]
    (found,) = sections(4, runs)
    assert [row["held_out %"] for row in found.rows] == ["40.00 (1 run)", "55.00 (1 run)"]
    assert found.rows[1]["held_out: gain"] == "+15.00"
    assert "accuracy, the mean over the domains, of the last weights" in found.text[0]
    (found,) = sections(4, [*runs, shapes("se", {"held_out": 0.9}, **folds)])
    assert {row["held_out %"] for row in found.rows} == {"90.00 (1 run)"}


@pytest.mark.parametrize(("name", "table", "shown"), [("dtd", 5, True), ("cifar10", 2, False)])
def test_top_5_stands_where_the_table_has_it(name, table, shown):
    fields = {"data.name": name, "model.options.depth": 20}
    (found,) = sections(table, [trained_run({"test": 0.5}, top5={"test": 0.75}, **fields)])
    assert found.rows[0].get("test: top-5 %") == ("75.00 (1 run)" if shown else None)


def test_no_plain_network_no_gain():
    (found,) = sections(2, [shapes("srm", {"test": 0.5})])
    assert found.rows[0]["test: gain"] is None


def test_paths_of_this_machine_stay_out():
    run = trained_run(**{"data.name": "image_folder", "data.options.data_dir": "/secret/folder"})
    (found,) = sections(5, [run])
    assert "secret" not in str(found)


def test_ablations_stand_beside_tables_6_and_7_alone():
    runs = [
        shapes(spec, {"test": 0.5 + index / 100})
        for index, spec in enumerate(RECALIBRATIONS.values())
    ]
    (pooling,), (integration,), (plain,) = (sections(number, runs) for number in (6, 7, 2))
    assert [row["module"] for row in pooling.rows] == [
        *("none", "AvgPool", "StdPool", "MaxPool", "AvgPool + MaxPool", "AvgPool + StdPool (SRM)")
    ]
    assert [row["module"] for row in integration.rows] == [
        *("none", "SP + MLP", "SP + MLP + BN", "SP + CFC", "SP + CFC + BN (SRM)")
    ]
    assert [row["module"] for row in plain.rows] == ["none", "srm"]
    avg, mlp = pooling.rows[1], integration.rows[1]
    assert (avg["test: gain"], avg["gain in the paper"]) == ("+2.00", "+0.69")
    assert (mlp["test: gain"], mlp["gain in the paper"]) == ("+6.00", "+0.86")


def test_modules_without_variants_are_no_ablation():
    runs = [shapes(name, {"test": 0.5}) for name in ("none", "srm")]
    assert sections(6, runs) == sections(7, runs) == []
