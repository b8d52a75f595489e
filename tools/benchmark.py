r"""Times things on this machine.

    python -m tools.benchmark layers --out=runs/benchmark
    python -m tools.benchmark layers --quick
    python -m tools.benchmark pipeline --data_dir=FOLDER --out=runs/benchmark
    python -m tools.benchmark exported --out=runs/benchmark
    python -m tools.benchmark stylizers --out=runs/benchmark

`layers` times every recalibration module, the bare product with given gates, and SRM with its
gradient left to TensorFlow, forward and with the backward pass, with and without XLA, and writes
layers.json and layers.md. docs/complexity.md says how it measures.

`pipeline` measures how many images a second the ImageNet training pipeline delivers, beside the
limit that decoding and resizing set and beside plain Keras and PyTorch loaders, and writes
pipeline.json and pipeline.md. docs/data.md says how it measures.

`exported` times one image in LiteRT with one thread: ResNet-50, ResNet-18 and CifarResNet-56
without and with modules, in the form that the exporters write, as the folded layers, and in int8;
it writes benchmark_exported.json and benchmark_exported.md, which says how it measures. Leave the
machine alone meanwhile.

`stylizers` does the same for the stylization network at 256×256 with batch norm, without and with
modules, and with instance norm; it writes benchmark_stylizers.json and benchmark_stylizers.md.
"""

import sys
from collections.abc import Sequence

from absl import flags, logging

from tools.command_line import start, stop

OUT = flags.DEFINE_string("out", "runs/benchmark", "Folder for the JSON and Markdown files.")
ROUNDS = flags.DEFINE_integer(
    "rounds", None, "Measured rounds. By default 20; of exported and stylizers 30.", lower_bound=1
)
QUICK = flags.DEFINE_bool("quick", False, "A tiny size, three rounds: to see that it works.")
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "pipeline: folder of class folders of JPEG files. Default: made-up ones."
)


def layers() -> None:
    """Time the recalibration modules."""
    from srm_keras.analysis.benchmarks.layer_benchmark import (
        QUICK_SHAPES,
        SHAPES,
        benchmark_layers,
        case_text,
    )

    benchmark_layers(
        QUICK_SHAPES if QUICK.value else SHAPES,
        rounds=_rounds(20),
        out=OUT.value,
        on_case=lambda case, rows: print(case_text(case, rows), end="\n\n", flush=True),
    )
    print(f"Wrote layers.json and layers.md to {OUT.value}")


def pipeline() -> None:
    """Measure the input pipeline."""
    from srm_keras.analysis.benchmarks.pipeline_benchmark import benchmark_pipeline, rows_markdown

    report = benchmark_pipeline(
        DATA_DIR.value,
        images=32 if QUICK.value else 1024,
        batch_size=16 if QUICK.value else 64,
        rounds=_rounds(20),
        out=OUT.value,
    )
    print(rows_markdown(report["rows"]))
    print(f"Wrote pipeline.json and pipeline.md to {OUT.value}")


def exported() -> None:
    """Time exported classifiers."""
    from srm_keras.export.benchmark.files import NETWORKS
    from srm_keras.export.benchmark.files import QUICK as TINY

    _time_files(TINY if QUICK.value else NETWORKS, "benchmark_exported")


def stylizers() -> None:
    """Time exported stylization networks."""
    from srm_keras.export.benchmark.files import STYLIZERS, TINY_STYLIZERS

    _time_files(TINY_STYLIZERS if QUICK.value else STYLIZERS, "benchmark_stylizers")


def _time_files(networks: Sequence, name: str) -> None:
    from srm_keras.analysis.benchmarks.benchmark import environment
    from srm_keras.export.benchmark.benchmark import benchmark_exported
    from srm_keras.export.benchmark.report import rows_text

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    benchmark_exported(
        networks,
        rounds=_rounds(30),
        out=OUT.value,
        environment=environment(),
        on_file=lambda network, file: print(f"wrote {network.name}, {file}", file=sys.stderr),
        on_network=lambda network, rows: print(rows_text(rows), end="\n\n", flush=True),
        name=name,
    )
    print(f"Wrote {name}.json and {name}.md to {OUT.value}")


def _rounds(default: int) -> int:
    rounds = ROUNDS.value or default
    return min(rounds, 3) if QUICK.value else rounds


BENCHMARKS = {"layers": layers, "pipeline": pipeline, "exported": exported, "stylizers": stylizers}


def main(argv: Sequence[str]) -> None:
    """Run the benchmark that the first argument names."""
    if len(argv) != 2 or argv[1] not in BENCHMARKS:
        known, given = ", ".join(BENCHMARKS), " ".join(argv[1:]) or "none"
        stop(f"The one argument before the flags must be of: {known}. Received: {given}")
    BENCHMARKS[argv[1]]()


if __name__ == "__main__":
    start(main)
