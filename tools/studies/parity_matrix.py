"""Compares every exported file in every runtime with its Keras model.

    python -m tools.studies.parity_matrix --out=docs/results
    python -m tools.studies.parity_matrix --out=runs/parity --quick
    python -m tools.studies.parity_matrix --out=runs/parity --networks=resnet18 --modules=none,srm

Modules by networks by formats by runtimes: SavedModel in a process without Keras, LiteRT, ONNX
Runtime, OpenVINO, and LiteRT.js in headless Chromium. Writes parity.json, parity.csv and parity.md
to --out after each cell. A matrix that was interrupted goes on where it was; cells that failed are
tried again. Exits with 1 if a cell failed, or a float32 one is off by more than 1e-5 of the largest
output. docs/export.md says what is needed for which runtime.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags as absl_flags
from absl import logging
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.export.bounds import Kind
from srm_keras.export.deploy import deploy
from srm_keras.export.parity import compare
from srm_keras.export.runners import Runner, keras_runner
from srm_keras.support.foreign import first_line
from srm_keras.support.tables import markdown_table
from srm_keras.support.timing import PACKAGES, environment
from srm_keras.support.validation import one_of, positive_int
from tools.studies.parity_columns import (
    COLUMNS,
    FILES,
    FLOAT32_TOLERANCE,
    MODULES,
    NETWORKS,
    Column,
    Images,
    images,
    random_network,
)
from tools.studies.results import Results, Row, values, versions_text

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


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "out", None, "Folder for parity.json, parity.csv and parity.md.", flag_values=flags
    )
    absl_flags.DEFINE_bool(
        "quick", False, "One small network, without and with SRM.", flag_values=flags
    )
    absl_flags.DEFINE_list(
        "networks",
        None,
        "By default cifar_resnet56_bottleneck,resnet18,resnet50.",
        flag_values=flags,
    )
    absl_flags.DEFINE_list(
        "modules",
        None,
        "By default none,srm,se,ge,eca,cbam,simam,gct,fca.",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer("samples", 32, "Number of images.", lower_bound=1, flag_values=flags)


def _page(matrix: dict[str, Any]) -> str:
    cells, found = matrix["cells"], matrix["environment"]
    parts = [
        "# Parity matrix",
        NOTE.format(**matrix["settings"]),
        f"{versions_text(found['packages'])}; {found['platform']}.",
        *(_table(cells, network) for network in values(cells, "network")),
    ]
    failed = [cell for cell in cells if cell["error"] is not None]
    if failed:
        lines = [f"- {', '.join(_key(cell))}: {cell['error']}" for cell in failed]
        parts.append("## Failed\n\n" + "\n".join(lines))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _table(cells: Sequence[Row], network: str) -> str:
    """Formats and runtimes down, modules across."""
    cells = [cell for cell in cells if cell["network"] == network]
    modules = values(cells, "module")
    rows = list(dict.fromkeys((cell["format"], cell["runtime"]) for cell in cells))
    found = {_key(cell): cell_text(cell) for cell in cells}
    return f"## {network}\n\n" + markdown_table(
        ["format, runtime", *modules],
        [
            [", ".join(row), *(found.get((network, module, *row), "") for module in modules)]
            for row in rows
        ],
    )


def cell_text(cell: Row) -> str:
    """A cell as it stands in a table: ``3e-07, 134 dB, 100 %``."""
    if "snr_db" not in cell:
        return "failed"
    relative, snr, agreement = (
        cell[name] for name in ("max_relative_error", "snr_db", "top1_agreement")
    )
    return f"{relative:.0e}, {snr:.0f} dB, {100 * agreement:.0f} %"


def _key(cell: Row) -> tuple[str, ...]:
    return tuple(cell[name] for name in KEY)


def _environment() -> dict[str, Any]:
    """With the versions of the optional packages that are installed."""
    found = environment((*PACKAGES, *OPTIONAL_PACKAGES))
    return {**found, "packages": {name: v for name, v in found["packages"].items() if v}}


def parity_matrix(
    out: str | os.PathLike,
    networks: Sequence[str],
    modules: Sequence[str] = MODULES,
    columns: Sequence[Column] = COLUMNS,
    samples: int = 32,
    seed: int = 0,
    on_cell: Callable[[int, int, Row], object] = lambda done, total, cell: None,
) -> list[Row]:
    """Compare each file in each runtime with the Keras model, and write what was found.

    Networks have random weights (``matrix_networks``). The reference is the Keras model in this
    process, not folded; the files are of its deploy form. After each cell ``parity.json``,
    ``parity.csv`` and ``parity.md`` in ``out`` are written anew; cells that are there already and
    have no error are not computed again, so a matrix that was interrupted goes on.

    Args:
        out: Folder of the results.
        networks: Keys of ``matrix_networks.NETWORKS``.
        modules: Some of ``matrix_networks.MODULES``.
        columns: Files with runtimes; all must be there (``Column.missing``).
        samples: Number of images.
        seed: Of the weights.
        on_cell: Called after each cell with how many are done, how many there are, and the cell.

    Returns:
        The cells that were asked for. ``error`` is the message of what failed, else None;
        ``max_relative_error`` is the largest difference over the largest output; ``snr_db`` is 10
        times the logarithm of the outputs' mean square over that of the differences.

    Raises:
        ValueError: An argument is not one of the above, or ``out`` holds a matrix of other
            settings or package versions.
    """
    for network in networks:
        one_of("networks", network, NETWORKS)
    for module in modules:
        one_of("modules", module, MODULES)
    positive_int("samples", samples)
    head = {"settings": {"samples": samples, "seed": seed}, "environment": _environment()}
    matrix = Results(Path(out), "parity", "parity matrix", head, KEY, _page, key="cells")
    wanted = [(network, module) for network in networks for module in modules]
    cells: list[Row] = []
    for network, module in wanted:
        with tempfile.TemporaryDirectory() as folder:
            measure = _measure(network, module, columns, samples, seed, Path(folder))
            keys = [_place(network, module, column) for column in columns]
            for cell in matrix.completed(keys, measure):
                cells.append(cell)
                on_cell(len(cells), len(wanted) * len(columns), cell)
    return cells


def _place(network: str, module: str, column: Column) -> Row:
    return dict(zip(KEY, (network, module, column.format, column.runtime), strict=True))


def _measure(
    network: str, module: str, columns: Sequence[Column], samples: int, seed: int, folder: Path
) -> Callable[[Row], Row]:
    """A function that fills the cell of a column; the network is built when it is first needed."""
    by_place = {(column.format, column.runtime): column for column in columns}

    @cache
    def made() -> tuple[Runner, Callable[[str], Path], np.ndarray]:
        keras.backend.clear_session()
        data = images(NETWORKS[network].side, samples)
        model = random_network(network, module, data.train, seed)
        return _remembered(keras_runner(model)), _lazy_files(deploy(model), folder, data), data.test

    def measure(key: Row) -> Row:
        column = by_place[key["format"], key["runtime"]]
        reference, file, inputs = made()
        return _cell(column, partial(file, column.file), reference, inputs)

    return measure


def _remembered(run: Runner) -> Runner:
    """The reference, which runs each batch only once."""
    outputs: dict[bytes, np.ndarray] = {}

    def remembered(samples: np.ndarray) -> np.ndarray:
        key = samples.tobytes()
        if key not in outputs:
            outputs[key] = run(samples)
        return outputs[key]

    return remembered


def _lazy_files(network: keras.Model, folder: Path, data: Images) -> Callable[[str], Path]:
    """A function that writes the file of that name when it is first asked for."""

    @cache
    def file(name: str) -> Path:
        FILES[name](network, folder / name, data)
        return folder / name

    return file


def _cell(column: Column, file: Callable[[], Path], reference: Runner, samples: np.ndarray) -> Row:
    cell: Row = {"error": None}
    try:
        parity = compare(reference, column.load(file()), samples, kind=Kind.LOGITS)
    except Exception as error:  # Whatever a foreign runtime raises; the others are run after it.
        return cell | {"error": f"{type(error).__name__}: {first_line(error)}"}
    relative = parity.max_error / parity.max_output
    if column.exact and not relative <= FLOAT32_TOLERANCE:
        cell["error"] = f"off by {relative:.1e} of the largest output"
    return cell | {
        "samples": parity.samples,
        "max_output": parity.max_output,
        "max_error": parity.max_error,
        "max_relative_error": relative,
        "snr_db": parity.snr_db,
        "top1_agreement": parity.top1_agreement,
        "classes_on_top": len(set(reference(samples).argmax(axis=1))),
    }


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Compute the matrix that the flags ask for."""
    failed = _matrix(flags, arguments)
    if failed:
        sys.exit(f"error: {failed} cells failed; parity.md says why.")


def _matrix(flags: FlagValues, arguments: Sequence[str]) -> int:
    shared.check(flags, arguments, "out")
    from tools.studies import parity_columns

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    chosen = parity_columns.QUICK if flags.quick else parity_columns.FULL
    modules = ("none", "srm") if flags.quick else parity_columns.MODULES
    cells = parity_matrix(
        flags.out,
        flags.networks or chosen,
        flags.modules or modules,
        _columns(),
        flags.samples,
        on_cell=_print,
    )
    print(f"Wrote parity.json, parity.csv and parity.md to {flags.out}")
    return sum(cell["error"] is not None for cell in cells)


def _columns():
    """The columns that this machine can compute; says what is missing for the others."""
    from tools.studies.parity_columns import COLUMNS

    columns = []
    for column in COLUMNS:
        missing = column.missing()
        if missing:
            print(f"left out: {column.format}, {column.runtime}: needs {missing}", file=sys.stderr)
        else:
            columns.append(column)
    return columns


def _print(done: int, total: int, cell: dict) -> None:
    names = ", ".join(cell[name] for name in ("network", "module", "format", "runtime"))
    print(f"{done}/{total} {names}: {cell['error'] or cell_text(cell)}", flush=True)


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.parity_matrix"))
