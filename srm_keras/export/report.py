"""What is written about every exported file, how long it takes, and a page of it all."""

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.export.bounds import Bound, Kind
from srm_keras.export.parity import Parity
from srm_keras.export.runners import Runner
from srm_keras.support import html
from srm_keras.support.files import as_json, read_json, write_json, write_text
from srm_keras.support.tables import markdown_table, number
from srm_keras.support.timing import Spread, paired_times

WARM_UP = 3
REPETITIONS = 20


def latencies(
    runners: Mapping[str, Runner], batch: np.ndarray, repetitions: int = REPETITIONS
) -> dict[str, Spread]:
    """Return the time in ms of one call on ``batch`` for each runner; they take turns."""
    steps = {name: partial(runner, batch) for name, runner in runners.items()}
    times = paired_times(steps, repetitions, WARM_UP)
    return {name: Spread.of(own.wall) for name, own in times.items()}


JSON = "report.json"
MARKDOWN = "report.md"


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What an exported file is and how it compares with the Keras model it was made of.

    Attributes:
        file: Name of the file or folder.
        format: Such as ``"SavedModel"`` or ``"TFLite int8"``.
        model: Name of the Keras model.
        input_shape: With None for the batch and whatever else is dynamic.
        output_shape: Likewise.
        size_bytes: Of the file, or of all files in the folder.
        parameters: Of the exported network.
        keras_parameters: Of the Keras model, moving averages included.
        folded: Whether batch norm was merged into the layers before it.
        batch_norm_kept: For each batch norm left in the file, why it could not be merged.
        parity: Differences of the outputs on the samples.
        bound: What the export was held to, as far as it applies to this kind of outputs.
        details: What else is known of this kind of file. TFLite: ``operators``, how many of each
            kind, ``partitions``, the number of pieces in which LiteRT executes them, and ``gpu``,
            which of them its GPU delegate refuses and why.
        latency_ms: Time of one image, ``{"keras": …, "file": …}``, the two run in turn. TFLite and
            ONNX have one thread; Keras and SavedModel have TensorFlow's.
        environment: Versions and platform.
    """

    file: str
    format: str
    model: str
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    size_bytes: int
    parameters: int
    keras_parameters: int
    folded: bool
    batch_norm_kept: dict[str, str]
    parity: Parity
    bound: Bound
    details: dict[str, Any]
    latency_ms: dict[str, Spread]
    environment: dict[str, Any]

    def __str__(self) -> str:
        row = dict(zip(COLUMNS, _row(self.to_dict()), strict=True))
        return (
            f"{row['file']}: {row['format']}, {row['size']}, max error {row['max error']}, "
            f"{row['signal-to-noise']}, top-1 agreement {row['top-1 agreement']}, "
            f"{row['of bound']} of the bound, "
            f"{row['latency']} an image (Keras {row['Keras latency']})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types; tuples are lists."""
        return as_json(dataclasses.asdict(self))


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Return the reports in ``folder/report.json``, oldest first; none where it is missing.

    Raises:
        ValueError: The file is not one that ``write_report`` wrote.
    """
    path = folder / JSON
    if not path.exists():
        return []
    try:
        reports = read_json(path)["exports"]
        return [report for report in reports if (folder / report["file"]).exists()]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"`path` must not lie beside a {JSON} that this package did not write. "
            f"Received: {str(path)!r}"
        ) from None


def write_report(report: ExportReport, folder: Path) -> None:
    """Write ``report.json`` and ``report.md``, which hold one report for each file in ``folder``.

    A report of the same file replaces the older one.
    """
    reports = [old for old in read_reports(folder) if old["file"] != report.file]
    reports.append(report.to_dict())
    write_json(folder / JSON, {"exports": reports})
    write_text(folder / MARKDOWN, to_markdown(reports))


COLUMNS = (
    "file",
    "format",
    "size",
    "parameters",
    "operators",
    "pieces",
    "GPU",
    "max error",
    "mean error",
    "signal-to-noise",
    "worst sample",
    "top-1 agreement",
    "of bound",
    "latency",
    "Keras latency",
)
NOTE = (
    "Errors are absolute differences from the outputs of the Keras model on real samples. The "
    "signal-to-noise ratio is that of the logits where the network ends in a softmax, else of the "
    "outputs about their mean; also of the worst sample. Of bound: how much is used of the limit "
    "that is nearest to be broken. Latency is the median of one image (quartiles in "
    "report.json), file and Keras model run in turn; TFLite and ONNX have one thread. Pieces: in "
    "how many parts LiteRT executes the graph. GPU: whether LiteRT's GPU delegate takes every "
    "operator, by its rules; not run on one."
)


def table(reports: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row of ``COLUMNS`` as text for each of ``reports``."""
    return [_row(report) for report in reports]


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    parity, latency, details = (report[key] for key in ("parity", "latency_ms", "details"))
    agreement = parity["top1_agreement"]
    operators = sum(details.get("operators", {}).values())
    return (
        report["file"],
        report["format"],
        f"{report['size_bytes'] / 1e6:.2f} MB",
        f"{report['parameters']:,}",
        str(operators or "–"),
        str(details.get("partitions", "–")),
        _of_gpu(details),
        number(parity["max_error"], ".1e"),
        number(parity["mean_error"], ".1e"),
        _decibels(parity["snr_db"]),
        _decibels(parity.get("worst_db")),
        "–" if agreement is None else f"{100 * agreement:.1f} % of {parity['samples']:,}",
        _nearest(_used(report)),
        f"{latency['file']['median']:.2f} ms",
        f"{latency['keras']['median']:.2f} ms",
    )


