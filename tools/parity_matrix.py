r"""Compares every exported file in every runtime with its Keras model.

    python -m tools.parity_matrix --out=docs/results
    python -m tools.parity_matrix --out=runs/parity --quick
    python -m tools.parity_matrix --out=runs/parity --networks=resnet18 --modules=none,srm

Modules by networks by formats by runtimes: SavedModel in a process without Keras, LiteRT, ONNX
Runtime, OpenVINO, and LiteRT.js in headless Chromium. Writes parity.json, parity.csv and parity.md
to --out after each cell. A matrix that was interrupted goes on where it was; cells that failed are
tried again. Exits with 1 if a cell failed, or a float32 one is off by more than 1e-5 of the largest
output. docs/export.md says what is needed for which runtime.
"""

import sys
from collections.abc import Sequence

from absl import flags, logging

from tools.command_line import check_flags, start

OUT = flags.DEFINE_string("out", None, "Folder for parity.json, parity.csv and parity.md.")
QUICK = flags.DEFINE_bool("quick", False, "One small network, without and with SRM.")
NETWORKS = flags.DEFINE_list(
    "networks", None, "By default cifar_resnet56_bottleneck,resnet18,resnet50."
)
MODULES = flags.DEFINE_list("modules", None, "By default none,srm,se,ge,eca,cbam.")
SAMPLES = flags.DEFINE_integer("samples", 32, "Number of images.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Compute the matrix that the flags ask for."""
    failed = _matrix(argv)
    if failed:
        sys.exit(f"error: {failed} cells failed; parity.md says why.")


def _matrix(argv: Sequence[str]) -> int:
    check_flags(argv, OUT)
    from srm_keras.export.matrix import networks
    from srm_keras.export.matrix.matrix import parity_matrix

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    chosen = networks.QUICK if QUICK.value else networks.FULL
    modules = ("none", "srm") if QUICK.value else networks.MODULES
    cells = parity_matrix(
        OUT.value,
        NETWORKS.value or chosen,
        MODULES.value or modules,
        _columns(),
        SAMPLES.value,
        on_cell=_print,
    )
    print(f"Wrote parity.json, parity.csv and parity.md to {OUT.value}")
    return sum(cell["error"] is not None for cell in cells)


def _columns():
    """The columns that this machine can compute; says what is missing for the others."""
    from srm_keras.export.matrix.runtimes import COLUMNS

    columns = []
    for column in COLUMNS:
        missing = column.missing()
        if missing:
            print(f"left out: {column.format}, {column.runtime}: needs {missing}", file=sys.stderr)
        else:
            columns.append(column)
    return columns


def _print(done: int, total: int, cell: dict) -> None:
    from srm_keras.export.matrix.report import cell_text

    names = ", ".join(cell[name] for name in ("network", "module", "format", "runtime"))
    print(f"{done}/{total} {names}: {cell['error'] or cell_text(cell)}", flush=True)


if __name__ == "__main__":
    start(main)
