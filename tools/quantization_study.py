r"""Measures what TFLite's formats cost trained networks, above all int8.

    python -m tools.quantization_study --runs=runs/none,runs/se,runs/srm --out=docs/results

Reads run folders of train.classify. Compares a file of each format with the Keras model on images
of the evaluation split, from the form that the exporters write and from the folded layers
themselves; and int8 files whose modules compute partly in float, which shows where int8 loses.
Writes quantization.json, quantization.csv and quantization.md to --out after each file. A study
that was interrupted goes on where it was; files that failed are tried again.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging

from tools.command_line import check_flags, start

RUNS = flags.DEFINE_list("runs", [], "Run folders of train.classify.")
OUT = flags.DEFINE_string("out", None, "Folder for the results.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to take.")
SAMPLES = flags.DEFINE_integer(
    "samples", 2000, "Number of evaluation images on which files are compared.", lower_bound=1
)
REPRESENTATIVE = flags.DEFINE_list(
    "representative",
    "256,1000",
    "Numbers of training images from which integer formats take the range of every tensor: int8 is "
    "made with each, int16x8 with the largest.",
)


def main(argv: Sequence[str]) -> None:
    """Study the runs that the flags name."""
    check_flags(argv, RUNS, OUT, REPRESENTATIVE)
    from srm_keras.export.quantization.report import row_text
    from srm_keras.export.quantization.rows import Rows
    from srm_keras.export.quantization.study import study
    from srm_keras.training import load_run

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    settings = {
        "checkpoint": CHECKPOINT.value,
        "samples": SAMPLES.value,
    }
    representative = _counts()
    rows = Rows(Path(OUT.value), settings)
    folders = [Path(folder) for folder in RUNS.value]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        raise ValueError(f"`--runs` must be folders of different names. Received: {names}")
    runs = [load_run(folder, CHECKPOINT.value) for folder in folders]
    subjects = [
        _subject(name, run, max(representative)) for name, run in zip(names, runs, strict=True)
    ]
    for subject in subjects:
        study(subject, rows, representative, lambda row: print(row_text(row), flush=True))
    print(f"Wrote quantization.json, quantization.csv and quantization.md to {OUT.value}")


def _counts() -> list[int]:
    if not all(text.isdecimal() and int(text) for text in REPRESENTATIVE.value):
        raise ValueError(
            "`--representative` must be positive integers, as 256,1000. "
            f"Received: {','.join(REPRESENTATIVE.value)}"
        )
    return [int(text) for text in REPRESENTATIVE.value]


def _subject(name: str, run, representative: int):
    """The network of a run, with names that hold no path of this machine."""
    from srm_keras.export.quantization.study import Subject

    recipe = run.recipe.to_dict()
    options = [str(value) for _, value in sorted(recipe["model"]["options"].items())]
    return Subject(
        run=name,
        dataset=f"{recipe['data']['name']}, {len(run.classes)} classes",
        network=" ".join([recipe["model"]["name"], *options]),
        module=str(recipe["recalibration"] or "none"),
        seed=recipe["seed"],
        model=run.model,
        images=lambda: _images(run, representative),
    )


def _images(run, representative: int):
    from srm_keras.export.quantization.study import Images
    from tools.run_samples import evaluation_samples, representative_inputs

    samples = evaluation_samples(run, SAMPLES.value)
    return Images(representative_inputs(run, representative), samples.inputs, samples.labels)


if __name__ == "__main__":
    start(main)
