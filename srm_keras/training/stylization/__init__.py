"""Style transfer: a stylization recipe in, a run folder with a trained stylizer out."""

from srm_keras.training.stylization.comparison import compare_stylizers
from srm_keras.training.stylization.objective import WeightedSum
from srm_keras.training.stylization.recipe import default_recipe, resolve
from srm_keras.training.stylization.train import train_stylizer

__all__ = ["WeightedSum", "compare_stylizers", "default_recipe", "resolve", "train_stylizer"]