def to_markdown(reports: list[dict[str, Any]]) -> str:
    """A table of the reports, and below it what does not fit into a column."""
    lines = ["# Exported files", "", markdown_table(COLUMNS, table(reports)), "", NOTE, ""]
    lines += [_sentence(report) for report in reports]
    return "\n".join(lines) + "\n"


def _sentence(report: dict[str, Any]) -> str:
    shapes = " → ".join(
        "(" + ", ".join("?" if side is None else str(side) for side in report[key]) + ")"
        for key in ("input_shape", "output_shape")
    )
    folding = "batch norm folded" if report["folded"] else "batch norm not folded"
    kept = "".join(
        f"; kept `{name}`: {reason}" for name, reason in report["batch_norm_kept"].items()
    )
    packages = ", ".join(
        f"{name} {version}" for name, version in report["environment"]["packages"].items()
    )
    return (
        f"- `{report['file']}`: `{report['model']}`, {shapes}, {folding}{kept}; "
        f"{report['keras_parameters']:,} parameters before; {_limits(report)}; "
        f"{_of_images(report)}{_of_precision(report)}{_refused(report['details'])}"
        f"{packages}; {report['environment']['platform']}, "
        f"{report['environment']['processors']} processors."
    )


def _of_images(report: dict[str, Any]) -> str:
    """What errors are to pixels from 0 to 255, where the network's outputs are pictures."""
    parity = report["parity"]
    if parity.get("kind") != Kind.PICTURES or parity["rms_error"] is None:
        return ""
    peak_to_noise = 20 * math.log10(255 / max(parity["rms_error"], 255e-15))
    return f"largest error {parity['max_error'] / 255:.1e} of 255, PSNR {peak_to_noise:.1f} dB; "


def _of_gpu(details: dict[str, Any]) -> str:
    """Whether the GPU delegate takes all operators; unknown of other files and older reports."""
    if "gpu" not in details:
        return "–"
    count = sum(entry["count"] for entry in details["gpu"]["refused"])
    return f"all but {count}" if count else "all"


