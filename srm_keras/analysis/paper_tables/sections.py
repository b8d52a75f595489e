"""Parts of a report that can be written as Markdown, as HTML and as JSON."""

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from srm_keras.support import html
from srm_keras.support.tables import markdown_table

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG in a report.

    Attributes:
        name: Of its file, unique in the report.
        caption: What it shows.
        png: Its bytes.
    """

    name: str
    caption: str
    png: bytes


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with text, a table and pictures under it.

    Attributes:
        title: The heading.
        text: Paragraphs above the table.
        rows: Of the table; their keys are its header. None, and what a row lacks, is a dash.
        notes: Lines below the table.
        pictures: At the end.
        level: 2 for a main heading, 3 for one below it.
        data: What programs may want to read of it.
    """

    title: str
    text: Sequence[str] = ()
    rows: Sequence[Row] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    level: int = 2
    data: Any = None


def to_markdown(title: str, sections: Sequence[Section], picture_folder: str) -> str:
    """The report as Markdown; its pictures are files in ``picture_folder``, a relative path."""
    return f"# {title}\n\n" + "\n\n".join(_markdown(one, picture_folder) for one in sections) + "\n"


def to_html(title: str, sections: Sequence[Section]) -> str:
    """The report as a page that holds its pictures."""
    return html.page(title, [_html(one) for one in sections])


def to_json(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """The report as plain lists and numbers."""
    return [
        {
            "title": one.title,
            "data": list(one.rows) if one.data is None else one.data,
            "notes": list(one.notes),
            "pictures": [picture.name for picture in one.pictures],
        }
        for one in sections
    ]


def _markdown(section: Section, picture_folder: str) -> str:
    parts = ["#" * section.level + f" {section.title}", *section.text]
    if section.rows:
        parts.append(markdown_table(*_table(section.rows)))
    if section.notes:
        parts.append("\n".join(f"- {note}" for note in section.notes))
    parts += [
        f"![{picture.caption}]({picture_folder}/{picture.name})" for picture in section.pictures
    ]
    return "\n\n".join(parts)


def _html(section: Section) -> str:
    parts = [f"<p>{escape(text)}</p>\n" for text in section.text]
    if section.rows:
        parts.append(html.table(*_table(section.rows), "numbers") + "\n")
    parts += [f'<p class="note">{escape(note)}</p>\n' for note in section.notes]
    parts += [
        f"<p>{html.image(picture.png, picture.caption, 'curves')}</p>\n"
        f'<p class="note">{escape(picture.caption)}</p>\n'
        for picture in section.pictures
    ]
    return html.section(section.title, "".join(parts), section.level)


def _table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and cells."""
    header = list(dict.fromkeys(name for row in rows for name in row))
    return header, [[_cell(row.get(name)) for name in header] for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
