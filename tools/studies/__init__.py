"""What wrote docs/results."""
