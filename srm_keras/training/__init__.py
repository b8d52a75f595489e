"""Training: a recipe in, a run folder out."""

from srm_keras.training.compare import compare_runs
from srm_keras.training.cross_validation import cross_validate
from srm_keras.training.gates import GateHistograms
from srm_keras.training.inputs import training_examples, validation_examples
from srm_keras.training.optimizer import LAMB, SGDWithL2, optimizer_class
from srm_keras.training.parts import paths_without_decay, paths_without_l2
from srm_keras.training.recipe import default_recipe, is_smoke, resolve
from srm_keras.training.reports import plot_run, plot_runs, read_metrics, save_run_as_preset
from srm_keras.training.run_fields import with_steps
from srm_keras.training.run_folder import Run, load_run
from srm_keras.training.schedules import OneCycle, StepDecay, WarmRestarts, WarmUp, cosine_decay
from srm_keras.training.state_keeper import Interrupted
from srm_keras.training.train import train

__all__ = [
    "LAMB",
    "GateHistograms",
    "Interrupted",
    "OneCycle",
    "Run",
    "SGDWithL2",
    "StepDecay",
    "WarmRestarts",
    "WarmUp",
    "compare_runs",
    "cosine_decay",
    "cross_validate",
    "default_recipe",
    "is_smoke",
    "load_run",
    "optimizer_class",
    "paths_without_decay",
    "paths_without_l2",
    "plot_run",
    "plot_runs",
    "read_metrics",
    "resolve",
    "save_run_as_preset",
    "train",
    "training_examples",
    "validation_examples",
    "with_steps",
]
