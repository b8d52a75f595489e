"""What is written about every exported file."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from srm_keras.export.parity import Parity
from srm_keras.files import write_text

JSON = "report.json"
MARKDOWN = "report.md"
PACKAGES = ("srm-keras", "keras", "tensorflow", "ai-edge-litert", "numpy")


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What an exported file is and how it compares with the Keras model it was made of.

    Attributes:
        file: name of the file or folder.
        format: ``"SavedModel"`` or ``"TFLite float32"``.
        model: name of the Keras model.
        input_shape: with None for the batch and whatever else is dynamic.
        output_shape: likewise.
        size_bytes: of the file, or of all files in the folder.
        parameters: of the exported network.
        keras_parameters: of the Keras model, moving averages included.
        folded: whether batch norm was merged into the layers before it.
        batch_norm_kept: for each batch norm left in the file, why it could not be merged.
        parity: differences of the outputs on the samples.
        tolerance: that the export was held to; see ``Parity.bound``.
        latency_ms: median time of one image in milliseconds, ``{"keras": …, "file": …}``, the two
            run in turn. TFLite has one thread; Keras and SavedModel have TensorFlow's.
        environment: versions and platform.
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
    tolerance: float
    latency_ms: dict[str, float]
    environment: dict[str, Any]

    def __str__(self) -> str:
        size, _, max_error, mean_error, agreement, latency, keras_latency = _row(self.to_dict())[2:]
        return (
            f"{self.file}: {self.format}, {size}, max error {max_error}, mean {mean_error}, top-1 "
            f"agreement {agreement}, {latency} an image (Keras {keras_latency})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types; tuples are lists."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def environment() -> dict[str, Any]:
    """Versions of the packages, Python, platform and number of processors."""
    return {
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
    }


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Return the reports in ``folder/report.json``, oldest first; none where it is missing.

    Raises:
        ValueError: the file is not one that ``write_report`` wrote.
    """
    path = folder / JSON
    if not path.exists():
        return []
    try:
        reports = json.loads(path.read_text(encoding="utf-8"))["exports"]
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
    write_text(folder / JSON, json.dumps({"exports": reports}, indent=2) + "\n")
    write_text(folder / MARKDOWN, to_markdown(reports))


COLUMNS = (
    "file",
    "format",
    "size",
    "parameters",
    "max error",
    "mean error",
    "top-1 agreement",
    "latency",
    "Keras latency",
)
NOTE = (
    "Errors are absolute differences from the outputs of the Keras model on real samples. Latency "
    "is the median of one image, file and Keras model run in turn; TFLite has one thread."
)


def table(reports: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row of ``COLUMNS`` as text for each of ``reports``."""
    return [_row(report) for report in reports]


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    parity, latency = report["parity"], report["latency_ms"]
    agreement = parity["top1_agreement"]
    return (
        report["file"],
        report["format"],
        f"{report['size_bytes'] / 1e6:.2f} MB",
        f"{report['parameters']:,}",
        f"{parity['max_error']:.1e}",
        f"{parity['mean_error']:.1e}",
        "–" if agreement is None else f"{100 * agreement:.1f} % of {parity['samples']:,}",
        f"{latency['file']:.2f} ms",
        f"{latency['keras']:.2f} ms",
    )


def to_markdown(reports: list[dict[str, Any]]) -> str:
    """A table of the reports, and below it what does not fit into a column."""
    lines = ["# Exported files", "", _markdown_row(COLUMNS), _markdown_row(["---"] * len(COLUMNS))]
    lines += [_markdown_row(row) for row in table(reports)]
    lines += ["", NOTE, ""]
    lines += [_sentence(report) for report in reports]
    return "\n".join(lines) + "\n"


def _markdown_row(cells) -> str:
    return f"| {' | '.join(cells)} |"


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
        f"{report['keras_parameters']:,} parameters before; tolerance {report['tolerance']:g}; "
        f"{packages}; {report['environment']['platform']}, "
        f"{report['environment']['processors']} processors."
    )
