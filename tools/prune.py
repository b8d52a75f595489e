r"""Prunes the channels of every image by its own gates and measures what accuracy is left.

    python -m tools.prune --runs=runs/se,runs/srm --out=runs/pruning

Reads run folders of train.classify on the same data. In every residual block of a stage the
channels with the lowest gates are set to zero, a share at a time (figure 6 of the SRM paper); as a
control the same number of channels drawn at random. Writes to --out

    pruning.png     a panel a stage, a line a run, with the area under each
    pruning.csv     accuracy for every run, stage, order and ratio
    pruning.json    the same with areas, blocks and settings

after each stage. A command that was interrupted goes on where it was. docs/pruning.md says more.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

RUNS = flags.DEFINE_list("runs", [], "Run folders of networks with gates, or patterns.")
OUT = flags.DEFINE_string("out", None, "Folder for the results.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to take.")
SAMPLES = flags.DEFINE_integer(
    "samples", None, "Number of evaluation images. Default: all of them.", lower_bound=1
)
RATIOS = flags.DEFINE_list(
    "ratios",
    [f"{tenths / 10:g}" for tenths in range(11)],
    "Shares of the channels to prune, ascending from 0.",
)
STAGES = flags.DEFINE_list(
    "stages", [], "Stages to prune, as conv2,conv3,all. Default: each stage, and all together."
)
CONTROL = flags.DEFINE_bool("control", True, "Whether to prune at random too; doubles the time.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 100, "Images at a time.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Prune the runs that the flags name."""
    check_flags(argv, RUNS, OUT)
    from srm_keras.files import writable_file
    from tools.analysed_runs import analysed_runs
    from tools.pruning_study import FILES, Batches, PruningStudy, areas_table
    from tools.run_samples import evaluation_samples

    ratios = _ratios(RATIOS.value)
    for name in FILES:
        writable_file("out", Path(OUT.value) / name)
    runs = analysed_runs(RUNS.value, CHECKPOINT.value, gates=True)
    stages = {label: _stages(label, run.model) for label, run in runs.items()}
    samples = evaluation_samples(next(iter(runs.values())), SAMPLES.value or sys.maxsize)
    settings = {"checkpoint": CHECKPOINT.value, "split": samples.split, "ratios": ratios}
    study = PruningStudy(OUT.value, {**settings, "samples": len(samples.labels)})
    curves = {label: [] for label in runs}
    for label, run in runs.items():
        for order in ("gates", "random") if CONTROL.value else ("gates",):
            for stage in stages[label]:
                what = f"{label}, {stage}, {order}"
                batches = Batches(samples.inputs, samples.labels, BATCH_SIZE.value, what)
                curve = study.curve(label, run.model, batches, stage, order)
                curves[label].append(curve)
                study.write(curves)
                print(f"{what}: area {curve.area:.4f}", file=sys.stderr, flush=True)
    print(areas_table(curves))
    print(f"Wrote pruning.png, pruning.csv and pruning.json to {OUT.value}")


def _ratios(texts: Sequence[str]) -> list[float]:
    """The numbers of ``--ratios``, which must ascend from 0 to at most 1."""
    from srm_keras.analysis.pruning.curve import check_ratios

    try:
        ratios = [float(text) for text in texts]
    except ValueError:
        raise ValueError(
            f"`--ratios` must be numbers, as 0,0.5,1. Received: {','.join(texts)}"
        ) from None
    check_ratios(ratios)
    return ratios


def _stages(label: str, model) -> list[str]:
    """The stages to prune of a run, all of which it must have."""
    from srm_keras.analysis.pruning.curve import pruning_stages
    from srm_keras.validation import one_of

    try:
        known = pruning_stages(model)
    except ValueError as error:
        raise ValueError(f"`--runs` must be networks with gates ({label}): {error}") from None
    return [one_of("stages", stage, known) for stage in STAGES.value] or list(known)


if __name__ == "__main__":
    start(main)
