"""What a network costs and what its gates do."""

from srm_keras.analysis.complexity import Complexity, Cost, LayerCost, complexity
from srm_keras.analysis.gates import gate_model
from srm_keras.analysis.operations import register_operations
from srm_keras.analysis.paper_complexity import compare_complexity, comparison_text

__all__ = [
    "Complexity",
    "Cost",
    "LayerCost",
    "compare_complexity",
    "comparison_text",
    "complexity",
    "gate_model",
    "register_operations",
]
