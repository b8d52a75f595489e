"""`.keras` files that may come from anyone."""

import os
from pathlib import Path

import keras

from srm_keras.models.keras_files.archive import read_archive
from srm_keras.models.keras_files.network import LIMITS, network_of


def read_keras_file(path: str | os.PathLike) -> keras.Model:
    """Load a `.keras` file that holds a network of stock layers and those of this package.

    The file is read into memory and checked before Keras sees it: which files it holds, how large
    they are, which classes the configuration names, and that the weights are arrays.

    Args:
        path: of the file.

    Returns:
        The network, not compiled.

    Raises:
        ValueError: it is no such file; it is damaged; it names another class, such as `Lambda`.
    """
    file = Path(path)
    if file.suffix != ".keras" or not file.is_file():
        raise ValueError(f"`path` must be a .keras file that exists. Received: path={str(path)!r}")
    return network_of(read_archive(file, LIMITS), str(path))
