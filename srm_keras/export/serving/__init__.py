"""SavedModel, and a server of it."""
