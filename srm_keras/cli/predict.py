r"""Says what a trained network sees in image files.

    srm-keras predict --model=runs/my_run photo.jpg more_photos/
    srm-keras predict --model=exports/model.tflite --top=3 --out=predictions.csv photos/

--model is a run folder of train, a preset (folder, .zip file or hf://…), a .keras file, a
SavedModel, a .tflite or an .onnx file. Preprocessing and class names come from there, or from
preprocessing.json and classes.json beside it. Folders are searched for JPEG, PNG, BMP and WebP
files at any depth, links followed, and how many other files were passed over is told. A file that
cannot be decoded is told in one line, the others are classified, and the exit status is 1.
"""

import sys
from collections.abc import Sequence

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string("model", None, "The network; see above.", flag_values=flags)
    absl_flags.DEFINE_integer(
        "top", 5, "How many classes to tell for each image.", lower_bound=1, flag_values=flags
    )
    absl_flags.DEFINE_string(
        "out", None, "File for all predictions, *.csv or *.json.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "preprocessing",
        None,
        "A preprocessing.json, for a network that comes without.",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "classes",
        None,
        "Class names, a JSON list or text with one name a line, likewise.",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "batch_size", 32, "Images at a time.", lower_bound=1, flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Classify the images that the arguments name."""
    broken = _predict(flags, arguments)
    if broken:
        sys.exit(f"error: {broken} {'image' if broken == 1 else 'images'} could not be read")


def _predict(flags: FlagValues, paths: Sequence[str]) -> int:
    """Classify the images and return how many were broken."""
    shared.require(flags, "model")
    out = _out_file(flags)
    from srm_keras.export.predictions import image_files, predict_files, write_predictions
    from srm_keras.export.predictor import load_predictor, read_classes, read_preprocessing
    from srm_keras.support.progress import with_progress

    files = image_files(paths)
    predictor = load_predictor(
        flags.model,
        read_preprocessing(flags.preprocessing) if flags.preprocessing else None,
        read_classes(flags.classes) if flags.classes else None,
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
        if out and done:
            write_predictions(out, done)
    return sum(bool(prediction.error) for prediction in done)


def _out_file(flags: FlagValues):
    """The file to write, checked before any work is done."""
    if not flags.out:
        return None
    from srm_keras.support.files import writable_file

    out = writable_file("out", flags.out)
    if out.suffix not in (".csv", ".json"):
        raise ValueError(f"`--out` must be a file *.csv or *.json. Received: --out={flags.out}")
    return out


def _tell(prediction) -> None:
    if prediction.error:
        print(f"{prediction.path}: {prediction.error}", file=sys.stderr, flush=True)
        return
    guesses = "  ".join(f"{guess.class_name} {guess.score:.3f}" for guess in prediction.guesses)
    print(f"{prediction.path}  {guesses}", flush=True)
