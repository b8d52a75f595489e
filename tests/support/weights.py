"""Random weights and statistics: fresh ones (zeros, ones) would hide errors."""

import keras
import numpy as np


def randomize(layer, seed: int = 0) -> None:
    """Give every weight of a layer or model a random value of a sensible size."""
    rng = np.random.default_rng(seed)
    for variable in layer.variables:
        if variable.dtype.startswith(("float", "bfloat")):
            variable.assign(_value(rng, variable.name, tuple(variable.shape)).astype("float32"))


def _value(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    if name in ("beta", "bias", "moving_mean"):
        return rng.normal(0.0, 0.2, shape)
    fan_in = max(int(np.prod(shape[:-1])), 1)
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)


def weights_by_path(layer) -> dict[str, np.ndarray]:
    """Float64 weights of a layer, keyed by path below it: ``{"bn/gamma": ...}``."""
    prefix = f"{layer.name}/"
    return {
        variable.path.removeprefix(prefix): np.asarray(
            keras.ops.convert_to_numpy(variable), "float64"
        )
        for variable in layer.variables
    }


def feature_map(shape, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    """A channels-last feature map whose channels differ in mean and spread."""
    rng = np.random.default_rng(seed)
    channels = shape[-1]
    mean = rng.normal(0.0, 1.0, channels)
    std = rng.uniform(0.5, 2.0, channels)
    return (mean + std * rng.normal(size=shape)).astype(dtype)


def to_format(x: np.ndarray, data_format: str) -> np.ndarray:
    """Move the channels of a channels-last array to where ``data_format`` has them."""
    return x if data_format == "channels_last" else np.moveaxis(x, -1, 1)


def to_channels_last(x, data_format: str) -> np.ndarray:
    """NumPy array, channels last, of a tensor in ``data_format``."""
    x = keras.ops.convert_to_numpy(x)
    return x if data_format == "channels_last" else np.moveaxis(x, 1, -1)


def assert_checkpoint_round_trip(source, target, path) -> None:
    """``tf.train.Checkpoint`` carries every weight from one layer or model to another like it."""
    import tensorflow as tf

    randomize(target, seed=3)
    tf.train.Checkpoint(network=source).write(str(path))
    tf.train.Checkpoint(network=target).read(str(path)).assert_consumed()
    for ours, theirs in zip(target.variables, source.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
