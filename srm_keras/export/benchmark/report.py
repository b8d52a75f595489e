"""The times of exported networks as text and Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

from srm_keras.export.compared_forms import DEPLOYED
from srm_keras.tables import markdown_table, text_table

Row = dict[str, Any]

TARGETS = {("ResNet-50", "srm"): 1.03, ("ResNet-50", "se"): 1.03}
HEADER = (
    "module",
    "form",
    "format",
    "MB",
    "operators",
    "pieces",
    "ms",
    "× plain",
    "CPU ms",
    "× plain, CPU",
)
NOTE = """\
Time of one image, batch 1, in LiteRT with one thread: median and quartiles of {rounds} rounds. In a
round every file of a network runs once, all in one process and in an order that is drawn anew. "×
plain" is the median over the rounds of a file's time over that of the network without a module, in
the same format and the same round, with quartiles; so it is not quite the ratio of the two medians.
CPU: the same by the clock of the computing thread, which stands while others have the processor.
Pieces: in how many parts LiteRT executes the graph. "Folded layers" are the modules as `fold`
leaves them, "deploy form" is what the exporters write. Weights and images are random."""


def rows_text(rows: Sequence[Row]) -> str:
    """The rows of one network as a table for people."""
    return "\n".join([_title(rows[0]), "", text_table(HEADER, [_cells(row) for row in rows])])


def report_markdown(report: dict[str, Any]) -> str:
    """The whole report as a Markdown page."""
    facts = report["environment"] | report["settings"]
    lines = ["# Time of exported networks", "", NOTE.format(**report["settings"]), ""]
    lines += [f"- {name.replace('_', ' ')}: {_fact(value)}" for name, value in facts.items()]
    targets = list(target_lines(report["rows"]))
    lines += ["", "## Targets", "", *targets] if targets else []
    for rows in _by_network(report["rows"]):
        before, after = rows[0]["load"]
        table = markdown_table(HEADER, [_cells(row) for row in rows])
        lines += ["", f"## {_title(rows[0])}", "", table, ""]
        lines += [f"Load average of the machine: {before:.1f} before, {after:.1f} after."]
    return "\n".join(lines) + "\n"


def target_lines(rows: Sequence[Row]) -> Iterator[str]:
    """For each network that has a target, in float32 and deploy form: whether it is met."""
    for row in rows:
        target = TARGETS.get((row["network"], row["module"]))
        if target is not None and row["form"] == DEPLOYED and row["format"] == "float32":
            verdict = "met" if row["wall_ratio"]["median"] <= target else "not met"
            yield (
                f"- {row['network']}, {row['module']}, at most {target:.2f} × plain: {verdict}, "
                f"{_ratio(row['wall_ratio'])} (by CPU time {_ratio(row['cpu_ratio'])})"
            )


def _title(row: Row) -> str:
    return f"{row['network']}, {row['side']}×{row['side']}"


def _fact(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


def _by_network(rows: Sequence[Row]) -> list[list[Row]]:
    names = dict.fromkeys(row["network"] for row in rows)
    return [[row for row in rows if row["network"] == name] for name in names]


def _cells(row: Row) -> list[str]:
    return [
        row["module"],
        row["form"],
        row["format"],
        f"{row['size_bytes'] / 1e6:.1f}",
        str(row["operators"]),
        str(row["pieces"]),
        _time(row["wall_ms"]),
        _ratio(row["wall_ratio"]),
        _time(row["cpu_ms"]),
        _ratio(row["cpu_ratio"]),
    ]


def _time(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['lower']:.2f}–{spread['upper']:.2f})"


def _ratio(spread: dict[str, float]) -> str:
    return f"{spread['median']:.3f} ({spread['lower']:.3f}–{spread['upper']:.3f})"
