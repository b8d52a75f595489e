"""The whole report: every table and figure of the paper beside what was computed here."""

from collections.abc import Mapping, Sequence
from typing import Any

from srm_keras.analysis.paper_tables.figure_sections import Analysis, figure_section
from srm_keras.analysis.paper_tables.figures import FIGURES
from srm_keras.analysis.paper_tables.results import TABLES
from srm_keras.analysis.paper_tables.runs import Fields, TrainedRun, settings
from srm_keras.analysis.paper_tables.sections import Section
from srm_keras.analysis.paper_tables.stand_ins import stand_in_sections
from srm_keras.analysis.paper_tables.tables import matches, table_section

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
        runs: finished trainings, on the paper's data or other.
        recipes: the paper's recipe for each of its data sets, by dotted path.
        complexities: rows of ``compare_complexity``.
        analyses: what was found for each figure, by its number.

    Returns:
        How to read it; a section for each table, each followed by those of runs that ask its
        question on other data; and one for each figure.

    Raises:
        ValueError: an analysis lacks what it should hold.
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
