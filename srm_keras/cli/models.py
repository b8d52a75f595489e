r"""Lists the networks that can be built by name.

    srm-keras models
    srm-keras models 'srm_*'

The names are those of ``srm_keras.models.build`` and of the recipes' ``model.name``.
"""

from collections.abc import Sequence

from absl.flags import FlagValues


def define(flags: FlagValues) -> None:
    """There are no flags."""


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Print the names that match the patterns, or all."""
    from srm_keras.models import list_models

    patterns = list(arguments) or ["*"]
    names = [name for pattern in patterns for name in list_models(pattern)]
    if not names:
        raise ValueError(f"No network has such a name. Received: {' '.join(patterns)}")
    print("\n".join(dict.fromkeys(names)))
