"""Trained networks as files that other runtimes execute."""

from srm_keras.export.checked import ExportError
from srm_keras.export.deploy import deploy
from srm_keras.export.folding import FoldingPlan, fold, folding_plan
from srm_keras.export.report import ExportReport
from srm_keras.export.saved_model import to_saved_model
from srm_keras.export.tflite import to_tflite

__all__ = [
    "ExportError",
    "ExportReport",
    "FoldingPlan",
    "deploy",
    "fold",
    "folding_plan",
    "to_saved_model",
    "to_tflite",
]
