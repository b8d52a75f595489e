r"""Counts the parameters and multiply-adds of a network.

    srm-keras complexity --model=srm_resnet50
    srm-keras complexity --model=srm_resnet50 --per=block --csv=blocks.csv --json=all.json
    srm-keras complexity --model=runs/my_run --per=layer
    srm-keras complexity --paper
    srm-keras complexity --formulas --model=resnet50

The first form prints a table by stage. ``--paper`` prints tables 1 and 2 of the SRM paper beside
this package's numbers, and ``--formulas`` the parameters of every module in every stage by the
formulas of its section 3.3 beside what is counted. docs/complexity.md says what is counted.
A layer of unknown cost counts 0 and is listed below the table.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, shared.CLASSIFIERS, "a name that srm_keras.models.build knows, ")
    absl_flags.DEFINE_bool(
        "paper", False, "Print the paper's tables 1 and 2 beside ours.", flag_values=flags
    )
    absl_flags.DEFINE_bool(
        "formulas",
        False,
        "Print the paper's formulas for the parameters of modules beside what is counted in "
        "--model, the name of a network without a module; resnet50 by default.",
        flag_values=flags,
    )
    absl_flags.DEFINE_enum(
        "per",
        "stage",
        ["layer", "block", "stage"],
        "A row of the table and CSV.",
        flag_values=flags,
    )
    absl_flags.DEFINE_list(
        "input_shape",
        None,
        "One image, such as 224,224,3. By default the network's own.",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "classes", None, "Number of classes, for --model=NAME.", flag_values=flags
    )
    absl_flags.DEFINE_enum(
        "stride_in",
        None,
        ["1x1", "3x3"],
        "Which convolution of a bottleneck strides. By default 3x3 for --model=NAME and 1x1, the "
        "paper's, for --paper.",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "csv", None, "File for the rows of the table, as plain numbers.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "json", None, "File for all numbers (every level, with --model).", flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Count a network, or those of the paper, as the flags say."""
    _check(flags, arguments)
    _paper(flags) if flags.paper else _formulas(flags) if flags.formulas else _model(flags)


def _check(flags: FlagValues, arguments: Sequence[str]) -> None:
    shared.check(flags, arguments)
    if flags.paper and (flags.formulas or flags.model is not None):
        raise ValueError("Give either `--model` or `--paper`.")
    if flags.model is None and not (flags.paper or flags.formulas):
        raise ValueError("Give either `--model` or `--paper`.")
    from srm_keras.support.files import writable_file

    for flag in (flags["csv"], flags["json"]):
        if flag.value is not None:
            writable_file(flag.name, flag.value)


def _model(flags: FlagValues) -> None:
    from srm_keras.analysis import complexity

    result = complexity(_network(flags), _input_shape(flags))
    print(result.to_text(flags.per))
    if flags.csv:
        result.to_csv(flags.csv, flags.per)
    if flags.json:
        result.to_json(flags.json)


def _network(flags: FlagValues):
    from srm_keras.cli.networks import kind_of
    from srm_keras.interop import read_trained
    from srm_keras.models import build, list_models

    options = {"classes": flags.classes, "stride_in": flags.stride_in}
    options = {name: value for name, value in options.items() if value is not None}
    if flags.model in list_models("*") or _is_no_path(flags.model):
        return build(flags.model, **options)
    if options:
        raise ValueError(f"`--{next(iter(options))}` is for networks by name, not for files.")
    kind_of(flags.model, shared.CLASSIFIERS)
    return read_trained(flags.model, field="--model").model


def _is_no_path(model: str) -> bool:
    path = Path(model)
    return len(path.parts) == 1 and not path.suffix and not path.exists()


def _input_shape(flags: FlagValues) -> tuple[int, ...] | None:
    if flags.input_shape is None:
        return None
    try:
        return tuple(map(int, flags.input_shape))
    except ValueError:
        given = ",".join(flags.input_shape)
        raise ValueError(
            f"`input_shape` must be integers, such as 224,224,3. Received: {given}"
        ) from None


def _paper(flags: FlagValues) -> None:
    from srm_keras.analysis import compare_complexity, comparison_text

    rows = []
    for row in compare_complexity(flags.stride_in or "1x1"):
        rows.append(row)
        print(f"counted {row['model']}, {row['classes']} classes", file=sys.stderr)
    print(comparison_text(rows))
    _write(flags, rows)


def _formulas(flags: FlagValues) -> None:
    from srm_keras.analysis.costs.paper import compare_formulas, formulas_text

    rows = list(compare_formulas(flags.model or "resnet50"))
    print(formulas_text(rows))
    _write(flags, rows)


def _write(flags: FlagValues, rows: list[dict]) -> None:
    from srm_keras.support.files import write_csv, write_json

    if flags.csv:
        write_csv(flags.csv, rows)
    if flags.json:
        write_json(flags.json, rows)
