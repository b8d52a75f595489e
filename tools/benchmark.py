r"""Times things on this machine.

    python -m tools.benchmark layers --out=runs/benchmark
    python -m tools.benchmark layers --quick

`layers` times every recalibration module, the bare product with given gates, and SRM with its
gradient left to TensorFlow, forward and with the backward pass, with and without XLA, and writes
layers.json and layers.md. docs/complexity.md says how it measures.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

OUT = flags.DEFINE_string("out", "runs/benchmark", "Folder for the JSON and Markdown files.")
ROUNDS = flags.DEFINE_integer("rounds", 20, "Measured rounds.", lower_bound=1)
QUICK = flags.DEFINE_bool("quick", False, "One tiny shape, three rounds: to see that it works.")


def layers() -> None:
    """Time the recalibration modules."""
    from srm_keras.analysis.layer_benchmark import QUICK_SHAPES, SHAPES, benchmark_layers, case_text

    benchmark_layers(
        QUICK_SHAPES if QUICK.value else SHAPES,
        rounds=min(ROUNDS.value, 3) if QUICK.value else ROUNDS.value,
        out=OUT.value,
        on_case=lambda case, rows: print(case_text(case, rows), end="\n\n", flush=True),
    )
    print(f"Wrote layers.json and layers.md to {OUT.value}")


BENCHMARKS = {"layers": layers}


def main(argv: Sequence[str]) -> None:
    """Run the benchmark that the first argument names."""
    if len(argv) != 2 or argv[1] not in BENCHMARKS:
        known, given = ", ".join(BENCHMARKS), " ".join(argv[1:]) or "none"
        sys.exit(f"error: the one argument before the flags must be of: {known}. Received: {given}")
    try:
        BENCHMARKS[argv[1]]()
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    app.run(main)
