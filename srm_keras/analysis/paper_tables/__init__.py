"""The SRM paper's tables and figures as data, and reports that set ours beside them."""

from srm_keras.analysis.paper_tables.paper import (
    FIGURES,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_7,
    TABLES,
    PaperResult,
    PaperTable,
)

__all__ = [
    "FIGURES",
    "TABLES",
    "TABLE_1",
    "TABLE_2",
    "TABLE_3",
    "TABLE_4",
    "TABLE_5",
    "TABLE_6",
    "TABLE_7",
    "PaperResult",
    "PaperTable",
]
