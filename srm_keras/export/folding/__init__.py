"""Batch norm merged into the layers beside it."""

from srm_keras.export.folding.fold import FoldingPlan, fold, fold_with_plan, folding_plan

__all__ = ["FoldingPlan", "fold", "fold_with_plan", "folding_plan"]
