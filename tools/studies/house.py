"""Draws the packages and what they import, and counts the files that a command goes through.

    python -m tools.studies.house --out=docs
    python -m tools.studies.house -- srm_keras export --model=runs/mine --formats=float32

The first writes house.svg, from the imports themselves, and prints how many files and lines there
are. The second runs the module after ``--`` with its arguments and prints the files of this clone
whose functions were entered; what runs while a file is imported does not count.
"""

import ast
import inspect
import os
import runpy
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import matplotlib
from absl.flags import FlagValues
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.support.figures import PALETTE, new_figure
from srm_keras.support.files import writable_file, write_atomically

ROOT = Path(__file__).parents[2]
FOLDERS = ("srm_keras", "train", "tools")
ROWS = (
    ("train", "tools"),
    ("cli",),
    ("recipes",),
    ("training",),
    ("analysis", "export"),
    ("interop",),
    ("data",),
    ("models",),
    ("layers",),
)
"""From above to below: each may import what is below it. ``support`` serves all."""
HOLDS = {
    "train": "the paper's trainings as scripts",
    "tools": "scripts; studies/ wrote docs/results",
    "cli": "srm-keras: one file a command",
    "recipes": "one file an experiment of the paper",
    "training": "recipe → train → run folder",
    "analysis": "costs, gates, top images, Grad-CAM",
    "export": "fold, deploy, write, run, compare",
    "interop": "presets, PyTorch, keras.applications",
    "data": "sources of images, and batches of them",
    "models": "networks that take a spec; surgery in any network",
    "layers": "SRM, SE, GE, ECA and others, and the spec that names them",
    "support": "files, tables, figures, validation, progress: serves all of the above",
}
SIDES = {"train": -1, "tools": 1, "analysis": -1, "export": 1}
"""Packages beside another: arcs from and to them lie on the left (-1) or on the right (1)."""
LEFT = ("cli",)
"""Other packages whose arcs lie on the left."""
HEIGHT, GAP, WIDE = 0.62, 0.34, 5.6


@dataclass(frozen=True)
class Package:
    """A folder of the code: its Python files, their lines, and the packages they import.

    Attributes:
        lines: One number a file.
        imports: How many of the files import a package, by its name.
    """

    lines: tuple[int, ...]
    imports: dict[str, int]


def packages(root: Path = ROOT) -> dict[str, Package]:
    """The packages of a clone, by name; files that lie in ``srm_keras`` itself are in none."""
    lines: dict[str, list[int]] = {}
    imports: dict[str, Counter] = {}
    for path in source_files(root):
        parts = path.relative_to(root).parts
        if parts[0] == "srm_keras" and len(parts) == 2:
            continue
        name = parts[1] if parts[0] == "srm_keras" else parts[0]
        text = path.read_text(encoding="utf-8")
        lines.setdefault(name, []).append(text.count("\n"))
        imports.setdefault(name, Counter()).update(_imported(text) - {name, "version"})
    return {name: Package(tuple(lines[name]), dict(imports[name])) for name in sorted(lines)}


def source_files(root: Path = ROOT) -> list[Path]:
    """The Python files of the product, which tests are not."""
    return sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))


def _imported(text: str) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [module.split(".") for module in modules]
    inside = {part[1] for part in parts if part[0] == "srm_keras" and len(part) > 1}
    return inside | {part[0] for part in parts if part[0] in ("train", "tools")}


def arrows(found: dict[str, Package]) -> set[str]:
    """The name of every arrow of the picture: ``A--B`` where A imports B."""
    return {
        f"{name}--{other}"
        for name, package in found.items()
        for other in package.imports
        if other != "support"
    }


def plot(found: dict[str, Package]) -> Figure:
    """Boxes in the order of imports, an arrow from who imports to what is imported."""
    figure = new_figure(9.6, 8.6)
    axes = figure.add_subplot()
    axes.set(xlim=(-4.8, 4.8), ylim=(-1.1, len(ROWS) * (HEIGHT + GAP)), aspect="equal")
    axes.axis("off")
    places = {}
    for row, names in enumerate(reversed(ROWS)):
        width = (WIDE - GAP * (len(names) - 1)) / len(names)
        for column, name in enumerate(names):
            places[name] = (-WIDE / 2 + column * (width + GAP), row * (HEIGHT + GAP), width)
            _box(axes, name, found[name], places[name])
    _box(axes, "support", found["support"], (-WIDE / 2, -1.0, WIDE), dashed=True)
    for name, (left, bottom, width) in places.items():
        below = [other for other in found[name].imports if other in places]
        for other in sorted(below, key=lambda other: -places[other][1]):
            _arrow(axes, name, other, (left, bottom, width), places[other])
    return figure


