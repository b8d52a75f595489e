r"""Trains an image classifier from a recipe and leaves a run folder.

    python -m train.classify --config=train/recipes/texture_shapes.py \
        --config.recalibration=srm --workdir=runs/texture_shapes_srm

Every field of the recipe can be set on the command line (`--config.seed=1`,
`--config.model.options.depth=20`); `--config=FILE:smoke` is the recipe's one-minute form.
A run that was stopped or killed goes on when the same command is started again. docs/training.md
lists the fields and the files that a run writes.
"""

import sys
from collections.abc import Sequence

from absl import app, flags
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe: FILE or FILE:smoke.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder that the run is written to.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the run that `workdir` holds.")


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses the command line; anything wrong with it ends in one line on stderr."""
    try:
        rest = flags.FLAGS(argv)
        if not CONFIG.present or not WORKDIR.present:
            raise ValueError("`--config` and `--workdir` are required.")
        if len(rest) > 1:
            raise ValueError(f"Arguments must be flags. Received: {' '.join(rest[1:])}")
        CONFIG.value.to_dict()
    except OSError:
        given = " ".join(argv[1:])
        sys.exit(f"error: `--config` must be a recipe, FILE or FILE:smoke. Received: {given}")
    except AttributeError as error:
        cause = error.args[0]  # ml_collections wraps a KeyError with the name and the nearest one
        text = cause.args[0] if isinstance(cause, KeyError) else cause
        sys.exit(f"error: the recipe has no field {' '.join(str(text).split())}")
    except (flags.Error, ValueError) as error:
        sys.exit(f"error: {str(error).strip().splitlines()[-1]}")
    return rest


def main(argv: Sequence[str]) -> None:
    """Trains, and prints the accuracies."""
    from srm_keras.training import Interrupted, train

    try:
        result = train(CONFIG.value, WORKDIR.value, overwrite=OVERWRITE.value)
    except (ValueError, FloatingPointError, OSError) as error:
        sys.exit(f"error: {error}")
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + (stopped.signal or 0))
    except KeyboardInterrupt:
        sys.exit("Interrupted before the first step.")
    for name in ("best", "last"):
        scores = ", ".join(f"{k} {v['accuracy']:.4f}" for k, v in result[name]["splits"].items())
        print(f"{name} weights (step {result[name]['step']}): {scores}")
    print(f"Run folder: {WORKDIR.value}")


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
