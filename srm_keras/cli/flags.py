"""Flags that mean the same in every command, and checks of a command line."""

from collections.abc import Sequence
from typing import Any

from absl import flags as absl_flags
from absl.flags import FlagValues

KINDS = {
    "run": "a run folder of train",
    "stylizer": "a run folder of train_stylizer",
    "preset": "a preset (folder, .zip file or hf://…)",
    "keras": "a .keras file",
    "saved_model": "a SavedModel",
    "tflite": "a .tflite file",
    "onnx": "an .onnx file",
}
"""What ``--model`` and ``--models`` name: the kinds of trained networks."""
CLASSIFIERS = ("run", "preset", "keras")
"""Kinds that hold a classifier as a Keras model."""


def either(kinds: Sequence[str]) -> str:
    """The kinds in words: "a run folder of train or a .keras file"."""
    *others, last = [KINDS[kind] for kind in kinds]
    return f"{', '.join(others)} or {last}" if others else last


def model(flags: FlagValues, kinds: Sequence[str], besides: str = "") -> None:
    """``--model``: one trained network of these kinds, or what ``besides`` says."""
    absl_flags.DEFINE_string(
        "model", None, f"The network: {besides}{either(kinds)}.", flag_values=flags
    )


def models(flags: FlagValues, kinds: Sequence[str], besides: str = "") -> None:
    """``--models``: trained networks of these kinds, or what ``besides`` says; commas between."""
    absl_flags.DEFINE_list(
        "models",
        [],
        f"Networks, with commas between them, or shell patterns of such: {besides}{either(kinds)}.",
        flag_values=flags,
    )


def out(flags: FlagValues, default: str | None = None, holds: str = "Folder for results.") -> None:
    """``--out``: the folder for results."""
    absl_flags.DEFINE_string("out", default, holds, flag_values=flags)


def workdir(flags: FlagValues, default: str | None = None) -> None:
    """``--workdir``: the run folder."""
    absl_flags.DEFINE_string("workdir", default, "Run folder.", flag_values=flags)


def images(flags: FlagValues, used: str) -> None:
    """``--images``: image files, and folders of them."""
    absl_flags.DEFINE_list(
        "images",
        [],
        f"Image files, and folders that are searched at any depth, with commas between: {used}",
        flag_values=flags,
    )


def samples(flags: FlagValues, default: int | None, used: str, lower_bound: int = 1) -> None:
    """``--samples``: how many images."""
    absl_flags.DEFINE_integer(
        "samples", default, f"Number of images {used}", lower_bound, flag_values=flags
    )


def batch_size(flags: FlagValues, default: int) -> None:
    """``--batch_size``: how many images are computed at a time."""
    absl_flags.DEFINE_integer(
        "batch_size", default, "Images at a time.", lower_bound=1, flag_values=flags
    )


def checkpoint(flags: FlagValues) -> None:
    """``--checkpoint``: which weights of a run folder."""
    absl_flags.DEFINE_enum(
        "checkpoint", "best", ["best", "last"], "Which weights of a run folder.", flag_values=flags
    )


def overwrite(flags: FlagValues, what: str) -> None:
    """``--overwrite``: whether what is there is replaced."""
    absl_flags.DEFINE_bool("overwrite", False, f"Replace {what}.", flag_values=flags)


def seeds(flags: FlagValues) -> None:
    """``--seeds``: of several trainings."""
    absl_flags.DEFINE_list("seeds", ["0"], "Seeds of the trainings.", flag_values=flags)


def seed_numbers(flags: FlagValues) -> list[int]:
    """The seeds that the flags name; raises ``ValueError`` where one is none."""
    for text in flags.seeds:
        if not text.strip().isdigit():
            raise ValueError(f"`seeds` must be non-negative integers. Received: {text!r}")
    return [int(text) for text in flags.seeds]


def check(flags: FlagValues, arguments: Sequence[str], *required: str) -> None:
    """Raise ``ValueError`` if there are arguments that are no flags, or a flag has no value."""
    if arguments:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(arguments)}")
    require(flags, *required)


def require(flags: FlagValues, *required: str) -> None:
    """Raise ``ValueError`` unless each of the flags has a value."""
    if all(_has_value(flags[name].value) for name in required):
        return
    *others, last = [f"`--{name}`" for name in required]
    if not others:
        raise ValueError(f"{last} is required.")
    raise ValueError(f"{', '.join(others)} and {last} are required.")


def _has_value(value: Any) -> bool:
    return value is not None and value != [] and value != ""
