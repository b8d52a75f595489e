r"""Saves a run as a preset, and checks presets: folders without code that hold a trained network.

    srm-keras preset --model=runs/texture_shapes_srm --out=presets/texture_shapes_srm
    srm-keras preset --model=runs/texture_shapes_srm --checkpoint=last --out=shapes.zip
    srm-keras preset --check=presets/texture_shapes_srm
    srm-keras preset --check=hf://USER/REPOSITORY@COMMIT

A preset holds the network, its preprocessing, its classes and a card (recipe, data, metrics) as
JSON and as README.md, and the SHA-256 of every file. --check reads all of it as a program would
that does not trust it, says what it is, and exits non-zero if it is damaged or not what it should
be. docs/fine_tuning.md says more.
"""

from collections.abc import Sequence

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

TAKES = ("run",)


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, TAKES)
    shared.out(flags, holds="The preset: a folder, or a .zip file.")
    shared.checkpoint(flags)
    absl_flags.DEFINE_string(
        "name", None, "Name on the card. By default the network's.", flag_values=flags
    )
    absl_flags.DEFINE_string("description", None, "Text on the card.", flag_values=flags)
    absl_flags.DEFINE_string(
        "license", None, "License on the card, such as cc-by-4.0.", flag_values=flags
    )
    shared.overwrite(flags, "the preset that --out holds")
    absl_flags.DEFINE_string(
        "check", None, "Preset to check: folder, .zip file or hf://…", flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Save or check, as the flags say."""
    _check_flags(flags, arguments)
    preset = _checked(flags) if flags.check else _saved(flags)
    print(
        f"{preset.card['name']}: {preset.model.count_params():,} parameters, "
        f"{len(preset.classes)} classes, sha256 {preset.sha256}"
    )
    for split, scores in preset.card.get("metrics", {}).items():
        print(f"{split}: {', '.join(f'{name} {value:.4f}' for name, value in scores.items())}")


def _check_flags(flags: FlagValues, arguments: Sequence[str]) -> None:
    shared.check(flags, arguments)
    saving = [flag for flag in (flags["model"], flags["out"]) if flag.value]
    if (flags.check and saving) or (not flags.check and len(saving) < 2):
        raise ValueError("Either `--model` and `--out` are required, or `--check` alone.")


def _checked(flags: FlagValues):
    from srm_keras.interop.presets import load_preset

    return load_preset(flags.check)


def _saved(flags: FlagValues):
    from srm_keras.cli.networks import kind_of
    from srm_keras.training import save_run_as_preset

    kind_of(flags.model, TAKES)
    given = {"name": flags.name, "description": flags.description, "license": flags.license}
    card = {name: value for name, value in given.items() if value}
    return save_run_as_preset(flags.model, flags.out, flags.checkpoint, card, flags.overwrite)
