"""A network from its configuration and its weights, which are checked before Keras sees them."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from srm_keras.models.head import check_finite
from srm_keras.models.keras_files.allowed_classes import check_config
from srm_keras.models.keras_files.archive import read_archive
from srm_keras.models.keras_files.weights_file import check_weights

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
NAMES = (CONFIG, METADATA, WEIGHTS)
LIMITS = {CONFIG: 16 * 2**20, METADATA: 2**16, WEIGHTS: 4 * 2**30}
"""Names of what Keras makes of a model, and how many bytes each may have."""


def network_of(parts: Mapping[str, bytes], origin: str) -> keras.Model:
    """Build the network that the files `NAMES` describe; nothing in them is run.

    Args:
        parts: their contents.
        origin: what an error calls the whole.

    Returns:
        The network with its weights, not compiled.

    Raises:
        ValueError: a file is not what it should be, names a class that is not allowed, or holds
            weights that are not finite.
    """
    config = json_of(parts, CONFIG, origin)
    try:
        check_config(config)
        arrays = check_weights(parts[WEIGHTS])
    except ValueError as error:
        raise ValueError(f"{origin} is refused: {_told(error)}") from None
    try:
        model = keras.saving.deserialize_keras_object(
            {**config, "compile_config": None}, safe_mode=True
        )
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / WEIGHTS
            weights.write_bytes(parts[WEIGHTS])
            model.load_weights(weights)
    except Exception as error:  # A wrong configuration makes layers raise anything.
        raise ValueError(f"{origin} is damaged: {_first_line(error)}") from None
    if arrays != len(model.weights):  # Keras leaves some layers without weights as they are.
        raise ValueError(
            f"{origin} is damaged: {WEIGHTS} holds {arrays} arrays instead of {len(model.weights)}"
        )
    check_finite(model, origin)
    return model


def parts_of(model: keras.Model) -> dict[str, bytes]:
    """The contents of the files `NAMES` of a model, compiled or not.

    Raises:
        ValueError: it names a class that could not be loaded again, or has weights that are not
            finite.
    """
    check_finite(model, f"`model` {model.name!r}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        found = read_archive(path, LIMITS)
    config = {**json.loads(found[CONFIG]), "compile_config": None}
    check_config(config)
    return {**found, CONFIG: json.dumps(config).encode()}


def json_of(parts: Mapping[str, bytes], name: str, origin: str) -> Any:
    """What the JSON file `name` holds; `ValueError` if it is none."""
    try:
        return json.loads(parts[name].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{origin} is damaged: {name} is no JSON ({error})") from None


def _told(error: ValueError) -> str:
    text = str(error)
    return text if text.startswith("`") else f"{WEIGHTS} {text}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
