"""Model cards: what is written about a converted file and about a preset."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from srm_keras.support.files import sha256_of, write_json, write_text
from srm_keras.support.tables import markdown_table

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
    return {"file": path.name, "size_bytes": path.stat().st_size, "sha256": sha256_of(path)}


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


_KNOWN = ("name", "description", "license", "network", "data", "metrics", "recipe", "versions")


def readme(
    card: Mapping[str, Any], preprocessing: Mapping[str, Any], classes: Sequence[str]
) -> str:
    """Markdown with the Hub's front matter, of what ``card.json`` and the other files hold."""
    front = [f"{key}: {json.dumps(value)}" for key, value in _front_matter(card).items()]
    parts = ["\n".join(["---", *front, "---"]), f"# {card['name']}"]
    if card.get("description"):
        parts.append(str(card["description"]))
    parts += [_usage(), _metrics(card.get("metrics", {}))]
    for title in ("network", "data", "recipe", "versions"):
        if card.get(title):
            parts.append(_section(title, card[title]))
    others = {key: value for key, value in card.items() if key not in _KNOWN}
    if others:
        parts.append(_section("more", others))
    parts.append(_section("preprocessing", preprocessing))
    parts.append(f"## Classes\n\n{len(classes)}: {', '.join(classes)}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: Mapping[str, Any]) -> dict[str, Any]:
    """As YAML, of which JSON is a part."""
    matter: dict[str, Any] = {"library_name": "keras", "pipeline_tag": "image-classification"}
    if card.get("license"):
        matter["license"] = card["license"]
    matter["tags"] = ["srm-keras", "channel-attention"]
    results = [_result(card, split, scores) for split, scores in card.get("metrics", {}).items()]
    if results:
        matter["model-index"] = [{"name": card["name"], "results": results}]
    return matter


def _result(card: Mapping[str, Any], split: str, scores: Mapping[str, float]) -> dict[str, Any]:
    data = str(card.get("data", {}).get("name", "unknown"))
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": data, "type": data, "split": split},
        "metrics": [
            {"type": name, "value": value} for name, value in scores.items() if value is not None
        ],
    }


def _usage() -> str:
    return (
        "```python\nfrom srm_keras.interop import load_preset\n\n"
        'preset = load_preset("FOLDER")  # or "hf://USER/REPOSITORY@COMMIT"\n'
        "probabilities = preset.model(preset.preprocessing.evaluation(images))\n```"
    )


def _metrics(metrics: Mapping[str, Mapping[str, float]]) -> str:
    if not metrics:
        return ""
    names = list(next(iter(metrics.values())))
    rows = [[split, *(_score(scores.get(n)) for n in names)] for split, scores in metrics.items()]
    return "## Metrics\n\n" + markdown_table(["split", *names], rows)


def _score(value: Any) -> str:
    return "–" if value is None else _shown(value)


def _section(title: str, content: Any) -> str:
    heading = f"## {title.capitalize()}\n\n"
    if not isinstance(content, Mapping):
        return heading + _shown(content)
    lines = [f"- {name.replace('_', ' ')}: {_shown(value)}" for name, value in content.items()]
    return heading + "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 0.01 else f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
