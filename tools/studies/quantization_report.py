"""A quantization study as a Markdown page and as rows that survive an interruption."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from srm_keras.support.tables import markdown_table
from srm_keras.support.timing import environment
from tools.studies.exported_files import DEPLOYED
from tools.studies.results import Results, Row, values, versions_text

MIN_SNR_DB = 25.0
MAX_LOSS_DB = 3.0
MAX_LOSS_POINTS = 1.0
MIN_IMAGES = 1000
NOTE = """\
TFLite files of trained networks beside their Keras models. The integer formats take the range of
every tensor from images of the training split; their number stands in parentheses. Compared is on
images of the evaluation split, {samples:,} at most. dB: the signal-to-noise ratio of the logits.
Points: by how much top-1 accuracy is above that of the Keras model. Same: images with the same
top-1 class.
Pieces: in how many parts LiteRT executes the graph. Floats: float tensors inside, inputs and
outputs aside. "Folded layers" are the modules as `fold` leaves them, "deploy form" is what the
exporters write."""
GOALS = f"""\
Goals for SRM in int8, deploy form, all in integers: logits within {MAX_LOSS_DB:g} dB of SE's in the
same network and at {MIN_SNR_DB:g} dB or more; top-1 within {MAX_LOSS_POINTS:g} point of the Keras
model's on {MIN_IMAGES:,} images or more."""
FLOAT_PARTS = """\
Where int8 loses: the modules compute in float from one of their parts on, and everything else in
integers. So what a row has more than the one below it is what one more part in float brings."""
COLUMNS = ("form", "format", "dB", "top-1", "points", "same", "MB", "operators", "pieces", "floats")


def study_markdown(study: dict[str, Any]) -> str:
    """Return the page."""
    rows, found = study["rows"], study["environment"]
    parts = [
        "# What quantization costs trained networks",
        NOTE.format(**study["settings"]),
        f"{versions_text(found['packages'])}; {found['platform']}.",
        f"## Goals\n\n{GOALS}",
        _goals(rows),
        *(_section([row for row in rows if row["run"] == run]) for run in values(rows, "run")),
    ]
    return "\n\n".join(parts) + "\n"


def row_text(row: Row) -> str:
    """A row as a line of progress."""
    what = f"{row['run']}, {_what(row)}"
    if row["error"] is not None:
        return f"{what}: {row['error']}"
    return (
        f"{what}: {row['snr_db']:.1f} dB, top-1 {100 * row['accuracy']:.2f} % "
        f"({points(row):+.2f} points)"
    )


def points(row: Row) -> float:
    """What top-1 accuracy gained on the Keras model's, in points."""
    return 100 * (row["accuracy"] - row["float_accuracy"])


def goals(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """For each SRM network: what it has in int8, and whether that is as good as it is to be.

    ``within_se`` is None where there is no such network with SE.
    """
    int8 = [row for row in rows if _is_goal(row)]
    for srm in (row for row in int8 if row["module"] == "srm"):
        same = ("dataset", "network", "seed", "representative")
        se = [
            row
            for row in int8
            if row["module"] == "se" and all(row[name] == srm[name] for name in same)
        ]
        difference = srm["snr_db"] - se[0]["snr_db"] if se else None
        yield {
            "run": srm["run"],
            **{name: srm[name] for name in same},
            "snr_db": srm["snr_db"],
            "to_se_db": difference,
            "points": points(srm),
            "images": srm["images"],
            "within_se": None if difference is None else difference >= -MAX_LOSS_DB,
            "enough_db": srm["snr_db"] >= MIN_SNR_DB,
            "accurate": srm["images"] >= MIN_IMAGES and points(srm) >= -MAX_LOSS_POINTS,
            "integer": srm["float_tensors"] == 0,
        }


def _is_goal(row: Row) -> bool:
    main = row["form"] == DEPLOYED and row["format"] == "int8" and not row["in_float"]
    return main and row["error"] is None


def _goals(rows: Sequence[Row]) -> str:
    found = list(goals(rows))
    if not found:
        return "No int8 file of a network with SRM yet."
    header = (
        "run",
        "data",
        "network",
        "images for ranges",
        "dB",
        "to SE's",
        "top-1 points",
        "integers only",
    )
    cells = [
        [
            goal["run"],
            goal["dataset"],
            goal["network"],
            f"{goal['representative']:,}",
            f"{goal['snr_db']:.1f}, {_verdict(goal['enough_db'])}",
            "no network with SE"
            if goal["within_se"] is None
            else f"{goal['to_se_db']:+.1f} dB, {_verdict(goal['within_se'])}",
            f"{goal['points']:+.2f} on {goal['images']:,}, {_verdict(goal['accurate'])}",
            _verdict(goal["integer"]),
        ]
        for goal in found
    ]
    return markdown_table(header, cells)


def _verdict(met: bool) -> str:
    return "met" if met else "**not met**"


def _section(rows: Sequence[Row]) -> str:
    """All rows of one run."""
    first = rows[0]
    parts = [f"## {first['run']}: {first['module']}, {first['network']}, {first['dataset']}"]
    done = [row for row in rows if row["error"] is None]
    if done:
        parts.append(
            f"{done[0]['images']:,} images; top-1 of the Keras model "
            f"{100 * done[0]['float_accuracy']:.2f} %."
        )
    parts.append(markdown_table(COLUMNS, [_cells(row) for row in done if not row["in_float"]]))
    partly = [_cells(row) for row in done if row["in_float"]]
    if partly:
        parts += [FLOAT_PARTS, markdown_table(COLUMNS[1:], [cells[1:] for cells in partly])]
    failed = [f"- {_what(row)}: {row['error']}" for row in rows if row["error"] is not None]
    return "\n\n".join([*parts, *(["\n".join(failed)] if failed else [])])


def _what(row: Row) -> str:
    return ", ".join([row["form"], _format(row)])


def _format(row: Row) -> str:
    images = f" ({row['representative']:,})" if row["representative"] else ""
    return row["format"] + images + (f", {row['in_float']} in float" if row["in_float"] else "")


def _cells(row: Row) -> list[str]:
    return [
        row["form"],
        _format(row),
        f"{row['snr_db']:.1f}",
        f"{100 * row['accuracy']:.2f} %",
        f"{points(row):+.2f}",
        f"{100 * row['agreement']:.2f} %",
        f"{row['size_bytes'] / 1e6:.2f}",
        str(row["operators"]),
        str(row["pieces"]),
        str(row["float_tensors"]) if row["format"].startswith("int") else "–",
    ]


def study_results(folder: Path, settings: dict[str, Any]) -> Results:
    """The rows that are known, kept in ``quantization.json``, ``.csv`` and ``.md``.

    Args:
        folder: Of the files; made if it is not there.
        settings: What all rows have in common.

    Raises:
        ValueError: The folder cannot be made or written, or holds a study of other settings or
            package versions, or a file ``quantization.json`` that is none.
    """
    head = {"settings": settings, "environment": environment()}
    place = ("run", "form", "format", "in_float", "representative")
    return Results(folder, "quantization", "quantization study", head, place, study_markdown)
