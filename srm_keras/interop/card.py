"""What is written about a converted file: the same facts as JSON and as Markdown."""

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from srm_keras.files import write_json, write_text

JSON_SUFFIX = ".card.json"
MARKDOWN_SUFFIX = ".card.md"
PACKAGES = ("srm-keras", "keras", "numpy")


def write_card(out: Path, card: Mapping[str, Any]) -> None:
    """Write ``FILE.card.json`` and ``FILE.card.md`` beside the file ``out``."""
    write_json(out.with_name(out.name + JSON_SUFFIX), card)
    write_text(out.with_name(out.name + MARKDOWN_SUFFIX), _markdown(card))


def network_facts(model: keras.Model) -> dict[str, Any]:
    """Name, shapes and number of parameters of a network."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return {
        "name": model.name,
        "input_shape": list(model.input_shape[1:]),
        "output_shape": list(model.output_shape[1:]),
        "trainable_parameters": trainable,
        "all_parameters": model.count_params(),
    }


def file_facts(path: Path) -> dict[str, Any]:
    """Name, size and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "size_bytes": path.stat().st_size, "sha256": digest}


def preprocessing(
    mean: Sequence[float], std: Sequence[float], input_shape: Sequence[int | None]
) -> dict[str, Any]:
    """ImageNet's evaluation as attributes of ``srm_keras.data.Preprocessing``; RGB images.

    The shorter side is resized to 256 where the network reads 224 pixels, and in proportion.
    """
    sides = [side for side in input_shape if side is not None and side > 4]
    side = sides[0] if sides else 224
    return {
        "image_size": side,
        "channels": 3,
        "resize": round(side * 256 / 224),
        "mean": list(mean),
        "std": list(std),
    }


def versions() -> dict[str, str]:
    """Of the packages that converted."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def _markdown(card: Mapping[str, Any]) -> str:
    lines = [f"# {card['network']['name']}", ""]
    for title, content in card.items():
        lines.append(f"## {title.replace('_', ' ').capitalize()}")
        lines.append("")
        if isinstance(content, Mapping):
            lines += [f"- {name.replace('_', ' ')}: {_text(v)}" for name, v in content.items()]
        else:
            lines.append(str(content))
        lines.append("")
    return "\n".join(lines)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
