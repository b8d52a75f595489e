"""The files of the parity matrix."""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srm_keras.export.report import environment
from srm_keras.files import writable_file, write_csv, write_json, write_text
from srm_keras.resumed import resumed_rows
from srm_keras.tables import markdown_table

OPTIONAL_PACKAGES = ("tf2onnx", "onnx", "onnxruntime", "openvino")
KEY = ("network", "module", "format", "runtime")
NOTE = """\
Each cell: the largest difference from the outputs of the Keras model (in this process, not folded)
over the largest output; the signal-to-noise ratio of the outputs in decibels; the share of images
with the same top-1 class. The files hold the network in deploy form, batch norm folded. Weights are
random, batch norm statistics those of 64 training images, outputs are logits of 10 classes; images
are of the test split of texture_shapes, {samples} of them in one batch (one by one in Chromium).
ResNets read 64×64 pixels, CifarResNets 32×32.
"""


class Matrix:
    """The cells that are known, kept in ``parity.json``, ``parity.csv`` and ``parity.md``.

    Args:
        folder: of the files; made if it is not there.
        settings: what all cells have in common.

    Raises:
        ValueError: the folder cannot be made or written, or holds a matrix of other settings or
            package versions, or a file ``parity.json`` that is none.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self.folder = folder
        self.head = {"settings": settings, "environment": _environment()}
        self.cells: list[dict[str, Any]] = self._read()

    def find(self, *key: str) -> dict[str, Any] | None:
        """The cell of (network, module, format, runtime), unless it is unknown or failed."""
        for cell in self.cells:
            if _key(cell) == key and cell["error"] is None:
                return cell
        return None

    def add(self, cell: dict[str, Any]) -> None:
        """Keep ``cell`` in place of one of the same key, and write all files."""
        self.cells = [old for old in self.cells if _key(old) != _key(cell)] + [cell]
        write_json(self.folder / "parity.json", {**self.head, "cells": self.cells})
        names = list(dict.fromkeys([*KEY, *(name for cell in self.cells for name in cell)]))
        write_csv(self.folder / "parity.csv", self.cells, names)
        write_text(self.folder / "parity.md", self._markdown())

    def _read(self) -> list[dict[str, Any]]:
        path = writable_file("out", self.folder / "parity.json")
        return resumed_rows(path, "cells", self.head, "parity matrix")

    def _markdown(self) -> str:
        packages = self.head["environment"]["packages"]
        parts = [
            "# Parity matrix",
            NOTE.format(**self.head["settings"]),
            ", ".join(f"{name} {version}" for name, version in packages.items())
            + f"; {self.head['environment']['platform']}.",
            *(self._table(network) for network in _values(self.cells, "network")),
        ]
        failed = [cell for cell in self.cells if cell["error"] is not None]
        if failed:
            lines = [f"- {', '.join(_key(cell))}: {cell['error']}" for cell in failed]
            parts.append("## Failed\n\n" + "\n".join(lines))
        return "\n\n".join(part.rstrip() for part in parts) + "\n"

    def _table(self, network: str) -> str:
        """Formats and runtimes down, modules across."""
        cells = [cell for cell in self.cells if cell["network"] == network]
        modules = _values(cells, "module")
        rows = list(dict.fromkeys((cell["format"], cell["runtime"]) for cell in cells))
        found = {_key(cell): cell_text(cell) for cell in cells}
        return f"## {network}\n\n" + markdown_table(
            ["format, runtime", *modules],
            [
                [", ".join(row), *(found.get((network, module, *row), "") for module in modules)]
                for row in rows
            ],
        )


def cell_text(cell: dict[str, Any]) -> str:
    """A cell as it stands in a table: ``3e-07, 134 dB, 100 %``."""
    if "snr_db" not in cell:
        return "failed"
    relative, snr, agreement = (
        cell[name] for name in ("max_relative_error", "snr_db", "top1_agreement")
    )
    return f"{relative:.0e}, {snr:.0f} dB, {100 * agreement:.0f} %"


def _key(cell: dict[str, Any]) -> tuple[str, ...]:
    return tuple(cell[name] for name in KEY)


def _values(cells: Sequence[dict[str, Any]], name: str) -> list[str]:
    """The different values of a column, in order of appearance."""
    return list(dict.fromkeys(cell[name] for cell in cells))


def _environment() -> dict[str, Any]:
    """As of the export reports, with the versions of the optional packages that are installed."""
    common = environment()
    versions = dict(common["packages"])
    for name in OPTIONAL_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**common, "packages": versions}
