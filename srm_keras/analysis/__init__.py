"""What a network costs, what its gates do, and the paper's tables and figures beside ours."""

from srm_keras.analysis.activations.pictures import contact_sheet, ranked_sheet
from srm_keras.analysis.activations.top_activations import (
    BlockActivations,
    TopActivations,
    top_activations,
)
from srm_keras.analysis.attribution.grad_cam import grad_cam
from srm_keras.analysis.costs.complexity import Complexity, Cost, LayerCost, complexity
from srm_keras.analysis.costs.layer_work import Work
from srm_keras.analysis.costs.module_work import register_operations
from srm_keras.analysis.costs.paper import (
    compare_complexity,
    compare_formulas,
    comparison_text,
    formulas_text,
)
from srm_keras.analysis.gates.correlation import (
    BlockCorrelation,
    GateCorrelation,
    gate_correlation,
)
from srm_keras.analysis.gates.histograms import gate_histograms
from srm_keras.analysis.gates.reading import GateReader, channel_gates, gate_model
from srm_keras.analysis.gates.report import GateAnalysis, gate_report
from srm_keras.analysis.gates.statistics import GateStatistics, gate_statistics
from srm_keras.analysis.pruning.curve import PruningCurve, pruning_curve, pruning_stages

__all__ = [
    "BlockActivations",
    "BlockCorrelation",
    "Complexity",
    "Cost",
    "GateAnalysis",
    "GateCorrelation",
    "GateReader",
    "GateStatistics",
    "LayerCost",
    "PruningCurve",
    "TopActivations",
    "Work",
    "channel_gates",
    "compare_complexity",
    "compare_formulas",
    "comparison_text",
    "complexity",
    "contact_sheet",
    "formulas_text",
    "gate_correlation",
    "gate_histograms",
    "gate_model",
    "gate_report",
    "gate_statistics",
    "grad_cam",
    "pruning_curve",
    "pruning_stages",
    "ranked_sheet",
    "register_operations",
    "top_activations",
]
