"""Batch norm merged into the layers beside it."""

from srm_keras.export.folding.fold import FoldingPlan, fold, folding_plan

__all__ = ["FoldingPlan", "fold", "folding_plan"]
