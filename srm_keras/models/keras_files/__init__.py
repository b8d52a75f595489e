"""Files of networks that may come from anyone: nothing in them is run."""

from srm_keras.models.keras_files.reading import read_keras_file

__all__ = ["read_keras_file"]
