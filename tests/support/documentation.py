"""The code blocks of the documentation: found, and their shell commands taken apart.

The blocks of a page are run from above to below: Python in one namespace a page, shell line by
line. A comment above a block says what else there is to know:

    <!-- not run: WHY -->        it needs what a test does not have
    <!-- needs: NAME -->         a package or a program: run where there is one
    <!-- in the background -->   a server, which runs while the rest of the page does
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGES = ("python", "bash", "text", "json", "kotlin", "swift", "ruby")
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S
)
_LOOP = re.compile(r"^for (\w+) in (.*); do\n(.*?)^done$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: path of the page, from the root.
        line: of the fence, from 1.
        language: after the fence.
        text: what is inside.
        mark: of the comment above it, or "".
    """

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def commands(self):
        """The lines of a shell block, joined and with loops unrolled."""
        return shell_lines(self.text)


def pages(results=False):
    """Paths of the pages, from the root, in the order to read them."""
    first = ["README.md", "docs/training.md", "docs/fine_tuning.md", "docs/style_transfer.md"]
    found = [*ROOT.glob("docs/*.md"), ROOT / "CONTRIBUTING.md", ROOT / "docs/web_demo/README.md"]
    found += ROOT.glob("docs/results/*.md") if results else []
    names = sorted(str(path.relative_to(ROOT)) for path in found)
    return [*first, *(name for name in names if name not in first)]


def blocks(page):
    """The blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(
            page,
            text[: found.start("language")].count("\n") + 1,
            found["language"],
            found["text"],
            found["mark"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]


def all_blocks(results=False):
    """The blocks of all pages."""
    return [block for page in pages(results) for block in blocks(page)]


def shell_lines(text):
    """Whole lines of a script: continued ones joined, loops over words unrolled."""
    text = text.replace("\\\n", " ")
    text = _LOOP.sub(
        lambda loop: "".join(re.sub(rf"\${loop[1]}\b", word, loop[3]) for word in loop[2].split()),
        text,
    )
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def command_of(line):
    """``(command, arguments)`` of ``srm-keras COMMAND …`` or ``python -m tools.x …``."""
    words = shlex.split(line, comments=True)
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words = words[1:]
    if words[:1] == ["srm-keras"]:
        return words[1], words[2:]
    if words[:2] == ["python", "-m"] and words[2].startswith("tools."):
        return words[2], words[3:]
    return None
