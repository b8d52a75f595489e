r"""Times things on this machine.

    python -m tools.benchmark layers --out=runs/benchmark
    python -m tools.benchmark layers --quick
    python -m tools.benchmark pipeline --data_dir=FOLDER --out=runs/benchmark
    python -m tools.benchmark train_step --out=docs/results
    python -m tools.benchmark exported --out=runs/benchmark
    python -m tools.benchmark stylizers --out=runs/benchmark

``layers`` times every recalibration module, the bare product with given gates, and SRM with its
gradient left to TensorFlow, forward and with the backward pass, with and without XLA, and writes
layers.json and layers.md. docs/complexity.md says how it measures.

``pipeline`` measures how many images a second the ImageNet training pipeline delivers, beside the
limit that decoding and resizing set and beside plain Keras and PyTorch loaders, and writes
pipeline.json and pipeline.md. docs/data.md says how it measures.

``train_step`` measures images a second of the training loop, as ``train`` runs it, beside the bare
compiled step on a batch in memory, and writes benchmark_train_step.json and
benchmark_train_step.md. docs/training.md says what it found.

``exported`` times one image in LiteRT with one thread: ResNet-50, ResNet-18 and CifarResNet-56
without and with modules, in the form that the exporters write, as the folded layers, and in int8;
it writes benchmark_exported.json and benchmark_exported.md, which says how it measures. Leave the
machine alone meanwhile.

``stylizers`` does the same for the stylization network at 256×256 with batch norm, without and with
modules, and with instance norm; it writes benchmark_stylizers.json and benchmark_stylizers.md.
"""

import sys
from collections.abc import Sequence

from absl import flags as absl_flags
from absl import logging
from absl.flags import FlagValues

from srm_keras.cli.main import run


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "out", "runs/benchmark", "Folder for the JSON and Markdown files.", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "rounds",
        None,
        "Measured rounds. By default 20; of exported and stylizers 30, of train_step 8.",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_bool(
        "quick", False, "A tiny size, three rounds: to see that it works.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "data_dir",
        None,
        "pipeline: folder of class folders of JPEG files. Default: made-up ones.",
        flag_values=flags,
    )


def layers(flags: FlagValues) -> None:
    """Time the recalibration modules."""
    from tools.studies.layer_benchmark import QUICK_SHAPES, SHAPES, benchmark_layers, case_text

    benchmark_layers(
        QUICK_SHAPES if flags.quick else SHAPES,
        rounds=_rounds(flags, 20),
        out=flags.out,
        on_case=lambda case, rows: print(case_text(case, rows), end="\n\n", flush=True),
    )
    print(f"Wrote layers.json and layers.md to {flags.out}")


def pipeline(flags: FlagValues) -> None:
    """Measure the input pipeline."""
    from tools.studies.pipeline_benchmark import benchmark_pipeline, rows_markdown

    report = benchmark_pipeline(
        flags.data_dir,
        images=32 if flags.quick else 1024,
        batch_size=16 if flags.quick else 64,
        rounds=_rounds(flags, 20),
        out=flags.out,
    )
    print(rows_markdown(report["rows"]))
    print(f"Wrote pipeline.json and pipeline.md to {flags.out}")


def train_step(flags: FlagValues) -> None:
    """Measure the loop around the training step."""
    from tools.studies.train_step import CASES, QUICK_CASES, benchmark_train_step, rows_markdown

    report = benchmark_train_step(
        QUICK_CASES if flags.quick else CASES, rounds=_rounds(flags, 8), out=flags.out
    )
    print(rows_markdown(report["rows"]))
    print(f"Wrote benchmark_train_step.json and benchmark_train_step.md to {flags.out}")


def exported(flags: FlagValues) -> None:
    """Time exported classifiers."""
    from tools.studies.exported_files import NETWORKS
    from tools.studies.exported_files import QUICK as TINY

    _time_files(flags, TINY if flags.quick else NETWORKS, "benchmark_exported")


def stylizers(flags: FlagValues) -> None:
    """Time exported stylization networks."""
    from tools.studies.exported_files import STYLIZERS, TINY_STYLIZERS

    _time_files(flags, TINY_STYLIZERS if flags.quick else STYLIZERS, "benchmark_stylizers")


def _time_files(flags: FlagValues, networks: Sequence, name: str) -> None:
    from srm_keras.support.timing import timing_environment
    from tools.studies.exported_benchmark import benchmark_exported, rows_text

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    benchmark_exported(
        networks,
        rounds=_rounds(flags, 30),
        out=flags.out,
        environment=timing_environment(),
        on_file=lambda network, file: print(f"wrote {network.name}, {file}", file=sys.stderr),
        on_network=lambda network, rows: print(rows_text(rows), end="\n\n", flush=True),
        name=name,
    )
    print(f"Wrote {name}.json and {name}.md to {flags.out}")


def _rounds(flags: FlagValues, default: int) -> int:
    rounds = flags.rounds or default
    return min(rounds, 3) if flags.quick else rounds


BENCHMARKS = {
    "layers": layers,
    "pipeline": pipeline,
    "train_step": train_step,
    "exported": exported,
    "stylizers": stylizers,
}


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run the benchmark that the first argument names."""
    if len(arguments) != 1 or arguments[0] not in BENCHMARKS:
        known, given = ", ".join(BENCHMARKS), " ".join(arguments) or "none"
        raise ValueError(
            f"The one argument before the flags must be of: {known}. Received: {given}"
        )
    BENCHMARKS[arguments[0]](flags)


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.benchmark"))
