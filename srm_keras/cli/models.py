r"""Lists the networks that can be built by name, and the trained ones that have a name.

    srm-keras models
    srm-keras models 'srm_*'
    srm-keras models 'timm/*ecaresnet*'

Networks are those of ``srm_keras.models.build`` and of the recipes' ``model.name``; ``srm-keras
complexity --model=NAME`` counts what one takes. Trained ones follow as a table:
``NETWORK.WEIGHTS`` is ``build(NETWORK, weights=WEIGHTS)``, ``timm/MODEL.TAG`` is on the Hugging
Face Hub, and every ``--model=`` and the recipes' ``init`` take either. Of those that come with the
package it has parameters, multiply-adds and the accuracies on what they were evaluated on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from absl.flags import FlagValues

HEADER = ("weights", "parameters", "multiply-adds", "accuracy")


def define(flags: FlagValues) -> None:
    """There are no flags."""


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Print the names that match the patterns, or all."""
    from srm_keras.interop.trained import card_of
    from srm_keras.models import list_models, list_weights
    from srm_keras.support.tables import text_table

    networks, weights = (
        list(dict.fromkeys(name for pattern in arguments or ["*"] for name in names(pattern)))
        for names in (list_models, list_weights)
    )
    if not networks and not weights:
        raise ValueError(f"No network has such a name. Received: {' '.join(arguments)}")
    rows = [(name, *_numbers(card_of(name))) for name in weights]
    table = [text_table(HEADER, rows)] if rows else []
    print("\n\n".join([*(["\n".join(networks)] if networks else []), *table]))


def _numbers(card: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a card says, as cells of the table."""
    counts = (card.get("network", {}).get("trainable_parameters"), card.get("multiply_adds"))
    accuracies = [
        f"{split} {scores['accuracy']:.3f}"
        for split, scores in card.get("metrics", {}).items()
        if "accuracy" in scores
    ]
    parameters, operations = (f"{count:,}" if count else "" for count in counts)
    return parameters, operations, ", ".join(accuracies)
