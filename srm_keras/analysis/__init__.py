"""What a network costs and what its gates do."""

from srm_keras.analysis.gates import gate_model

__all__ = ["gate_model"]
