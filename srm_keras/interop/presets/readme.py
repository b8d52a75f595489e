"""The README of a preset: a model card as the Hugging Face Hub shows it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from srm_keras.tables import markdown_table

_KNOWN = ("name", "description", "license", "network", "data", "metrics", "recipe", "versions")


def readme(
    card: Mapping[str, Any], preprocessing: Mapping[str, Any], classes: Sequence[str]
) -> str:
    """Markdown with the Hub's front matter, of what `card.json` and the other files hold."""
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
        "metrics": [{"type": name, "value": value} for name, value in scores.items()],
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
    rows = [[split, *(_text(scores.get(n)) for n in names)] for split, scores in metrics.items()]
    return "## Metrics\n\n" + markdown_table(["split", *names], rows)


def _section(title: str, content: Any) -> str:
    heading = f"## {title.capitalize()}\n\n"
    if not isinstance(content, Mapping):
        return heading + _text(content)
    lines = [f"- {name.replace('_', ' ')}: {_text(value)}" for name, value in content.items()]
    return heading + "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 0.01 else f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
