"""From the recipe's ``strategy`` to a ``Distribution``, and what cannot be run, refused by name.

Here are the distributions that any backend has, and those of JAX.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
from ml_collections import config_dict

from srm_keras.support.validation import one_of


class Distribution:
    """How a training is spread over devices; this one uses a single device.

    Attributes:
        name: The recipe's word for it.
        replicas: Copies of the network that train together, over all workers.
        workers: Processes that train together.
        worker: The number of this process, from 0.
    """

    name = "one_device"
    replicas = 1
    workers = 1
    worker = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager:
        """The context in which the model and its optimizer are built and compiled."""
        return contextlib.nullcontext()

    def any_worker(self, flag: bool) -> bool:
        """Whether ``flag`` is true on any worker; all of them must ask at the same point."""
        return bool(flag)

    def question(self) -> Callable[[bool], bool]:
        """``any_worker`` for after every update: what is called does not wait for the device.

        On several workers it answers what was asked the time before.
        """
        return bool

    def gather(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What all replicas hold, from what the local ones do (``local_values``).

        All workers must ask at the same point.
        """
        return list(values)

    def local(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The inverse of ``gather``: the values of this worker's replicas."""
        return list(values)

    def fit(
        self,
        learner: keras.Model,
        dataset: Iterable,
        *,
        steps_per_epoch: int,
        epochs: int,
        initial_epoch: int = 0,
        validation_data: Iterable | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = 0,
    ) -> keras.callbacks.History:
        """Trains a compiled model; the arguments and callbacks are those of ``keras.Model.fit``.

        Args:
            learner: A compiled model that was built under ``scope()``; a ``Learner`` to be the same
                as one device where gradients are clipped or the loss is scaled.
            dataset: Batches (images, labels) in their order. For several workers, this worker's
                part of each global batch.
            steps_per_epoch: Updates an epoch.
            epochs: The number of the epoch to stop before, counted from 0.
            initial_epoch: The number of the first epoch.
            validation_data: Batches, once through; for several workers all of them on each.
            callbacks: Called as by ``keras.Model.fit``.
            verbose: As for ``keras.Model.fit``; workers other than the chief are silent.

        Returns:
            The history that ``keras.Model.fit`` returns.
        """
        with self._training():
            return learner.fit(
                dataset,
                steps_per_epoch=steps_per_epoch,
                initial_epoch=initial_epoch,
                epochs=epochs,
                validation_data=validation_data,
                callbacks=list(callbacks),
                shuffle=False,
                verbose=verbose,
            )

    def evaluate(self, learner: keras.Model, dataset: Iterable) -> dict[str, float]:
        """Loss and metrics over ``dataset``, the same numbers on every worker.

        Args:
            learner: A compiled model that was built under ``scope()``.
            dataset: Batches (images, labels), once through; for several workers all of them on
                each.
        """
        with self._training():
            measured = learner.evaluate(dataset, return_dict=True, verbose=0)
        return {name: float(value) for name, value in measured.items()}

    def _training(self) -> AbstractContextManager:
        """What has to be in force while a model that was built under ``scope()`` runs."""
        return contextlib.nullcontext()


class JaxDevices(Distribution):
    """``keras.distribution.DataParallel`` over all devices of JAX.

    JAX compiles one program for the global batch, so batch norm is over the global batch.
    """

    name = "mirrored"

    def __init__(self, devices: Sequence[str]):
        self.replicas = len(devices)
        self._data_parallel = keras.distribution.DataParallel(devices=list(devices))

    def scope(self) -> AbstractContextManager:
        """Sets the Keras distribution."""
        return self._data_parallel.scope()

    _training = scope


class MirroredDevices(Distribution):
    """A ``tf.distribute`` strategy whose replicas belong to this process: mirrored, or a TPU."""

    def __init__(self, name: str, strategy: Any):
        self.name = name
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager:
        """The strategy's scope."""
        return self.strategy.scope()


STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def resolve_strategy(recipe: config_dict.ConfigDict) -> Distribution:
    """Returns the distribution that ``recipe`` asks for; call it before anything is read.

    ``auto`` is, on TensorFlow, ``multi_worker`` if the environment variable TF_CONFIG names more
    than one worker, else ``mirrored`` on more than one GPU, else ``one_device``; on JAX
    ``mirrored`` on more than one device.

    Args:
        recipe: A recipe with ``strategy``, ``batch_size``, ``dtype_policy``, ``jit_compile``,
            ``steps_per_execution``, ``accumulation_steps`` and ``synchronized_batch_norm``.

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
    if recipe.jit_compile is True:
        raise _refused(
            recipe, "cannot run with XLA: its variables are on other devices", "jit_compile"
        )
    if recipe.steps_per_execution > 1:
        raise _refused(recipe, "runs one step at a time in Keras 3.15", "steps_per_execution")


def _check_multi_worker(recipe: config_dict.ConfigDict, workers: int) -> None:
    _check_batch_size(recipe, workers)
    if recipe.jit_compile is True:
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
    parts = replicas * recipe.accumulation_steps
    if recipe.batch_size % parts:
        in_parts = f" times accumulation_steps={recipe.accumulation_steps}"
        raise ValueError(
            f"`batch_size` must be divisible by the {replicas} replicas of "
            f"strategy={recipe.strategy!r}{in_parts if parts > replicas else ''}. "
            f"Received: batch_size={recipe.batch_size}"
        )


def _refused(recipe: config_dict.ConfigDict, reason: str, field: str) -> ValueError:
    received = f"strategy={recipe.strategy!r}"
    if field != "strategy":
        received += f", {field}={recipe[field]!r}"
    return ValueError(f"`strategy` {recipe.strategy!r} {reason}. Received: {received}")
