r"""Exports a trained network to every format, batch norm folded, modules in deploy form.

    python -m tools.export --run=runs/texture_shapes_srm --out=exports/texture_shapes_srm
    python -m tools.export --run=runs/texture_shapes_srm --formats=saved_model,int8

Reads a run folder of train.classify. Writes saved_model/, model.tflite, model_float16.tflite,
model_dynamic.tflite, model_int8.tflite, model_int8_io.tflite, model_int8_float_modules.tflite (of a
network with modules), model_int16x8.tflite, model.onnx (where tf2onnx is installed), web/,
report.json and report.md to --out, and no file that does not compute what the Keras model computes
on evaluation images, to the bound of its format. docs/export.md says what each is for and what is
in the report.

    python -m tools.export --run=presets/shapes.zip --images=photos/ --out=exports/shapes

A preset (folder, .zip file or hf://…) is exported like a run. Its outputs are compared on the
images of --images or, without, on those of the data that its card names, where they can be had.

    python -m tools.export --run=runs/painting_srm --images=photos/ --samples=8

Of a run folder of train.stylize, saved_model/, model.tflite and model_float16.tflite take photos of
any size, or with --image_size of that size alone, which web/ always does.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

RUN = flags.DEFINE_string(
    "run", None, "Run folder of train.classify or train.stylize, or a preset of a classifier."
)
OUT = flags.DEFINE_string("out", None, "Folder for the files. By default RUN/export of a run.")
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "best", ["best", "last"], "Which weights of a run to export."
)
FORMATS = flags.DEFINE_list(
    "formats",
    None,
    "Of: saved_model, float32, float16, dynamic, int8, int8_io, int8_float_modules, int16x8, onnx, "
    "web. By default all that fit the network and whose packages are installed. Of train.stylize: "
    "saved_model, float32, float16, web.",
)
SAMPLES = flags.DEFINE_integer(
    "samples",
    None,
    "Number of evaluation images on which outputs are compared. By default 256, or 8 of "
    "train.stylize.",
    lower_bound=1,
)
IMAGES = flags.DEFINE_string(
    "images",
    None,
    "Folder of image files on which outputs are compared, and from which integer formats take the "
    "range of every tensor. By default those of the run: held-out ones, and training images.",
)
IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "train.stylize: side in pixels to which TFLite files are fixed. By default they take any size, "
    "and web/ that of the training.",
    lower_bound=8,
)
REPRESENTATIVE = flags.DEFINE_integer(
    "representative",
    1000,
    "Number of training images from which integer formats take the range of every tensor.",
    lower_bound=1,
)
TOLERANCE = flags.DEFINE_float(
    "tolerance",
    None,
    "Largest difference from the Keras model's outputs, in float32 formats, beyond 1 as a part of "
    "the largest. By default 1e-5, or a quarter of a grey level for train.stylize.",
)
MIN_SNR_DB = flags.DEFINE_float(
    "min_snr_db", None, "Smallest signal-to-noise ratio in dB, in the other formats."
)


def main(argv: Sequence[str]) -> None:
    """Export the run that the flags name."""
    failures = _export(argv)
    if failures:
        for message in failures.values():
            print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


def _export(argv: Sequence[str]) -> dict[str, str]:
    check_flags(argv, RUN)
    from srm_keras.export.formats import FORMATS as OF_CLASSIFIERS
    from srm_keras.export.formats import check_formats, export_formats
    from srm_keras.export.stylizer_formats import STYLIZER_FORMATS
    from srm_keras.files import writable_file
    from tools.stylizer_runs import is_stylizer_run

    of_stylizer = is_stylizer_run(RUN.value)
    table = STYLIZER_FORMATS if of_stylizer else OF_CLASSIFIERS
    check_formats(FORMATS.value or (), table)
    out = _out()
    if OUT.value:
        writable_file("out", out / "report.json")
    source, formats = _stylizer() if of_stylizer else _classifier()
    formats = FORMATS.value or formats
    failures = export_formats(source, out, formats, lambda report: print(report, flush=True), table)
    if len(failures) < len(formats):
        print(f"Wrote report.json and report.md to {out}")
    return failures


def _out() -> Path:
    """The folder for the files; a preset is not written into, as it holds its own files alone."""
    from srm_keras.interop.presets import is_preset_name

    if not is_preset_name(RUN.value):
        return Path(OUT.value or Path(RUN.value) / "export")
    if CHECKPOINT.present:
        raise ValueError("`--checkpoint` is for run folders: a preset has one network.")
    if not OUT.value:
        raise ValueError("`--out` is required for a preset.")
    return Path(OUT.value)


def _classifier() -> tuple:
    """What is exported of a classifier, and the formats by default."""
    from srm_keras.export.formats import Source, available_formats
    from srm_keras.export.predictions import image_files
    from tools.run_samples import export_inputs, load_trained

    if IMAGE_SIZE.value:
        raise ValueError("`--image_size` is for runs of train.stylize.")
    files = image_files([IMAGES.value]) if IMAGES.value else ()
    run = load_trained(RUN.value, CHECKPOINT.value)
    samples, representative = export_inputs(run, SAMPLES.value or 256, REPRESENTATIVE.value, files)
    source = Source(
        run.model,
        samples,
        representative,
        run.preprocessing,
        run.classes,
        TOLERANCE.value,
        MIN_SNR_DB.value,
    )
    return source, available_formats(run.model)


def _stylizer() -> tuple:
    """The same of a run of train.stylize."""
    from srm_keras.export.predictions import image_files
    from srm_keras.export.stylizer_formats import STYLIZER_FORMATS, StylizerSource
    from tools.stylizer_runs import load_stylizer_run, photo_samples

    files = image_files([IMAGES.value]) if IMAGES.value else ()
    run = load_stylizer_run(RUN.value)
    side = IMAGE_SIZE.value or run.recipe.content.image_size
    source = StylizerSource(
        run.model,
        photo_samples(run, SAMPLES.value or 8, side, files),
        bool(IMAGE_SIZE.value),
        TOLERANCE.value,
        MIN_SNR_DB.value,
    )
    return source, list(STYLIZER_FORMATS)


if __name__ == "__main__":
    start(main)
