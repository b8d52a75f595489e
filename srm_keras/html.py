"""Parts of self-contained HTML pages, which open in any browser without a network."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --muted: #888; --good: #1a7f37; --bad: #cf222e; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin-top: 1.6rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th { font-weight: 600; white-space: nowrap; } .numbers td { white-space: nowrap; }
.scroll { overflow-x: auto; }
.curves { max-width: 100%; background: white; border-radius: 6px; }
.note { color: var(--muted); font-size: .85rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; line-height: 1.35; }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; }
.right { color: var(--good); } .wrong { color: var(--bad); }
"""


def page(title: str, sections: Iterable[str]) -> str:
    """A whole page of ``sections`` under a heading."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{''.join(sections)}</body>\n</html>\n"
    )


def section(heading: str, content: str, level: int = 2) -> str:
    """``content``, which is HTML, under a heading of ``level`` 2 or 3."""
    return f"<h{level}>{escape(heading)}</h{level}>\n{content}\n"


def table(header: Sequence[str], rows: Iterable[Iterable[Any]], style: str = "") -> str:
    """A table of texts; with no words in ``header``, without a header."""
    lines = [_row("td", row) for row in rows]
    if any(header):
        lines.insert(0, _row("th", header))
    return f'<div class="scroll"><table class="{style}">\n{"".join(lines)}</table></div>'


def percentages(accuracies: Mapping[str, float]) -> list[tuple[str, str]]:
    """(split, text) of accuracies in [0, 1]."""
    return [(split, f"{100 * accuracy:.1f} %") for split, accuracy in accuracies.items()]


def image(png: bytes, alternative: str, style: str = "") -> str:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode("ascii")
    return f'<img class="{style}" alt="{escape(alternative)}" src="data:image/png;base64,{data}">'


def _row(tag: str, cells: Iterable[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>\n"
