"""From the recipe's ``strategy`` to a ``Distribution``, and what cannot be run, refused by name."""

import keras
from ml_collections import config_dict

from srm_keras.support.validation import one_of
from srm_keras.training.distribution.devices import Distribution, JaxDevices

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def resolve_strategy(recipe: config_dict.ConfigDict) -> Distribution:
    """Returns the distribution that ``recipe`` asks for; call it before anything is read.

    ``auto`` is, on TensorFlow, ``multi_worker`` if the environment variable TF_CONFIG names more
    than one worker, else ``mirrored`` on more than one GPU, else ``one_device``; on JAX
    ``mirrored`` on more than one device.

    Args:
        recipe: A recipe with ``strategy``, ``batch_size``, ``dtype_policy``, ``jit_compile``,
            ``steps_per_execution`` and ``synchronized_batch_norm``.

    Raises:
        ValueError: If there is no such strategy, or not on this backend or machine, or if Keras
            cannot train the recipe's combination of fields under it.
    """
    name = one_of("strategy", recipe.strategy, STRATEGIES)
    backend = keras.config.backend()
    resolvers = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    if backend not in resolvers:
        raise ValueError(f"No strategy is known for the Keras backend {backend!r}.")
    return resolvers[backend](name, recipe)


def _on_tensorflow(name: str, recipe: config_dict.ConfigDict) -> Distribution:
    from srm_keras.training.distribution import tensorflow_strategies as tensorflow

    name = tensorflow.auto() if name == "auto" else name
    if name == "mirrored":
        _check_mirrored(recipe, len(tensorflow.devices()))
        return tensorflow.mirrored()
    if name == "multi_worker":
        _check_multi_worker(recipe, tensorflow.worker_count())
        return tensorflow.multi_worker()
    if name == "tpu":
        _check_tpu(recipe)
        distribution = tensorflow.tpu()
        _check_batch_size(recipe, distribution.replicas)
        return distribution
    return Distribution()


def _on_jax(name: str, recipe: config_dict.ConfigDict) -> Distribution:
    devices = keras.distribution.list_devices()
    if name == "multi_worker":
        raise _refused(recipe, "needs the TensorFlow backend", "strategy")
    if name == "tpu" and not devices[0].startswith("tpu"):
        raise ValueError(f"`strategy` 'tpu' needs a TPU. Received: the JAX devices {devices}")
    if name == "one_device" or len(devices) == 1:
        return Distribution()
    _check_batch_size(recipe, len(devices))
    _check_jax(recipe)
    return JaxDevices(devices)


def _on_torch(name: str, recipe: config_dict.ConfigDict) -> Distribution:
    if name not in ("auto", "one_device"):
        raise _refused(recipe, "is not available on the torch backend: 'one_device' is", "strategy")
    return Distribution()


def _check_mirrored(recipe: config_dict.ConfigDict, replicas: int) -> None:
    """What Keras 3.15 fails at on several devices; each is tested to fail."""
    _check_batch_size(recipe, replicas)
    if replicas == 1:
        return
    if recipe.jit_compile:
        raise _refused(
            recipe, "cannot run with XLA: its variables are on other devices", "jit_compile"
        )
    if recipe.steps_per_execution > 1:
        raise _refused(recipe, "runs one step at a time in Keras 3.15", "steps_per_execution")


def _check_multi_worker(recipe: config_dict.ConfigDict, workers: int) -> None:
    _check_batch_size(recipe, workers)
    if recipe.jit_compile:
        raise _refused(recipe, "has no XLA", "jit_compile")
    if recipe.steps_per_execution > 1:
        raise _refused(recipe, "runs one step at a time", "steps_per_execution")
    if not recipe.synchronized_batch_norm:
        raise _refused(
            recipe,
            "keeps one state on all workers, so batch norm must be synchronized",
            "synchronized_batch_norm",
        )


def _check_tpu(recipe: config_dict.ConfigDict) -> None:
    if "float16" in recipe.dtype_policy and "bfloat16" not in recipe.dtype_policy:
        raise _refused(recipe, "computes in bfloat16, not in float16", "dtype_policy")


def _check_jax(recipe: config_dict.ConfigDict) -> None:
    if not recipe.synchronized_batch_norm:
        raise _refused(
            recipe,
            "on JAX normalizes over the global batch: there is no local batch norm",
            "synchronized_batch_norm",
        )


def _check_batch_size(recipe: config_dict.ConfigDict, replicas: int) -> None:
    if recipe.batch_size % replicas:
        raise ValueError(
            f"`batch_size` must be divisible by the {replicas} replicas of "
            f"strategy={recipe.strategy!r}. Received: batch_size={recipe.batch_size}"
        )


def _refused(recipe: config_dict.ConfigDict, reason: str, field: str) -> ValueError:
    received = f"strategy={recipe.strategy!r}"
    if field != "strategy":
        received += f", {field}={recipe[field]!r}"
    return ValueError(f"`strategy` {recipe.strategy!r} {reason}. Received: {received}")
