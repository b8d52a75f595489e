"""The paper's trainings as modules of a clone, a few lines each."""