def _box(axes: Axes, name: str, package: Package, place: tuple, dashed: bool = False) -> None:
    left, bottom, width = place
    style = {"facecolor": "#eef3f7", "edgecolor": "#5b6770", "linestyle": "--" if dashed else "-"}
    box = FancyBboxPatch(
        (left, bottom), width, HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", **style
    )
    axes.add_patch(box)
    count = f"{len(package.lines)} files, {sum(package.lines):,} lines"
    axes.text(left + 0.12, bottom + 0.4, name, weight="bold", size=11, va="center")
    axes.text(left + width - 0.12, bottom + 0.4, count, size=8, va="center", ha="right")
    axes.text(left + 0.12, bottom + 0.16, HOLDS[name], size=8, va="center", color="#444444")


def _arrow(axes: Axes, name: str, other: str, upper: tuple, lower: tuple) -> None:
    """Straight to the row below, else in an arc beside the boxes."""
    steps = round((upper[1] - lower[1]) / (HEIGHT + GAP))
    order = [package for row in ROWS for package in row]
    if steps == 1:
        across, width = min(upper[::2], lower[::2], key=lambda place: place[1])
        middle = across + width / 2
        path = Curve([(middle, upper[1]), (middle, lower[1] + HEIGHT)])
    else:
        side = SIDES.get(other) or SIDES.get(name) or (-1 if name in LEFT else 1)
        ends = [place[0] + (place[2] if side > 0 else 0) for place in (upper, lower)]
        tops = upper[1] + 0.02 + 0.07 * steps, lower[1] + HEIGHT - 0.02 - 0.07 * steps
        away = side * (0.3 + 0.22 * steps)
        bend = [(ends[0], tops[0]), (ends[0] + away, tops[0]), (ends[1] + away, tops[1])]
        path = Curve([*bend, (ends[1], tops[1])], [Curve.MOVETO, *[Curve.CURVE4] * 3])
    arrow = FancyArrowPatch(
        path=path,
        arrowstyle="-|>",
        mutation_scale=9,
        linewidth=1.3,
        color=PALETTE[order.index(name) % len(PALETTE)],
    )
    arrow.set_gid(f"{name}--{other}")
    axes.add_patch(arrow)


def entered(module: str, arguments: Sequence[str]) -> list[str]:
    """Run ``python -m module arguments`` here, and return the files whose functions were entered.

    Returns:
        Paths from the root, sorted.
    """
    found: set[str] = set()
    inside = tuple(f"{ROOT / folder}{os.sep}" for folder in FOLDERS)

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        file = code.co_filename
        of_function = event == "call" and code.co_flags & inspect.CO_OPTIMIZED
        if of_function and file not in found and file.startswith(inside) and not _imports(frame):
            found.add(file)

    before = sys.argv
    sys.argv = [module, *arguments]
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        sys.argv = before
    return sorted(str(Path(file).relative_to(ROOT)) for file in found)


def _imports(frame: FrameType | None) -> bool:
    """Whether the frame runs because a file is being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.out(flags, holds="picture")


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Draw the picture, or count the files of the command line in ``arguments``."""
    if arguments:
        files = entered(arguments[0], arguments[1:])
        print("\n".join([*files, f"{len(files)} files"]))
        return
    shared.require(flags, "out")
    path = writable_file("--out", Path(flags.out) / "house.svg")
    figure = plot(packages())
    fixed = {"svg.hashsalt": "house"}  # names inside the file are the same each time
    with matplotlib.rc_context(fixed):
        write_atomically(path, lambda file: figure.savefig(file, metadata={"Date": None}))
    lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in source_files()]
    print(f"{len(lines)} files, {sum(lines):,} lines, median {statistics.median(lines):g}")
    print(f"Wrote {path}")


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.house"))
