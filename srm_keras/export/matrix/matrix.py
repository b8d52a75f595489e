"""The parity matrix: every module in every network, in every file format, in every runtime."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.export.deploy import deploy
from srm_keras.export.foreign import first_line
from srm_keras.export.kinds import Kind
from srm_keras.export.matrix.networks import MODULES, NETWORKS, Images, images, random_network
from srm_keras.export.matrix.report import Matrix
from srm_keras.export.matrix.runtimes import COLUMNS, FILES, FLOAT32_TOLERANCE, Column
from srm_keras.export.parity import compare
from srm_keras.export.runners import Runner, keras_runner
from srm_keras.validation import one_of, positive_int

Cell = dict[str, Any]


def parity_matrix(
    out: str | os.PathLike,
    networks: Sequence[str],
    modules: Sequence[str] = MODULES,
    columns: Sequence[Column] = COLUMNS,
    samples: int = 32,
    seed: int = 0,
    on_cell: Callable[[int, int, Cell], object] = lambda done, total, cell: None,
) -> list[Cell]:
    """Compare each file in each runtime with the Keras model, and write what was found.

    Networks have random weights (``matrix_networks``). The reference is the Keras model in this
    process, not folded; the files are of its deploy form. After each cell ``parity.json``,
    ``parity.csv`` and ``parity.md`` in ``out`` are written anew; cells that are there already and
    have no error are not computed again, so a matrix that was interrupted goes on.

    Args:
        out: folder of the results.
        networks: keys of ``matrix_networks.NETWORKS``.
        modules: some of ``matrix_networks.MODULES``.
        columns: files with runtimes; all must be there (``Column.missing``).
        samples: number of images.
        seed: of the weights.
        on_cell: called after each cell with how many are done, how many there are, and the cell.

    Returns:
        The cells that were asked for. ``error`` is the message of what failed, else None;
        ``max_relative_error`` is the largest difference over the largest output; ``snr_db`` is 10
        times the logarithm of the outputs' mean square over that of the differences.

    Raises:
        ValueError: an argument is not one of the above, or ``out`` holds a matrix of other
            settings or package versions.
    """
    for network in networks:
        one_of("networks", network, NETWORKS)
    for module in modules:
        one_of("modules", module, MODULES)
    positive_int("samples", samples)
    matrix = Matrix(Path(out), {"samples": samples, "seed": seed})
    wanted = [(network, module) for network in networks for module in modules]
    cells: list[Cell] = []
    for network, module in wanted:
        for cell in _cells_of(matrix, network, module, columns, samples, seed):
            cells.append(cell)
            on_cell(len(cells), len(wanted) * len(columns), cell)
    return cells


def _cells_of(
    matrix: Matrix, network: str, module: str, columns: Sequence[Column], samples: int, seed: int
) -> Iterator[Cell]:
    """The cells of one network with one module: those that are known, and then the others."""
    known = [matrix.find(network, module, column.format, column.runtime) for column in columns]
    yield from filter(None, known)
    missing = [column for column, cell in zip(columns, known, strict=True) if cell is None]
    if not missing:
        return
    keras.backend.clear_session()
    data = images(NETWORKS[network].side, samples)
    model = random_network(network, module, data.train, seed)
    reference = _remembered(keras_runner(model))
    with tempfile.TemporaryDirectory() as folder:
        file = _lazy_files(deploy(model), Path(folder), data)
        for column in missing:
            key = {"network": network, "module": module}
            cell = key | _cell(column, partial(file, column.file), reference, data.test)
            matrix.add(cell)
            yield cell


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


def _cell(column: Column, file: Callable[[], Path], reference: Runner, samples: np.ndarray) -> Cell:
    cell: Cell = {"format": column.format, "runtime": column.runtime, "error": None}
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
