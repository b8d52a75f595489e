"""What recalibration modules add to the time of one image in exported networks."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from srm_keras.export.runners import TFLiteRunner
from srm_keras.export.tflite.exporter import tflite_details
from srm_keras.support.files import writable_file, write_json, write_text
from srm_keras.support.tables import markdown_table, text_table
from srm_keras.support.timing import Spread, Times, paired_times, round_ratios
from srm_keras.support.validation import positive_int
from tools.studies.exported_files import (
    DEPLOYED,
    NETWORKS,
    File,
    Network,
    random_images,
    write_files,
)
from tools.studies.results import Row, check_backend, fact_lines, values

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
    lines = ["# Time of exported networks", "", NOTE.format(**report["settings"]), ""]
    lines += fact_lines(report)
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


def _by_network(rows: Sequence[Row]) -> list[list[Row]]:
    return [[row for row in rows if row["network"] == name] for name in values(rows, "network")]


def _cells(row: Row) -> list[str]:
    return [
        row["module"],
        row["form"],
        row["format"],
        f"{row['size_bytes'] / 1e6:.1f}",
        str(row["operators"]),
        str(row["pieces"]),
        _time_text(row["wall_ms"]),
        _ratio(row["wall_ratio"]),
        _time_text(row["cpu_ms"]),
        _ratio(row["cpu_ratio"]),
    ]


def _time_text(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['lower']:.2f}–{spread['upper']:.2f})"


def _ratio(spread: dict[str, float]) -> str:
    return f"{spread['median']:.3f} ({spread['lower']:.3f}–{spread['upper']:.3f})"


WARM_UP = 3
NAME = "benchmark_exported"


def benchmark_exported(
    networks: Sequence[Network] = NETWORKS,
    rounds: int = 30,
    out: str | os.PathLike | None = None,
    environment: Mapping[str, Any] | None = None,
    on_file: Callable[[Network, File], object] = lambda network, file: None,
    on_network: Callable[[Network, list[Row]], object] = lambda network, rows: None,
    name: str = NAME,
) -> dict[str, Any]:
    """Time one image in every file of every network, in LiteRT with one thread.

    The files of a network lie ready before the first is timed. Then each runs once a round, in
    random order, on the wall's clock and on that of the thread (``timing``). What a module costs
    is the median over the rounds of its time over that of the network without one.

    Args:
        networks: What to time.
        rounds: Measured times of each file.
        out: A folder for ``NAME.json`` and ``NAME.md``, both rewritten after each network.
        environment: What is known of the machine, for the report.
        on_file: Called after each file is written.
        on_network: Called after each network with its rows.
        name: Of the two files.

    Returns:
        What the JSON file holds: ``environment``, ``settings`` and ``rows``. A row has ``network``,
        ``module``, ``form``, ``format``, ``size_bytes``, ``operators`` and ``pieces``; ``wall_ms``,
        ``cpu_ms``, ``wall_ratio`` and ``cpu_ratio``, each with ``median``, ``lower`` and ``upper``
        quartile; the times of all rounds; and the machine's ``load`` average before and after.

    Raises:
        ValueError: The Keras backend is not TensorFlow, or ``rounds`` or ``out`` is not one of the
            above.
    """
    check_backend("benchmark")
    positive_int("rounds", rounds)
    ends = (".json", ".md") if out else ()
    files = [writable_file("out", Path(out or "", name + end)) for end in ends]
    report: dict[str, Any] = {
        "environment": dict(environment or {}),
        "settings": {"rounds": rounds, "warmup": WARM_UP, "threads": 1, "batch_size": 1},
        "rows": [],
    }
    for network in networks:
        rows = _time(network, rounds, partial(on_file, network))
        report["rows"] += rows
        if files:
            write_json(files[0], report)
            write_text(files[1], report_markdown(report))
        on_network(network, rows)
    return report


def _time(network: Network, rounds: int, on_file: Callable[[File], object]) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(network, Path(folder), on_file)
        image = random_images(network)[:1]
        steps = {str(file): partial(TFLiteRunner(path), image) for file, path in paths.items()}
        load = [os.getloadavg()[0]]
        times = paired_times(steps, rounds, WARM_UP)
        load.append(os.getloadavg()[0])
        return [
            {
                "network": network.name,
                "side": network.side,
                **asdict(file),
                "size_bytes": path.stat().st_size,
                **_details(path),
                **_numbers(times, file),
                "load": load,
            }
            for file, path in paths.items()
        ]


def _details(path: Path) -> dict[str, int]:
    details = tflite_details(path)
    return {"operators": sum(details["operators"].values()), "pieces": details["partitions"]}


def _numbers(times: Mapping[str, Times], file: File) -> dict[str, Any]:
    own = times[str(file)]
    ratios = round_ratios(times, str(file), str(file.plain))
    spreads = {
        "wall_ms": own.wall,
        "cpu_ms": own.cpu,
        "wall_ratio": ratios.wall,
        "cpu_ratio": ratios.cpu,
    }
    return {
        **{name: asdict(Spread.of(values)) for name, values in spreads.items()},
        "rounds": {"wall_ms": _rounded(own.wall), "cpu_ms": _rounded(own.cpu)},
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
