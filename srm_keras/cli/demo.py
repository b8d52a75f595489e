r"""Trains, evaluates and exports an SRM network on images that the package draws itself.

    srm-keras demo

Trains by the recipe texture_shapes, evaluates on all its test splits, folds the batch
norm, exports a SavedModel and a TFLite file, checks that they compute what the Keras model
computes, and writes --workdir/report.html: accuracy, curves, what the gates do, the exported files
and sample predictions. An earlier demo there is replaced.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

PARITY_SAMPLES = 256
PICTURES = 12


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.workdir(flags, "runs/demo")


def demo(recipe, workdir: Path) -> None:
    """Train ``recipe``, export the result and write a page about it, all to ``workdir``."""
    from srm_keras.cli.samples import evaluation_samples
    from srm_keras.export import to_saved_model, to_tflite
    from srm_keras.export.report import write_html
    from srm_keras.training import load_run, train

    result = train(recipe, workdir, overwrite=True)
    accuracies = {name: score["accuracy"] for name, score in result["best"]["splits"].items()}
    print("Accuracy: " + ", ".join(f"{name} {value:.3f}" for name, value in accuracies.items()))

    run = load_run(workdir)
    samples = evaluation_samples(run, PARITY_SAMPLES)
    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    reports = []
    described: dict[str, Any] = {"preprocessing": run.preprocessing, "classes": list(run.classes)}
    for export, name in ((to_saved_model, "saved_model"), (to_tflite, "model.tflite")):
        reports.append(export(run.model, workdir / name, samples.inputs, **described))
        print(reports[-1], flush=True)

    gates = _gates(run, samples.inputs, workdir)
    write_html(
        workdir / "report.html",
        title=f"{run.model.name} with {recipe.recalibration} on {recipe.data.name}",
        facts=_facts(run.recipe, result),
        accuracies=accuracies,
        curves=workdir / "curves.png",
        gates=gates,
        exports=reports,
        predictions=_predictions(run, samples),
    )
    print(f"Open {workdir / 'report.html'}")


def _facts(recipe, result: Mapping[str, Any]) -> dict[str, Any]:
    from srm_keras.training.reports import module_label

    options = ", ".join(f"{name} {value}" for name, value in recipe.model.options.items())
    return {
        "Network": f"{recipe.model.name} ({options})",
        "Recalibration": module_label(recipe.to_dict()),
        "Parameters": f"{result['parameters']['trainable']:,} trainable",
        "Data": f"{recipe.data.name}, split {recipe.data.train_split}",
        "Training": f"{result['last']['step']:,.0f} steps of {recipe.batch_size} images, "
        f"{result['seconds']:.0f} s; best weights after {result['best']['step']:,.0f}",
        "Optimizer": f"SGD, momentum {recipe.optimizer.momentum:g}, L2 "
        f"{recipe.optimizer.weight_decay:g}, learning rate {recipe.learning_rate.base:g}",
        "Seed": recipe.seed,
    }


def _gates(run, inputs, workdir: Path):
    """What the gates do on the evaluation images; gates/ has the files of ``srm-keras gates``."""
    from srm_keras.analysis.gates import report
    from srm_keras.export.report import Gates
    from srm_keras.support.tables import number
    from srm_keras.training import run_folder

    folder = workdir / "gates"
    module = run.recipe.recalibration
    analyses = report.gate_report({module: run.model}, [inputs], folder)
    columns = ("mean", "spread_over_images", "spread_over_channels", "shut", "open")
    rows = zip(
        report.statistics_rows(analyses), report.correlation_rows(analyses), strict=False
    )  # the last row of the correlations is the network's
    table = [
        (
            block["block"],
            f"{block['channels']}",
            *(f"{block[name]:.3f}" for name in columns),
            number(same["mean_squared"], ".3f"),
        )
        for block, same in rows
    ]
    return Gates(
        ("block", "channels", *(name.replace("_", " ") for name in columns), "mean r²"),
        table,
        f"The gates that {module} gives the channels of {len(inputs)} evaluation "
        "images. Spread: standard deviation of a channel's gate over the images, and of the "
        "channels' means. Shut and open: shares of gates below 0.05 and above 0.95. Mean r²: "
        "squared correlation between the gates of two channels, by chance "
        f"{analyses[module].correlation.chance:.3f}.",
        {
            "Gates by value": folder / report.HISTOGRAMS,
            "While the network was trained": workdir / run_folder.GATES_OVER_TRAINING,
            "Which channels say the same: last block of each stage": folder / report.MATRICES,
        },
    )


def _predictions(run, samples) -> list:
    from srm_keras.support.html import Prediction

    step = max(len(samples.images) // PICTURES, 1)
    chosen = slice(0, step * PICTURES, step)
    scores = run.model(samples.inputs[chosen], training=False).numpy()
    return [
        Prediction(
            image,
            run.classes[label],
            run.classes[row.argmax()],
            float(row.max()),
            float(row[label]),
        )
        for image, label, row in zip(
            samples.images[chosen], samples.labels[chosen], scores, strict=True
        )
    ]


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run the demo; what goes wrong ends in one line on stderr."""
    from srm_keras.export import ExportError
    from srm_keras.recipes.texture_shapes import get_config

    recipe = get_config()
    recipe.recalibration = "srm"
    shared.check(flags, arguments)
    try:
        demo(recipe, Path(flags.workdir))
    except ExportError as error:
        raise ValueError(str(error)) from error
