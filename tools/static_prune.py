r"""Removes the channels whose gates are low on average from a trained network, for good.

    python -m tools.static_prune --run=runs/srm --out=runs/static_pruning

Reads a run folder of train.classify. Averages the gates over training images and takes the filters
of the lowest channels out of every residual branch, a share at a time; then measures accuracy,
size and the time of one image in LiteRT with one thread, the files of all ratios taking turns. As a
control it removes as many channels drawn at random. Writes to --out

    ratio_0.25.keras, ratio_0.25.tflite    the network, and its deploy form, for every ratio
    static_pruning.csv, static_pruning.md  a line a ratio
    static_pruning.json                    the same with the channels kept in every block
    report.json, report.md                 parity of the TFLite files with the Keras models

Nothing is trained on afterwards; the .keras files can be. docs/pruning.md says more.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging

from tools.command_line import check_flags

RUN = flags.DEFINE_string("run", None, "Run folder of train.classify, a network with gates.")
OUT = flags.DEFINE_string("out", None, "Folder for the results.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to take.")
RATIOS = flags.DEFINE_list(
    "ratios", ["0", "0.25", "0.5"], "Shares of the channels to remove, ascending from 0."
)
CALIBRATION = flags.DEFINE_integer(
    "calibration", 1000, "Number of training images over which gates are averaged.", lower_bound=1
)
SAMPLES = flags.DEFINE_integer(
    "samples", None, "Number of evaluation images. Default: all of them.", lower_bound=1
)
ROUNDS = flags.DEFINE_integer("rounds", 50, "Measured times of each file.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Prune the run that the flags name."""
    from srm_keras.export import ExportError

    try:
        _prune(argv)
    except (ValueError, ExportError) as error:
        sys.exit(f"error: {error}")


def _prune(argv: Sequence[str]) -> None:
    check_flags(argv, RUN, OUT)
    from srm_keras.files import writable_file
    from srm_keras.training import load_run
    from tools.flag_values import ratios_of
    from tools.run_samples import evaluation_samples, representative_inputs
    from tools.static_pruning_study import FILES, measured, removals, rows_markdown, write

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    ratios = ratios_of(RATIOS.value)
    for name in FILES:
        writable_file("out", Path(OUT.value) / name)
    run = load_run(RUN.value, CHECKPOINT.value)
    inputs = representative_inputs(run, CALIBRATION.value)
    found = removals(run.model, inputs, ratios)
    samples = evaluation_samples(run, SAMPLES.value or sys.maxsize)
    rows = measured(found, samples, Path(OUT.value), ROUNDS.value)
    settings = {
        "run": Path(RUN.value).name,
        "checkpoint": CHECKPOINT.value,
        "calibration": len(inputs),
        "split": samples.split,
        "samples": len(samples.labels),
        "rounds": ROUNDS.value,
    }
    write(Path(OUT.value), settings, rows, found)
    print(rows_markdown(rows))
    print(f"Wrote {', '.join(FILES)}, .keras and .tflite files to {OUT.value}")


if __name__ == "__main__":
    app.run(main)