def _refused(details: dict[str, Any]) -> str:
    """The operators that the GPU delegate refuses, with the reasons."""
    entries = details.get("gpu", {}).get("refused", ())
    texts = [f"{entry['count']} {entry['operator']} ({entry['reason']})" for entry in entries]
    return f"a GPU delegate leaves to the CPU {', '.join(texts)}; " if texts else ""


def _of_precision(report: dict[str, Any]) -> str:
    """How far float32 is from the model itself, where that computes in another dtype."""
    own = report["details"].get("own_precision")
    if own is None:
        return ""
    return (
        f"compared with the model in float32, which differs from it in {own['dtype']} by up to "
        f"{own['max_error']:.1e}, {own['snr_db']:.1f} dB (at least {own['min_snr_db']:g} dB); "
    )


_LIMITS = {
    "max_error": "tolerance {:g}",
    "min_snr_db": "at least {:g} dB",
    "min_worst_db": "worst sample at least {:g} dB",
    "min_top1_agreement": "top-1 agreement at least {:.3g}",
    "max_grey_levels": "at most {:g} grey levels",
}


def _limits(report: dict[str, Any]) -> str:
    """Each limit, and how much of it is used."""
    used, bound = _used(report), report["bound"]
    texts = [
        text.format(bound[name]) + (f" ({_percent(used[name])} used)" if name in used else "")
        for name, text in _LIMITS.items()
        if bound.get(name) is not None
    ]
    return ", ".join(texts) or "no bound"


def _used(report: dict[str, Any]) -> dict[str, float]:
    """Share of each limit that is used; none of reports that older versions wrote."""
    parity = report["parity"]
    if parity.get("worst_db") is None:
        return {}
    return Parity(**parity).used(Bound(**report["bound"]))


def _nearest(used: dict[str, float]) -> str:
    return _percent(max(used.values())) if used else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _decibels(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} dB"


@dataclasses.dataclass(frozen=True)
class Gates:
    """What the page says of a network's gates.

    Attributes:
        header: Of the table.
        rows: Of the table, a block each.
        note: What the columns mean.
        pictures: PNG files by what they show.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    pictures: Mapping[str, Path]


def write_html(
    path: str | os.PathLike,
    title: str,
    facts: Mapping[str, Any],
    accuracies: Mapping[str, float],
    curves: str | os.PathLike,
    gates: Gates,
    exports: Sequence[ExportReport],
    predictions: Iterable[html.Prediction],
) -> None:
    """Write a self-contained HTML page; pictures are inside it.

    Args:
        path: Of the page.
        title: Of the page.
        facts: What was trained and how, in the order to show it.
        accuracies: top-1 accuracy in [0, 1] for each split.
        curves: A PNG of the training curves.
        gates: What they do.
        exports: The reports on the exported files.
        predictions: Sample images.
    """
    sections = [
        html.section("What was trained", html.table(("", ""), facts.items())),
        html.section("Accuracy", html.table(("split", "top-1"), html.percentages(accuracies))),
        html.section("Training curves", html.picture(Path(curves), "curves")),
        html.section("Gates", _gates(gates)),
        html.section("Exported files", _exports(exports)),
        html.section("Sample predictions", html.gallery(predictions)),
    ]
    write_text(path, html.page(title, sections))


def _gates(gates: Gates) -> str:
    statistics = html.table(gates.header, gates.rows, "numbers") + _note(gates.note)
    pictures = [
        html.section(words, html.picture(path, words), level=3)
        for words, path in gates.pictures.items()
    ]
    return statistics + "".join(pictures)


def _exports(exports: Sequence[ExportReport]) -> str:
    """A column a file: the dozen numbers of a file would not fit into a page side by side."""
    rows = zip(COLUMNS, *table([report.to_dict() for report in exports]), strict=True)
    header, *numbers = rows
    return html.table(header, numbers, "numbers") + _note(NOTE)


def _note(words: str) -> str:
    return f'\n<p class="note">{words}</p>\n'
