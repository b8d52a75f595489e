r"""Exports a trained network to every format, batch norm folded, modules in deploy form.

    python -m tools.export --run=runs/texture_shapes_srm --out=exports/texture_shapes_srm
    python -m tools.export --run=runs/texture_shapes_srm --formats=saved_model,int8

Reads a run folder of train.classify. Writes saved_model/, model.tflite, model_float16.tflite,
model_dynamic.tflite, model_int8.tflite, model_int8_io.tflite, model_int8_float_modules.tflite (of a
network with modules), model_int16x8.tflite, model.onnx (where tf2onnx is installed), web/,
report.json and report.md to --out, and no file that does not compute what the Keras model computes
on evaluation images, to the bound of its format. docs/export.md says what each is for and what is
in the report.
"""

import sys
from collections.abc import Sequence

from absl import app, flags, logging

RUN = flags.DEFINE_string("run", None, "Run folder of train.classify.")
OUT = flags.DEFINE_string("out", None, "Folder for the files. By default RUN/export.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to export.")
FORMATS = flags.DEFINE_list(
    "formats",
    None,
    "Of: saved_model, float32, float16, dynamic, int8, int8_io, int8_float_modules, int16x8, onnx, "
    "web. By default all that fit the network and whose packages are installed.",
)
SAMPLES = flags.DEFINE_integer(
    "samples", 256, "Number of evaluation images on which outputs are compared.", lower_bound=1
)
REPRESENTATIVE = flags.DEFINE_integer(
    "representative",
    1000,
    "Number of training images from which integer formats take the range of every tensor.",
    lower_bound=1,
)
TOLERANCE = flags.DEFINE_float(
    "tolerance", 1e-5, "Largest difference from the Keras model's outputs, in float32 formats."
)
MIN_SNR_DB = flags.DEFINE_float(
    "min_snr_db", None, "Smallest signal-to-noise ratio of the logits in dB, in the other formats."
)


def main(argv: Sequence[str]) -> None:
    """Export the run that the flags name."""
    try:
        failures = _export(argv)
    except (ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
    if failures:
        for message in failures.values():
            print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


def _export(argv: Sequence[str]) -> dict[str, str]:
    if len(argv) > 1:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(argv[1:])}")
    if not RUN.value:
        raise ValueError("`--run` is required.")
    from pathlib import Path

    from srm_keras.export.formats import Source, available_formats, export_formats
    from srm_keras.training import load_run
    from tools.run_samples import evaluation_samples, representative_inputs

    run = load_run(RUN.value, CHECKPOINT.value)
    source = Source(
        run.model,
        evaluation_samples(run, SAMPLES.value).inputs,
        representative_inputs(run, REPRESENTATIVE.value),
        run.preprocessing,
        run.classes,
        TOLERANCE.value,
        MIN_SNR_DB.value,
    )
    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    out = Path(OUT.value or Path(RUN.value) / "export")
    formats = FORMATS.value or available_formats(run.model)
    failures = export_formats(source, out, formats, lambda report: print(report, flush=True))
    if len(failures) < len(formats):
        print(f"Wrote report.json and report.md to {out}")
    return failures


if __name__ == "__main__":
    app.run(main)
