r"""Lists the networks that can be built by name, and the trained ones that have a name.

    srm-keras models
    srm-keras models 'srm_*'
    srm-keras models 'timm/*ecaresnet*'

Networks are those of ``srm_keras.models.build`` and of the recipes' ``model.name``, with trainable
parameters for the classes and multiply-adds on one image of the size that they have by default;
``srm-keras complexity --model=NAME`` says where they are. Trained ones follow:
``NETWORK.WEIGHTS`` is ``build(NETWORK, weights=WEIGHTS)``, ``timm/MODEL.TAG`` is on the Hugging
Face Hub, and every ``--model=`` and the recipes' ``init`` take either. Of those that come with the
package there are the accuracies on what they were evaluated on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from absl.flags import FlagValues


def define(flags: FlagValues) -> None:
    """There are no flags."""


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Print the networks that match the patterns, or all, as one table or two."""
    from srm_keras.interop.trained import NETWORKS, card_of
    from srm_keras.models import list_models, list_weights
    from srm_keras.support.files import read_csv
    from srm_keras.support.tables import text_table

    networks, weights = (
        list(dict.fromkeys(name for pattern in arguments or ["*"] for name in names(pattern)))
        for names in (list_models, list_weights)
    )
    if not networks and not weights:
        raise ValueError(f"No network has such a name. Received: {' '.join(arguments)}")
    counted = {row["name"]: row for row in read_csv(NETWORKS)}
    header = ("parameters", "multiply-adds")
    of_networks = [(name, *_counts(counted.get(name, {}))) for name in networks]
    of_weights = [(name, *_numbers(name, card_of(name), counted)) for name in weights]
    tables = []
    if of_networks:
        tables.append(text_table(("network", *header), of_networks))
    if of_weights:
        tables.append(text_table(("weights", *header, "accuracy"), of_weights))
    print("\n\n".join(tables))


def _counts(row: Mapping[str, Any]) -> tuple[str, str]:
    """Cells of the table; empty where a network was not counted."""
    parameters, operations = (row.get(name) for name in ("parameters", "multiply_adds"))
    return _number(parameters), _number(operations)


def _numbers(
    name: str, card: Mapping[str, Any], counted: Mapping[str, Any]
) -> tuple[str, str, str]:
    """What a card says, as cells of the table; of a network of timm what the network takes."""
    counts = {**card, "parameters": card.get("network", {}).get("trainable_parameters")}
    if name.startswith("timm/"):
        counts = counted.get(name.split("/")[1].split(".")[0], {})
    accuracies = [
        f"{split} {scores['accuracy']:.3f}"
        for split, scores in card.get("metrics", {}).items()
        if "accuracy" in scores
    ]
    return *_counts(counts), ", ".join(accuracies)


def _number(value: Any) -> str:
    return f"{int(value):,}" if value else ""
