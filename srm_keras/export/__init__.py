"""Trained networks as files that other runtimes execute."""

from srm_keras.export.deploy import deploy
from srm_keras.export.folding import FoldingPlan, fold, folding_plan
from srm_keras.export.onnx import to_onnx
from srm_keras.export.pipeline import ExportError
from srm_keras.export.predictor import Predictor, load_predictor
from srm_keras.export.report import ExportReport
from srm_keras.export.serving.saved_model import to_saved_model
from srm_keras.export.stylize.stylizer import Stylizer, load_stylizer
from srm_keras.export.tflite.exporter import to_tflite
from srm_keras.export.web.exporter import stylizer_to_web, to_web

__all__ = [
    "ExportError",
    "ExportReport",
    "FoldingPlan",
    "Predictor",
    "Stylizer",
    "deploy",
    "fold",
    "folding_plan",
    "load_predictor",
    "load_stylizer",
    "stylizer_to_web",
    "to_onnx",
    "to_saved_model",
    "to_tflite",
    "to_web",
]
