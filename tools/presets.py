r"""Saves a run as a preset, and checks presets: folders without code that hold a trained network.

    python -m tools.presets --run=runs/texture_shapes_srm --out=presets/texture_shapes_srm
    python -m tools.presets --run=runs/texture_shapes_srm --checkpoint=last --out=shapes.zip
    python -m tools.presets --check=presets/texture_shapes_srm
    python -m tools.presets --check=hf://USER/REPOSITORY@COMMIT

A preset holds the network, its preprocessing, its classes and a card (recipe, data, metrics) as
JSON and as README.md, and the SHA-256 of every file. --check reads all of it as a program would
that does not trust it, says what it is, and exits non-zero if it is damaged or not what it should
be. docs/fine_tuning.md says more.
"""

from collections.abc import Sequence

from absl import flags

from tools.command_line import check_flags, start

RUN = flags.DEFINE_string("run", None, "Run folder of train.classify.")
OUT = flags.DEFINE_string("out", None, "The preset: a folder, or a .zip file.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to save.")
NAME = flags.DEFINE_string("name", None, "Name on the card. By default the network's.")
DESCRIPTION = flags.DEFINE_string("description", None, "Text on the card.")
LICENSE = flags.DEFINE_string("license", None, "License on the card, such as cc-by-4.0.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the preset that --out holds.")
CHECK = flags.DEFINE_string("check", None, "Preset to check: folder, .zip file or hf://…")


def main(argv: Sequence[str]) -> None:
    """Save or check, as the flags say."""
    _check_flags(argv)
    preset = _checked() if CHECK.value else _saved()
    print(
        f"{preset.card['name']}: {preset.model.count_params():,} parameters, "
        f"{len(preset.classes)} classes, sha256 {preset.sha256}"
    )
    for split, scores in preset.card.get("metrics", {}).items():
        print(f"{split}: {', '.join(f'{name} {value:.4f}' for name, value in scores.items())}")


def _check_flags(argv: Sequence[str]) -> None:
    check_flags(argv)
    saving = [flag for flag in (RUN, OUT) if flag.value]
    if (CHECK.value and saving) or (not CHECK.value and len(saving) < 2):
        raise ValueError("Either `--run` and `--out` are required, or `--check` alone.")


def _checked():
    from srm_keras.interop.presets import load_preset

    return load_preset(CHECK.value)


def _saved():
    from srm_keras.training import save_run_as_preset

    given = {"name": NAME.value, "description": DESCRIPTION.value, "license": LICENSE.value}
    card = {name: value for name, value in given.items() if value}
    return save_run_as_preset(RUN.value, OUT.value, CHECKPOINT.value, card, OVERWRITE.value)


if __name__ == "__main__":
    start(main)
