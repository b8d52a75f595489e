"""The time of modules and of input pipelines."""
