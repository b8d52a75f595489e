"""The whole report: every table and figure of the paper beside what was computed here."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from srm_keras.analysis.paper_tables.paper import (
    CHANNELS,
    COEFFICIENTS,
    FIGURE_10_BLOCKS,
    FIGURES,
    SQUARED_CORRELATIONS,
    TABLES,
    PaperFigure,
)
from srm_keras.analysis.paper_tables.runs import Fields, TrainedRun, settings
from srm_keras.analysis.paper_tables.sections import Picture, Row, Section
from srm_keras.analysis.paper_tables.stand_ins import stand_in_sections
from srm_keras.analysis.paper_tables.tables import matches, table_section
from srm_keras.support.tables import with_std

NOT_RUN = "Not run."
WITHOUT_PICTURES = "Run, but without pictures that could be shown here."


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What a tool left in a folder.

    Attributes:
        name: Of the folder.
        path: Of the JSON file, for error messages.
        data: What it holds.
        pictures: The pictures beside it.
    """

    name: str
    path: str
    data: Any
    pictures: Sequence[Picture] = ()


def figure_section(figure: PaperFigure, analyses: Sequence[Analysis]) -> Section:
    """A figure of the paper beside what was found here.

    Args:
        figure: One of ``FIGURES``.
        analyses: Those made from files named ``figure.data``, or pictures of training curves.

    Raises:
        ValueError: A file lacks what it should hold.
    """
    read, note = _READERS.get(figure.number, (lambda analysis: [], ""))
    rows = [row for analysis in analyses for row in _checked(read, analysis)]
    pictures = [picture for analysis in analyses for picture in analysis.pictures]
    here = NOT_RUN
    if rows or pictures:
        here = "Here, on the networks and data that are named:"
    elif analyses and figure.number not in _READERS:
        here = WITHOUT_PICTURES
    return Section(
        f"Figure {figure.number}: {figure.title}",
        [f"The paper: {figure.claim}", here],
        rows,
        [note] if note and rows else [],
        pictures,
        data={"figure": figure.number, "rows": rows},
    )


def _checked(read: Callable[[Analysis], list[Row]], analysis: Analysis) -> list[Row]:
    try:
        return read(analysis)
    except (AttributeError, KeyError, TypeError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"`figures` must hold results of this package's analyses. Received: {analysis.path}: "
            f"{problem}"
        ) from error


def _style_transfer(analysis: Analysis) -> list[Row]:
    return [
        {
            "analysis": analysis.name,
            "network": row["variant"],
            "runs": row["runs"],
            **{
                f"{name} loss": with_std(row[f"{name}_loss"], row[f"{name}_loss_std"], ".4g", ".2g")
                for name in ("style", "content")
            },
        }
        for row in analysis.data["variants"]
    ]


def _pruning(analysis: Analysis) -> list[Row]:
    return [
        {
            "analysis": analysis.name,
            "run": label,
            "unpruned %": 100 * run["accuracy"],
            **{f"{name}: area": f"{stage['area']:.4f}" for name, stage in run["stages"].items()},
        }
        for label, run in analysis.data["runs"].items()
    ]


def _diversity(analysis: Analysis) -> list[Row]:
    return [
        {
            "analysis": analysis.name,
            "run": block["run"],
            "block": block["block"],
            "channels": block["channels"],
            "distinct images": block["distinct"],
            "share": _number(block["distinct_share"]),
            "by chance": _number(block["distinct_share_by_chance"]),
            "overlap": _number(block["overlap"]),
        }
        for block in analysis.data["blocks"]
    ]


def _deeper_blocks(analysis: Analysis) -> list[Row]:
    return [row for row in _diversity(analysis) if row["block"] in FIGURE_10_BLOCKS]


def _correlation(analysis: Analysis) -> list[Row]:
    """The rows about whole networks."""
    return [
        {
            "analysis": analysis.name,
            "run": row["run"],
            "images": row["images"],
            "sum of squares": f"{row['squared_sum']:,.0f}",
            "paper's sum": SQUARED_CORRELATIONS.get(_module(row["run"])),
            "without diagonal": f"{row['squared_sum_off_diagonal']:,.0f}",
            "pairs": row["pairs"],
            "mean square": _number(row["mean_squared"]),
            "paper's mean square": _number(_mean_square_in_paper(_module(row["run"]))),
            "constant channels": row["constant_channels"],
        }
        for row in analysis.data
        if row["block"] == "network"
    ]


def _module(run: str) -> str:
    """The module of a run, whose label may have its folder behind it: ``srm (seed_1)``."""
    return run.partition(" (")[0]


def _mean_square_in_paper(module: str) -> float | None:
    """Over pairs of different channels, if the paper's sums have the ones of the diagonals."""
    if module not in SQUARED_CORRELATIONS:
        return None
    return (SQUARED_CORRELATIONS[module] - CHANNELS) / (COEFFICIENTS - CHANNELS)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


# By figure: how its analysis becomes rows, and what to know about them.
_READERS: dict[int, tuple[Callable[[Analysis], list[Row]], str]] = {
    5: (
        _style_transfer,
        "Of held-out contents, last weights: mean ± sample standard deviation over the runs.",
    ),
    6: (_pruning, "area: under the curve of accuracy against pruning ratio, from ratio 0 to 1."),
    7: (
        _diversity,
        "distinct images: among the images that lead to the highest weight of each channel; "
        "overlap: of the top images of two channels, mean over pairs. Channels that several images "
        "lead to equally are left out.",
    ),
    8: (
        _correlation,
        f"Sums grow with the network: the paper's has {COEFFICIENTS:,} coefficients. Mean squares, "
        "over pairs of different channels, do not; the paper's are its sums less the "
        f"{CHANNELS:,} ones of the diagonals.",
    ),
    10: (_deeper_blocks, "The pictures are those of figures 7 and 8."),
}


HOW_TO_READ = Section(
    "How to read this",
    [
        'Every table of the paper (Lee, Kim, Nam, ICCV 2019) stands with its own numbers; "here" '
        "is this repository. Parameters and GFLOPs (multiply-adds) are counted on networks built "
        "for this report. Accuracies are of the last weights, mean ± sample standard deviation "
        "over the runs, and only of runs on the same data and network as the paper's; a letter "
        "leads to whether they followed its recipe. What was not run says so.",
        "Runs on other data are never mixed in: they have tables of their own, below the one whose "
        "question they ask.",
    ],
)


def paper_report(
    runs: Sequence[TrainedRun],
    recipes: Mapping[str, Fields],
    complexities: Sequence[Mapping[str, Any]],
    analyses: Mapping[int, Sequence[Analysis]],
) -> list[Section]:
    """Set every table and figure of the paper beside what was computed here.

    Args:
        runs: Finished trainings, on the paper's data or other.
        recipes: The paper's recipe for each of its data sets, by dotted path.
        complexities: Rows of ``compare_complexity``.
        analyses: What was found for each figure, by its number.

    Returns:
        How to read it; a section for each table, each followed by those of runs that ask its
        question on other data; and one for each figure.

    Raises:
        ValueError: An analysis lacks what it should hold.
    """
    grouped = settings(runs)
    results = [result for table in TABLES for result in table.results]
    others = [one for one in grouped if not any(matches(one, result) for result in results)]
    sections = [HOW_TO_READ]
    for table in TABLES:
        sections.append(table_section(table, grouped, recipes, complexities))
        sections += stand_in_sections(table, others)
    figures = [figure_section(figure, analyses.get(figure.number, ())) for figure in FIGURES]
    return [*sections, *figures]
