r"""Counts the parameters and multiply-adds of a network.

    python -m tools.complexity --model=srm_resnet50
    python -m tools.complexity --model=srm_resnet50 --per=block --csv=blocks.csv --json=all.json
    python -m tools.complexity --model=runs/my_run/best.keras --per=layer
    python -m tools.complexity --paper
    python -m tools.complexity --formulas --model=resnet50

The first form prints a table by stage. `--paper` prints tables 1 and 2 of the SRM paper beside
this package's numbers, and `--formulas` the parameters of every module in every stage by the
formulas of its section 3.3 beside what is counted. docs/complexity.md says what is counted.
A layer of unknown cost counts 0 and is listed below the table.
"""

import sys
from collections.abc import Sequence

from absl import flags

from tools.command_line import check_flags, start

MODEL = flags.DEFINE_string(
    "model", None, "A name that srm_keras.models.build knows, a .keras file or a preset."
)
PAPER = flags.DEFINE_bool("paper", False, "Print the paper's tables 1 and 2 beside ours.")
FORMULAS = flags.DEFINE_bool(
    "formulas",
    False,
    "Print the paper's formulas for the parameters of modules beside what is counted in --model, "
    "the name of a network without a module; resnet50 by default.",
)
PER = flags.DEFINE_enum("per", "stage", ["layer", "block", "stage"], "A row of the table and CSV.")
INPUT_SHAPE = flags.DEFINE_list(
    "input_shape", None, "One image, such as 224,224,3. By default the network's own."
)
CLASSES = flags.DEFINE_integer("classes", None, "Number of classes, for --model=NAME.")
STRIDE_IN = flags.DEFINE_enum(
    "stride_in",
    None,
    ["1x1", "3x3"],
    "Which convolution of a bottleneck strides. By default 3x3 for --model=NAME and 1x1, the "
    "paper's, for --paper.",
)
CSV = flags.DEFINE_string("csv", None, "File for the rows of the table, as plain numbers.")
JSON = flags.DEFINE_string("json", None, "File for all numbers (every level, with --model).")


def main(argv: Sequence[str]) -> None:
    """Count a network, or those of the paper, as the flags say."""
    _check(argv)
    _paper() if PAPER.value else _formulas() if FORMULAS.value else _model()


def _check(argv: Sequence[str]) -> None:
    check_flags(argv)
    if PAPER.value and (FORMULAS.value or MODEL.value is not None):
        raise ValueError("Give either `--model` or `--paper`.")
    if MODEL.value is None and not (PAPER.value or FORMULAS.value):
        raise ValueError("Give either `--model` or `--paper`.")
    from srm_keras.files import writable_file

    for flag in (CSV, JSON):
        if flag.value is not None:
            writable_file(flag.name, flag.value)


def _model() -> None:
    from srm_keras.analysis import complexity

    result = complexity(_network(), _input_shape())
    print(result.to_text(PER.value))
    if CSV.value:
        result.to_csv(CSV.value, PER.value)
    if JSON.value:
        result.to_json(JSON.value)


def _network():
    from srm_keras.interop.presets import is_preset_name, load_preset
    from srm_keras.models import build
    from srm_keras.models.keras_files import read_keras_file

    options = {"classes": CLASSES.value, "stride_in": STRIDE_IN.value}
    options = {name: value for name, value in options.items() if value is not None}
    preset = is_preset_name(MODEL.value)
    if not preset and not MODEL.value.endswith(".keras"):
        return build(MODEL.value, **options)
    if options:
        raise ValueError(f"`--{next(iter(options))}` is for networks by name, not for files.")
    return load_preset(MODEL.value).model if preset else read_keras_file(MODEL.value)


def _input_shape() -> tuple[int, ...] | None:
    if INPUT_SHAPE.value is None:
        return None
    try:
        return tuple(map(int, INPUT_SHAPE.value))
    except ValueError:
        given = ",".join(INPUT_SHAPE.value)
        raise ValueError(
            f"`input_shape` must be integers, such as 224,224,3. Received: {given}"
        ) from None


def _paper() -> None:
    from srm_keras.analysis import compare_complexity, comparison_text

    rows = []
    for row in compare_complexity(STRIDE_IN.value or "1x1"):
        rows.append(row)
        print(f"counted {row['model']}, {row['classes']} classes", file=sys.stderr)
    print(comparison_text(rows))
    _write(rows)


def _formulas() -> None:
    from srm_keras.analysis.costs.paper_formulas import compare_formulas, formulas_text

    rows = list(compare_formulas(MODEL.value or "resnet50"))
    print(formulas_text(rows))
    _write(rows)


def _write(rows: list[dict]) -> None:
    from srm_keras.files import write_csv, write_json

    if CSV.value:
        write_csv(CSV.value, rows)
    if JSON.value:
        write_json(JSON.value, rows)


if __name__ == "__main__":
    start(main)
