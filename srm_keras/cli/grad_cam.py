r"""Shows where trained networks see the evidence for a class (Grad-CAM), runs side by side.

    srm-keras grad_cam --models=runs/none,runs/se,runs/srm --out=analysis/grad_cam
    srm-keras grad_cam --models=runs/srm --out=analysis/grad_cam --method=grad_cam++ photos/
    srm-keras grad_cam --models=presets/srm,presets/se --images=photos/ --out=analysis/grad_cam

Takes networks that were trained on the same data. The images come from all over their evaluation
split, or are the files and folders of --images or named without a flag. Writes to --out:

    grad_cam.png   a row an image, many of them in several columns; the class that a run predicts,
                   green if it is right, else red
    grad_cam.json  the predictions, and the class of each map
    grad_cam.npz   the maps of each run, float32 (images, h, w) in [0, 1], by the run's name
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl import logging
from absl.flags import FlagValues

from srm_keras.cli import flags as shared


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.models(flags, shared.CLASSIFIERS)
    shared.out(flags)
    shared.checkpoint(flags)
    absl_flags.DEFINE_enum(
        "method", "grad_cam", ["grad_cam", "grad_cam++"], "Which maps.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "layer",
        None,
        "Layer with the feature map, inner/layer for one of a network within the network; by "
        "default the output of the last residual block.",
        flag_values=flags,
    )
    shared.images(flags, "looked at instead of the evaluation split.")
    shared.samples(flags, 12, "of the evaluation split, where no files are named.")
    absl_flags.DEFINE_enum(
        "class",
        "predicted",
        ["predicted", "true"],
        "The class that the maps are for.",
        flag_values=flags,
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Explain the runs that the flags name."""
    _explain(flags, [*flags.images, *arguments])


def _explain(flags: FlagValues, paths: Sequence[str]) -> None:
    shared.require(flags, "models", "out")
    if paths and flags["class"].value == "true":
        raise ValueError("`--class` must be predicted for image files. Received: --class=true")
    from srm_keras.cli.networks import analysed_runs
    from srm_keras.support.files import writable_file

    logging.set_verbosity(logging.ERROR)  # TensorFlow warns that every network is a new one.
    out = writable_file("out", Path(flags.out) / "grad_cam.png").parent
    runs = analysed_runs(flags.models, flags.checkpoint, files=bool(paths))
    _check_layer(flags, runs)
    first = next(iter(runs.values()))
    inputs, names, labels = _images(flags, first, paths)
    explained = {
        label: _explained(flags, label, run, inputs, labels) for label, run in runs.items()
    }
    _write(flags, out, first, inputs, names, labels, explained)
    for label, network in explained.items():
        print(_summary(label, network, labels))
    print(f"Wrote grad_cam.png, grad_cam.json and grad_cam.npz to {out}")


def _check_layer(flags: FlagValues, runs) -> None:
    """Raise ``ValueError`` unless each network has the layer, before any image is read."""
    from srm_keras.analysis.attribution.grad_cam import feature_map

    for label, run in runs.items():
        try:
            feature_map(run.model, flags.layer)
        except ValueError as error:
            raise ValueError(f"Run {label}: {error}") from None


def _images(flags: FlagValues, run, paths: Sequence[str]):
    """Prepared images, what to call them, and their classes if these are known."""
    from srm_keras.cli.samples import evaluation_samples, file_inputs
    from srm_keras.export.predictions import image_files

    if paths:
        files = image_files(paths)
        return file_inputs(run.preprocessing, files), [file.name for file in files], None
    samples = evaluation_samples(run, flags.samples)
    return samples.inputs, [run.classes[label] for label in samples.labels], samples.labels


def _explained(flags: FlagValues, label: str, run, inputs, labels):
    from srm_keras.analysis.attribution.grad_cam import grad_cam
    from srm_keras.analysis.attribution.heat_map import Explained

    scores = run.model.predict(inputs, verbose=0)
    predicted = scores.argmax(axis=-1)
    shown = labels if flags["class"].value == "true" else predicted
    try:
        maps = grad_cam(run.model, inputs, shown, flags.layer, flags.method)
    except ValueError as error:
        raise ValueError(f"Run {label}: {error}") from None
    return Explained(maps, shown, predicted, scores.max(axis=-1))


def _write(flags: FlagValues, out: Path, run, inputs, names, labels, explained) -> None:
    import numpy as np

    from srm_keras.analysis.activations.pictures import save_picture
    from srm_keras.analysis.attribution.heat_map import heat_map_sheet
    from srm_keras.cli.samples import pixels
    from srm_keras.support.files import write_atomically, write_json

    maps = {label: network.maps for label, network in explained.items()}
    write_atomically(out / "grad_cam.npz", lambda file: np.savez_compressed(file, **maps))
    write_json(out / "grad_cam.json", _record(flags, run.classes, names, labels, explained))
    title = "Grad-CAM++" if flags.method == "grad_cam++" else "Grad-CAM"
    title += f" at {flags.layer}" if flags.layer else ""
    title += f", {flags['class'].value} class, red: most"
    images = pixels(run.preprocessing, inputs)
    sheet = heat_map_sheet(list(images), names, explained, run.classes, title, labels)
    save_picture(sheet, out / "grad_cam.png")


def _record(flags: FlagValues, classes, names, labels, explained) -> dict:
    """What JSON holds."""
    images = []
    for index, name in enumerate(names):
        known = {"file": name} if labels is None else {"class": name}
        predictions = {
            label: {
                "predicted": classes[network.predicted[index]],
                "score": round(float(network.scores[index]), 6),
                "map_for": classes[network.shown[index]],
            }
            for label, network in explained.items()
        }
        images.append({**known, "runs": predictions})
    return {"method": flags.method, "layer": flags.layer or "last feature map", "images": images}


def _summary(label: str, network, labels) -> str:
    count = len(network.predicted)
    if labels is None:
        return f"{label}: {count} images"
    return f"{label}: {int((network.predicted == labels).sum())} of {count} images right"
