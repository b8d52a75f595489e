"""One device, and what every kind of distribution offers."""

import contextlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np


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
