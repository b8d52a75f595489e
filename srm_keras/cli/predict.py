r"""Says what a trained network sees in image files.

    srm-keras predict --model=runs/my_run photo.jpg more_photos/
    srm-keras predict --model=timm/seresnet50.ra2_in1k photo.jpg
    srm-keras predict --model=exports/model.tflite --top=3 --images=photos/ --out=predictions

--model is any trained classifier. Preprocessing and class names come from there, or from
preprocessing.json and classes.json beside it. With --out the predictions are written too, to
predictions.csv and predictions.json in that folder, or to the one file *.csv or *.json that it
names. Folders are searched for JPEG, PNG, BMP and WebP files at any depth, links followed, and how
many other files were passed over is told. A file that cannot be decoded is told in one line, the
others are classified, and the exit status is 1.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

TAKES = (*shared.CLASSIFIERS, "saved_model", "tflite", "onnx")


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, TAKES)
    absl_flags.DEFINE_integer(
        "top", 5, "How many classes to tell for each image.", lower_bound=1, flag_values=flags
    )
    shared.out(
        flags, holds="Folder for predictions.csv and predictions.json, or a file *.csv or *.json."
    )
    shared.images(flags, "classified, as those named without a flag.")
    absl_flags.DEFINE_string(
        "preprocessing",
        None,
        "A preprocessing.json, for a network that comes without.",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "class_names",
        None,
        "File of class names, a JSON list or text with one name a line, likewise.",
        flag_values=flags,
    )
    shared.batch_size(flags, 32)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Classify the images that the arguments name."""
    broken = _predict(flags, [*flags.images, *arguments])
    if broken:
        sys.exit(f"error: {broken} {'image' if broken == 1 else 'images'} could not be read")


def _predict(flags: FlagValues, paths: Sequence[str]) -> int:
    """Classify the images and return how many were broken."""
    shared.require(flags, "model")
    outs = _out_files(flags)
    from srm_keras.cli.networks import kind_of
    from srm_keras.export.predictions import image_files, predict_files, write_predictions
    from srm_keras.export.predictor import load_predictor, read_classes
    from srm_keras.interop.trained import read_preprocessing
    from srm_keras.support.timing import with_progress

    kind_of(flags.model, TAKES)
    files = image_files(paths)
    predictor = load_predictor(
        flags.model,
        read_preprocessing(flags.preprocessing) if flags.preprocessing else None,
        read_classes(flags.class_names) if flags.class_names else None,
    )
    if predictor.classes is None:
        print("The network has no class names; classes are numbers.", file=sys.stderr)
    done = []
    predictions = predict_files(predictor, files, flags.top, flags.batch_size)
    try:
        for prediction in with_progress(predictions, len(files), "classified", "images"):
            done.append(prediction)
            _tell(prediction)
    finally:
        for out in outs if done else ():
            write_predictions(out, done)
    return sum(bool(prediction.error) for prediction in done)


def _out_files(flags: FlagValues) -> list[Path]:
    """The files to write, checked before any work is done."""
    if not flags.out:
        return []
    from srm_keras.support.files import writable_file

    out = Path(flags.out)
    if out.suffix in (".csv", ".json") and not out.is_dir():
        return [writable_file("out", out)]
    if out.suffix and not out.is_dir():
        raise ValueError(
            f"`--out` must be a folder, or a file *.csv or *.json. Received: --out={flags.out}"
        )
    return [writable_file("out", out / f"predictions{suffix}") for suffix in (".csv", ".json")]


def _tell(prediction) -> None:
    if prediction.error:
        print(f"{prediction.path}: {prediction.error}", file=sys.stderr, flush=True)
        return
    guesses = "  ".join(f"{guess.class_name} {guess.score:.3f}" for guess in prediction.guesses)
    print(f"{prediction.path}  {guesses}", flush=True)
