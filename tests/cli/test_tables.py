"""Commands that print and write tables: complexity, cross_validate, paper_tables, benchmarks."""

import csv
import json

import pytest

from srm_keras.layers import list_recalibrations
from tests.support import command_lines


def run(*arguments):
    return command_lines.command(*map(str, arguments))


@pytest.mark.slow
def test_complexity_prints_and_writes(tmp_path):
    result = run(
        "complexity",
        "--model=srm_cifar_resnet20_basic",
        "--input_shape=48,48,3",
        "--per=block",
        f"--csv={tmp_path / 'new' / 'blocks.csv'}",
        f"--json={tmp_path / 'all.json'}",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("srm_cifar_resnet20_basic, one image of 48×48×3")
    with (tmp_path / "new" / "blocks.csv").open() as file:
        rows = list(csv.DictReader(file))
    read = json.loads((tmp_path / "all.json").read_text())
    assert len(rows) == 1 + 9 + 1
    assert sum(int(row["operations"]) for row in rows) == read["total"]["operations"]
    assert f"{read['total']['operations']:,}" in result.stdout.splitlines()[-1]


@pytest.mark.slow
def test_complexity_prints_the_papers_formulas(tmp_path):
    result = run(
        "complexity",
        "--formulas",
        "--model=cifar_resnet20_basic",
        f"--json={tmp_path / 'formulas.json'}",
    )
    assert result.returncode == 0, result.stderr
    assert "srm: 6·N·C" in result.stdout
    rows = json.loads((tmp_path / "formulas.json").read_text())
    assert {row["module"] for row in rows} == {"srm", "se", "ge"}


@pytest.mark.slow
def test_ablations_from_the_recipe_to_the_papers_tables(tmp_path):
    """Two variants of the recipe's own, trained by its smoke form, beside tables 6 and 7."""
    trained = run(
        "cross_validate",
        "--config=ablations:smoke",
        "--recalibrations=none,avg,mlp",
        "--folds=2",
        f"--workdir={tmp_path / 'folds'}",
    )
    assert trained.returncode == 0, trained.stderr
    reported = run("paper_tables", f"--models={tmp_path / 'folds'}", f"--out={tmp_path}")
    assert reported.returncode == 0, reported.stderr
    page = (tmp_path / "paper_tables.md").read_text()
    assert page.count("### Beside table 6") == page.count("### Beside table 7") == 1
    assert "| SP + MLP |" in page
    assert "SRM-ResNet-101 | 44.68 | 44,679,208 | 7.62 | 7.6060" in page
    parts = json.loads((tmp_path / "paper_tables.json").read_text())
    beside = next(part for part in parts if part["title"].startswith("Beside table 6"))
    assert [row["module"] for row in beside["data"]["rows"]] == ["none", "AvgPool"]
    assert beside["data"]["rows"][1]["splits"]["held_out"]["runs"] == 2
    assert (tmp_path / "pictures" / "curves_1.png").is_file()
    assert "data:image/png;base64," in (tmp_path / "paper_tables.html").read_text()


@pytest.mark.slow
def test_benchmark_layers(tmp_path):
    result = run("tools.benchmark", "layers", "--quick", f"--out={tmp_path}")
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "layers.json").read_text())
    assert report["settings"]["rounds"] == 3
    assert report["environment"]["packages"]["keras"]
    cases = {(row["xla"], row["direction"]) for row in report["rows"]}
    assert len(cases) == 4
    assert len(report["rows"]) == len(cases) * (len(list_recalibrations()) + 2)
    for row in report["rows"]:
        assert (row["median_ms"] is None) == bool(row["note"])
        if row["median_ms"]:
            assert row["minimum_ms"] <= row["median_ms"] <= row["maximum_ms"]
    se = next(row for row in report["rows"] if row["module"] == "se")
    multiply = next(row for row in report["rows"] if row["module"] == "multiply")
    assert se["to_se"] == multiply["to_multiply"] == 1
    assert se["to_multiply"] == pytest.approx(se["median_ms"] / multiply["median_ms"], abs=0.02)
    page = (tmp_path / "layers.md").read_text()
    assert page.count("\n## ") == 4
    assert result.stdout.count("srm (autodiff)") == page.count("srm (autodiff)") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tools.benchmark"], "exported, stylizers. Received: none"),
        (["tools.benchmark", "layer"], "exported, stylizers. Received: layer"),
        (["complexity"], "Give either `--model` or `--paper`"),
        (["complexity", "--paper", "--model=resnet18"], "Give either"),
        (["complexity", "resnet18"], "Arguments must be flags. Received: resnet18"),
        pytest.param(
            ["paper_tables", "--out=/dev/null/x", "--models=nowhere"],
            "`out` must lie in a folder",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            [
                *("cross_validate", "--config=ablations:smoke"),
                *("--recalibrations=none,avgg", "--workdir=/dev/null/x"),
            ],
            "`recalibrations` must be one of",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_command_lines_end_in_one_line(arguments, message):
    result = run(*arguments)
    assert result.returncode != 0
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.stderr
