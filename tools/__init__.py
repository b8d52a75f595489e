"""Commands as modules of a clone, a few lines each, and studies."""
