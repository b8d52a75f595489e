r"""Exports a trained network, batch norm folded, as a SavedModel and a float32 TFLite file.

    python -m tools.export --run=runs/texture_shapes_srm --out=exports/texture_shapes_srm

Reads a run folder of train.classify. Writes saved_model/, model.tflite, report.json and report.md
to --out, and nothing that does not compute what the Keras model computes on evaluation images.
docs/export.md says what is in the report.
"""

import sys
from collections.abc import Sequence

from absl import app, flags, logging

RUN = flags.DEFINE_string("run", None, "Run folder of train.classify.")
OUT = flags.DEFINE_string("out", None, "Folder for the files. By default RUN/export.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to export.")
SAMPLES = flags.DEFINE_integer(
    "samples", 256, "Number of evaluation images on which outputs are compared.", lower_bound=1
)
TOLERANCE = flags.DEFINE_float(
    "tolerance", 1e-5, "Largest difference from the Keras model's outputs.", lower_bound=0
)


def main(argv: Sequence[str]) -> None:
    """Export the run that the flags name."""
    from srm_keras.export import ExportError

    try:
        _export(argv)
    except (ValueError, ExportError) as error:
        sys.exit(f"error: {error}")


def _export(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(argv[1:])}")
    if not RUN.value:
        raise ValueError("`--run` is required.")
    from pathlib import Path

    from srm_keras.export import to_saved_model, to_tflite
    from srm_keras.training import load_run
    from tools.run_samples import evaluation_samples

    run = load_run(RUN.value, CHECKPOINT.value)
    samples = evaluation_samples(run, SAMPLES.value)
    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    out = Path(OUT.value or Path(RUN.value) / "export")
    for export, name in ((to_saved_model, "saved_model"), (to_tflite, "model.tflite")):
        print(export(run.model, out / name, samples.inputs, tolerance=TOLERANCE.value), flush=True)
    print(f"Wrote report.json and report.md to {out}")


if __name__ == "__main__":
    app.run(main)
