r"""Exports a trained network to every format, batch norm folded, modules in deploy form.

    srm-keras export --model=runs/texture_shapes_srm --out=exports/texture_shapes_srm
    srm-keras export --model=runs/texture_shapes_srm --formats=saved_model,int8

Reads a run folder of train. Writes saved_model/, model.tflite, model_float16.tflite,
model_dynamic.tflite, model_int8.tflite, model_int8_io.tflite, model_int8_float_modules.tflite (of a
network with modules), model_int16x8.tflite, model.onnx (where tf2onnx is installed), web/,
report.json and report.md to --out, and no file that does not compute what the Keras model computes
on evaluation images, to the bound of its format. docs/export.md says what each is for and what is
in the report.

    srm-keras export --model=presets/shapes.zip --images=photos/ --out=exports/shapes

A preset (folder, .zip file or hf://…), a file and a trained network by name are exported like a
run. Outputs are compared on the images of --images or, without, on those of the data that the
preset's card names or the recipe beside the file, where they can be had.

    srm-keras export --model=runs/painting_srm --images=photos/ --samples=8

Of a run folder of train_stylizer, saved_model/, model.tflite and model_float16.tflite take photos
of any size, or with --image_size of that size alone, which web/ always does.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

TAKES = ("run", "stylizer", *shared.CLASSIFIERS[1:])

if TYPE_CHECKING:
    from srm_keras.export.formats import Source, StylizerSource


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, TAKES)
    shared.out(flags, holds="Folder for the files. By default RUN/export of a run folder.")
    shared.checkpoint(flags)
    absl_flags.DEFINE_list(
        "formats",
        None,
        "Of: saved_model, float32, float16, dynamic, int8, int8_io, int8_float_modules, int16x8, "
        "onnx, web. By default all that fit the network and whose packages are installed. Of "
        "train_stylizer: saved_model, float32, float16, web.",
        flag_values=flags,
    )
    shared.samples(
        flags, None, "on which outputs are compared. By default 256, or 8 of train_stylizer."
    )
    shared.images(
        flags,
        "outputs are compared on them, and integer formats take the range of every tensor from "
        "them. By default those of the run: held-out ones, and training images.",
    )
    absl_flags.DEFINE_integer(
        "image_size",
        None,
        "train_stylizer: side in pixels to which TFLite files are fixed. By default they take any "
        "size, and web/ that of the training.",
        lower_bound=8,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "representative",
        1000,
        "Number of training images from which integer formats take the range of every tensor.",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_float(
        "tolerance",
        None,
        "Largest difference from the Keras model's outputs, in float32 formats, beyond 1 as a part "
        "of the largest. By default 1e-5, or a quarter of a grey level for train_stylizer.",
        flag_values=flags,
    )
    absl_flags.DEFINE_float(
        "min_snr_db",
        None,
        "Smallest signal-to-noise ratio in dB, in the other formats.",
        flag_values=flags,
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Export the run that the flags name."""
    failures = _export(flags, arguments)
    if failures:
        for message in failures.values():
            print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


def _export(flags: FlagValues, arguments: Sequence[str]) -> dict[str, str]:
    shared.check(flags, arguments, "model")
    from srm_keras.cli.networks import kind_of
    from srm_keras.export.formats import (
        Source,
        StylizerSource,
        available_formats,
        check_formats,
        export_formats,
    )
    from srm_keras.support.files import writable_file

    kind = kind_of(flags.model, TAKES)
    of_stylizer = kind == "stylizer"
    check_formats(flags.formats or (), StylizerSource if of_stylizer else Source)
    out = _out(flags, kind)
    if flags.out:
        writable_file("out", out / "report.json")
    source = _stylizer(flags) if of_stylizer else _classifier(flags)
    formats = flags.formats or available_formats(source)
    failures = export_formats(source, out, formats, lambda report: print(report, flush=True))
    if len(failures) < len(formats):
        print(f"Wrote report.json and report.md to {out}")
    return failures


def _out(flags: FlagValues, kind: str) -> Path:
    """The folder for the files; a preset is not written into, as it holds its own files alone."""
    if kind in ("run", "stylizer"):
        return Path(flags.out or Path(flags.model) / "export")
    if flags["checkpoint"].present:
        raise ValueError(
            f"`--checkpoint` is for run folders: {shared.KINDS[kind]} has one network."
        )
    if not flags.out:
        raise ValueError(f"`--out` is required for {shared.KINDS[kind]}.")
    return Path(flags.out)


def _classifier(flags: FlagValues) -> "Source":
    """What is exported of a classifier."""
    from srm_keras.cli.networks import load_trained
    from srm_keras.cli.samples import export_inputs
    from srm_keras.export.formats import Source
    from srm_keras.export.predictions import image_files

    if flags.image_size:
        raise ValueError("`--image_size` is for runs of train_stylizer.")
    files = image_files(flags.images) if flags.images else ()
    run = load_trained(flags.model, flags.checkpoint)
    samples, representative = export_inputs(run, flags.samples or 256, flags.representative, files)
    return Source(
        run.model,
        samples,
        representative,
        run.preprocessing,
        run.classes,
        flags.tolerance,
        flags.min_snr_db,
    )


def _stylizer(flags: FlagValues) -> "StylizerSource":
    """The same of a run of train_stylizer."""
    from srm_keras.cli.networks import load_stylizer_run, photo_samples
    from srm_keras.export.formats import StylizerSource
    from srm_keras.export.predictions import image_files

    files = image_files(flags.images) if flags.images else ()
    run = load_stylizer_run(flags.model)
    side = flags.image_size or run.recipe.content.image_size
    return StylizerSource(
        run.model,
        photo_samples(run, flags.samples or 8, side, files),
        bool(flags.image_size),
        flags.tolerance,
        flags.min_snr_db,
    )
