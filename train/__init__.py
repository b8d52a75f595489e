"""Training scripts and recipes."""
