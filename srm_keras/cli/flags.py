"""Flags that mean the same in every command, and checks of a command line."""

from collections.abc import Sequence
from typing import Any

from absl import flags as absl_flags
from absl.flags import FlagValues

MODELS = "a run folder, a preset (folder, .zip or hf://…), .keras, SavedModel, .tflite or .onnx"


def model(flags: FlagValues, kinds: str = MODELS) -> None:
    """`--model`: one trained network."""
    absl_flags.DEFINE_string("model", None, f"The trained network: {kinds}.", flag_values=flags)


def models(flags: FlagValues, kinds: str = MODELS) -> None:
    """`--models`: several trained networks, with commas between them."""
    absl_flags.DEFINE_list("models", [], f"Trained networks, each {kinds}.", flag_values=flags)


def out(flags: FlagValues, default: str | None = None, holds: str = "results") -> None:
    """`--out`: the folder for results."""
    absl_flags.DEFINE_string("out", default, f"Folder for the {holds}.", flag_values=flags)


def workdir(flags: FlagValues, default: str | None = None) -> None:
    """`--workdir`: the run folder."""
    absl_flags.DEFINE_string("workdir", default, "Run folder.", flag_values=flags)


def images(flags: FlagValues, used: str) -> None:
    """`--images`: image files, or folders of them at any depth."""
    absl_flags.DEFINE_list(
        "images", [], f"Image files, or folders searched at any depth: {used}", flag_values=flags
    )


def samples(flags: FlagValues, default: int | None, used: str, lower_bound: int = 1) -> None:
    """`--samples`: how many images."""
    absl_flags.DEFINE_integer(
        "samples", default, f"Number of images {used}", lower_bound, flag_values=flags
    )


def checkpoint(flags: FlagValues) -> None:
    """`--checkpoint`: which weights of a run folder."""
    absl_flags.DEFINE_enum(
        "checkpoint", "best", ["best", "last"], "Which weights of a run.", flag_values=flags
    )


def overwrite(flags: FlagValues, what: str) -> None:
    """`--overwrite`: whether what is there is replaced."""
    absl_flags.DEFINE_bool("overwrite", False, f"Replace {what}.", flag_values=flags)


def seeds(flags: FlagValues) -> None:
    """`--seeds`: of several trainings."""
    absl_flags.DEFINE_list("seeds", ["0"], "Seeds of the trainings.", flag_values=flags)


def seed_numbers(flags: FlagValues) -> list[int]:
    """The seeds that the flags name; raises `ValueError` where one is none."""
    for text in flags.seeds:
        if not text.strip().isdigit():
            raise ValueError(f"`seeds` must be non-negative integers. Received: {text!r}")
    return [int(text) for text in flags.seeds]


def check(flags: FlagValues, arguments: Sequence[str], *required: str) -> None:
    """Raise `ValueError` if there are arguments that are no flags, or a flag has no value."""
    if arguments:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(arguments)}")
    require(flags, *required)


def require(flags: FlagValues, *required: str) -> None:
    """Raise `ValueError` unless each of the flags has a value."""
    if all(_has_value(flags[name].value) for name in required):
        return
    *others, last = [f"`--{name}`" for name in required]
    if not others:
        raise ValueError(f"{last} is required.")
    raise ValueError(f"{', '.join(others)} and {last} are required.")


def _has_value(value: Any) -> bool:
    return value is not None and value != [] and value != ""
