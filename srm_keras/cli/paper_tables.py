r"""Sets every table and figure of the SRM paper beside what this repository computed.

    srm-keras paper_tables --models='runs/*' --figures=docs/results --out=docs/results/paper

--models takes run folders of train, folders of cross_validate, and patterns of both;
runs of another kind, unfinished and unreadable ones are passed over with a line each.
--figures takes folders in which, at any depth, gates, top_activations and prune left
correlation.json, diversity.json and pruning.json with their pictures. Both may be left out:
what was not run is reported as that. docs/paper.md says how runs are matched to the paper's rows.

Writes to --out: paper_tables.md, paper_tables.html (one file with all pictures), paper_tables.json
and the pictures, in pictures/. Parameters and multiply-adds are counted on the spot, which takes
one or two minutes.
"""

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

TITLE = "The SRM paper's tables and figures, and what was computed here"
PICTURES = "pictures"


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.models(flags, ("run",), "folders of cross_validate, ")
    absl_flags.DEFINE_list(
        "figures", [], "Folders with results of the analysis tools.", flag_values=flags
    )
    shared.out(flags)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Write the report that the flags ask for."""
    shared.check(flags, arguments, "out")
    from srm_keras.analysis.paper_tables.report import paper_report
    from srm_keras.cli.paper_records import (
        curve_analyses,
        figure_analyses,
        paper_recipes,
        run_folders,
        trained_run,
    )
    from srm_keras.support.files import writable_file

    out = Path(flags.out)
    for name in ("md", "html", "json"):
        writable_file("out", out / f"paper_tables.{name}")
    folders = run_folders(flags.models)
    runs = [trained_run(folder) for folder in folders]
    analyses = figure_analyses(flags.figures)
    curves = curve_analyses(folders, runs)
    print(f"read {len(runs)} runs", file=sys.stderr)
    paper_report(runs, paper_recipes(), [], analyses)  # what is wrong shows before the counting
    sections = paper_report(runs, paper_recipes(), _complexities(), {**analyses, 3: curves})
    _write(out, sections)
    print(f"Wrote paper_tables.md, paper_tables.html and paper_tables.json to {flags.out}")


def _complexities() -> list[dict]:
    from srm_keras.analysis import compare_complexity

    rows = []
    for row in compare_complexity():
        rows.append(row)
        print(f"counted {row['model']}, {row['classes']} classes", file=sys.stderr)
    return rows


def _write(out: Path, sections: Sequence) -> None:
    from srm_keras.analysis.paper_tables.sections import to_html, to_json, to_markdown
    from srm_keras.support.files import write_atomically, write_json, write_text

    for section in sections:
        for picture in section.pictures:
            path = out / PICTURES / picture.name
            write_atomically(path, functools.partial(Path.write_bytes, data=picture.png))
    write_text(out / "paper_tables.md", to_markdown(TITLE, sections, PICTURES))
    write_text(out / "paper_tables.html", to_html(TITLE, sections))
    write_json(out / "paper_tables.json", to_json(sections))
