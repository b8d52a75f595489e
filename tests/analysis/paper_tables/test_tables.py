import pytest

from srm_keras.analysis.paper_tables import TABLES
from srm_keras.analysis.paper_tables.report import paper_report
from srm_keras.analysis.paper_tables.runs import settings
from srm_keras.analysis.paper_tables.tables import table_section
from tests.support.paper_runs import trained_run

RECIPES = {
    name: trained_run(**{"data.name": name}).recipe
    for name in ("cifar10", "cifar100", "imagenet", "stylized_imagenet", "office_home", "dtd")
}


def section(number, runs=(), complexities=()):
    return table_section(TABLES[number - 1], settings(runs), RECIPES, complexities)


def cell(part, model, column="top-1 %: here", **where):
    rows = [row for row in part.rows if row["model"] == model]
    rows = [row for row in rows if all(row[name] == value for name, value in where.items())]
    assert len(rows) == 1
    return rows[0][column]


@pytest.mark.parametrize("number", range(1, 8))
def test_without_runs_every_cell_says_so(number):
    part = section(number)
    assert len(part.rows) == len(TABLES[number - 1].results)
    assert {row["top-1 %: here"] for row in part.rows} == {"not run"}
    assert [row["top-1 %: paper"] for row in part.rows] == [
        result.top1 for result in TABLES[number - 1].results
    ]
    if TABLES[number - 1].has_top5:
        assert {row["top-5 %: here"] for row in part.rows} == {"not run"}
    assert ("top-5 %: here" in part.rows[0]) == (number in (1, 3, 5))
    assert not part.notes


def test_top_5_stands_beside_the_papers_where_it_was_recorded():
    imagenet = {"data.name": "imagenet", "model.name": "resnet50", "accuracies": {"val": 0.7}}
    runs = [
        *(trained_run(top5={"val": value}, **imagenet) for value in (0.9, 0.92)),
        trained_run(recalibration="se", **imagenet),
    ]
    part = section(1, runs)
    assert cell(part, "SRM-ResNet-50", "top-5 %: here") == "91.00 ± 1.41 (2 runs) [a]"
    assert cell(part, "SRM-ResNet-50", "top-5 %: paper") == 93.51
    assert cell(part, "SE-ResNet-50", "top-5 %: here") == "not recorded [a]"
    assert [found["top5"] for row in part.data["rows"] for found in row["here"]] == [None, 91.0]


def test_runs_stand_in_their_cell_alone():
    runs = [
        trained_run(accuracies={"test": value}, seed=seed) for seed, value in ((0, 0.9), (1, 0.92))
    ]
    part = section(2, runs)
    assert cell(part, "SRM", on="CIFAR-10") == "91.00 ± 1.41 (2 runs) [a]"
    assert part.notes == ["[a] the paper's recipe, 64,000 steps"]
    assert [row["top-1 %: here"] for row in part.rows].count("not run") == 7
    (found,) = part.data["rows"][3]["here"]
    assert (found["runs"], found["papers_recipe"]) == (2, True)


def test_a_shortened_run_is_labelled():
    part = section(2, [trained_run(steps=600, recalibration="se")])
    assert cell(part, "SE", on="CIFAR-10") == "50.00 (1 run) [a]"
    assert part.notes == [
        "[a] not the paper's recipe (whose values are in brackets): steps=600 (64000)"
    ]
    assert not part.data["rows"][1]["here"][0]["papers_recipe"]


def test_settings_do_not_mix():
    part = section(2, [trained_run(), trained_run(steps=600, accuracies={"test": 0.25})])
    assert cell(part, "SRM", on="CIFAR-10") == "50.00 (1 run) [a]; 25.00 (1 run) [b]"


def test_every_note_has_a_letter_of_its_own():
    part = section(2, [trained_run(steps=600 + more) for more in range(60)])
    letters = [note.partition("]")[0] for note in part.notes]
    assert len(set(letters)) == 60
    assert (letters[0], letters[26], letters[52]) == ("[a", "[aa", "[aaa")


@pytest.mark.parametrize(
    "changes",
    [
        {"model.options.depth": 20},
        {"model.options.block": "basic"},
        {"data.name": "fashion_mnist"},
        {"accuracies": {"val": 0.5}},
    ],
)
def test_other_networks_data_and_splits_are_not_the_papers(changes):
    part = section(2, [trained_run(**changes)])
    assert {row["top-1 %: here"] for row in part.rows} == {"not run"}


def test_modules_that_the_table_lacks_have_rows_of_their_own():
    part = section(2, [trained_run(recalibration="eca")])
    assert cell(part, "eca", on="CIFAR-10") == "50.00 (1 run) [a]"
    assert cell(part, "eca", "top-1 %: paper", on="CIFAR-10") is None
    assert part.data["rows"][-1]["paper"] is None


def test_office_home_by_domain():
    domains = {"Art": 0.4, "Clipart": 0.6, "Product": 0.7, "Real World": 0.5}
    changes = {"data.name": "office_home", "model.name": "resnet18"}
    run = trained_run({"held_out": 0.6}, {"held_out": domains}, 65, **changes)
    part = section(4, [run])
    for column, value in {"Ar": 40, "Cl": 60, "Pr": 70, "Rw": 50, "Avg.": 55}.items():
        assert cell(part, "SRM", on=column).startswith(f"{value}.00 (1 run)")


def test_variants_are_recognized_in_tables_6_and_7():
    imagenet = {"data.name": "imagenet", "model.name": "resnet50", "accuracies": {"val": 0.7}}
    variants = [
        {"name": "srm", "pooling": ("std",), "integration": "cfc"},
        {"name": "srm", "batch_norm": False},
    ]
    runs = [trained_run(recalibration=spec, **imagenet) for spec in (*variants, "srm")]
    pooling, integration, plain = section(6, runs), section(7, runs), section(1, runs)
    assert cell(pooling, "ResNet-50 + StdPool").startswith("70.00")
    assert cell(integration, "ResNet-50 + SP + CFC").startswith("70.00")
    assert cell(pooling, "ResNet-50 + MaxPool") == "not run"
    assert cell(plain, "SRM-ResNet-50").startswith("70.00")
    assert len(plain.rows) == len(TABLES[0].results)


def test_counts_are_put_beside_the_papers():
    row = {"table": 1, "model": "SE-ResNet-50", "classes": 1000}
    part = section(1, (), [row | {"trainable": 28_088_024, "operations": 3_871_500_000}])
    assert cell(part, "SE-ResNet-50", "here") == 28_088_024
    assert cell(part, "SE-ResNet-50", "counted") == "3.8715"
    assert cell(part, "ResNet-50", "here") is None


def test_the_report_has_every_table_and_figure():
    titles = [one.title for one in paper_report([], RECIPES, [], {})]
    assert [title.split(":")[0] for title in titles[1:]] == [
        *(f"Table {number}" for number in range(1, 8)),
        *(f"Figure {number}" for number in range(3, 11)),
    ]
