"""The distributions of the TensorFlow backend.

Each strategy is made once a process: two of them would hand out the same keys for their
collective operations, and the second would fail on the first's.
"""

import functools
import json
import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srm_keras.training.distribution.logs import unread
from srm_keras.training.distribution.replicas import inference_state
from srm_keras.training.distribution.strategies import Distribution, MirroredDevices

Logs = dict[str, Any]


class Steps:
    """The compiled functions of one model: an update, an evaluation step, the metrics so far."""

    def __init__(self, strategy: tf.distribute.Strategy, learner: keras.Model):
        def update(batch):
            logs = learner.train_step(batch)
            return {name: _all_reduce("MEAN", value) for name, value in logs.items()}

        def train(batch):
            return strategy.run(update, args=(batch,))

        def test(batch):
            strategy.run(learner.test_step, args=(batch,))

        self.train = tf.function(train, reduce_retracing=True)
        self.test = tf.function(test, reduce_retracing=True)
        self.results = tf.function(learner.get_metrics_result)


class MultiWorker(Distribution):
    """``tf.distribute.MultiWorkerMirroredStrategy``, one replica a process.

    ``keras.Model.fit`` of Keras 3.15 cannot run under it: while it builds the model it hands
    per-replica values to code that takes tensors. Here is the same loop, over the model's own
    public ``train_step`` and ``test_step``, with the same callbacks and the same logs.

    Metrics are summed over the workers, so that every callback of every worker gets the same
    logs; those of a batch are ``Unread``. ``model.stop_training`` on one worker stops all of them
    after the same update, the one after it.
    """

    name = "multi_worker"

    def __init__(self, strategy: tf.distribute.Strategy, workers: int, worker: int):
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync
        self.workers = workers
        self.worker = worker
        self._steps: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
        self._flags = tf.function(self._sum_of_flags)
        self._gathered = tf.function(self._gather)

    def scope(self) -> AbstractContextManager:
        """The strategy's scope."""
        return self.strategy.scope()

    def any_worker(self, flag: bool) -> bool:
        """Whether ``flag`` is true on any worker; all of them must ask at the same point."""
        return float(self._flags(tf.constant(float(flag)))) > 0

    def question(self) -> Callable[[bool], bool]:
        """``any_worker`` for after every update, whose answer is read an update later."""
        waiting = [tf.constant(0.0)]

        def ask(flag: bool) -> bool:
            waiting.append(self._flags(tf.constant(float(flag))))
            return float(waiting.pop(0)) > 0

        return ask

    def _gather(self, row):
        def gathered(mine):
            return tf.distribute.get_replica_context().all_gather(tf.identity(mine), axis=0)

        return self.strategy.run(gathered, args=(row,))

    def _sum_of_flags(self, flag):
        return self.strategy.run(lambda mine: _all_reduce("SUM", mine), args=(flag,))

    def gather(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The value of every worker's replica, in the order of the workers."""
        (mine,) = values
        return list(self._gathered(tf.constant(mine)[tf.newaxis]).numpy())

    def local(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """This worker's."""
        return [values[self.worker]]

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
        """Trains as ``Distribution.fit`` says, on this worker's part of every global batch."""
        shown = verbose if self.is_chief else 0
        listeners = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=True,
            add_progbar=shown != 0,
            model=learner,
            verbose=shown,
            epochs=epochs,
            steps=steps_per_epoch,
        )
        learner.stop_training = False
        with self.scope():
            learner.optimizer.build(learner.trainable_variables)
        listeners.on_train_begin()
        batches = iter(dataset)
        logs: Logs = {}
        for epoch in range(initial_epoch, epochs):
            learner.reset_metrics()
            listeners.on_epoch_begin(epoch)
            logs = self._train_epoch(learner, batches, steps_per_epoch, listeners)
            if validation_data is not None:
                measured = self._evaluate(learner, validation_data, listeners)
                logs |= {f"val_{name}": value for name, value in measured.items()}
            listeners.on_epoch_end(epoch, logs)
            if self.any_worker(learner.stop_training):
                break
        learner.optimizer.finalize_variable_values(learner.trainable_weights)
        listeners.on_train_end(logs)
        return learner.history

    def evaluate(self, learner: keras.Model, dataset: Iterable) -> dict[str, float]:
        """Evaluates as ``Distribution.evaluate`` says, each worker a part of the batches."""
        return self._evaluate(learner, dataset, keras.callbacks.CallbackList(model=learner))

    def _train_epoch(
        self,
        learner: keras.Model,
        batches: Any,
        steps_per_epoch: int,
        listeners: keras.callbacks.CallbackList,
    ) -> Logs:
        steps, stopping = self._steps_of(learner), self.question()
        for step in range(steps_per_epoch):
            listeners.on_train_batch_begin(step)
            listeners.on_train_batch_end(step, unread(steps.train(next(batches))))
            if stopping(learner.stop_training):
                learner.stop_training = True
                break
        return _floats(steps.results())

    def _evaluate(
        self, learner: keras.Model, dataset: Any, listeners: keras.callbacks.CallbackList
    ) -> dict[str, float]:
        steps = self._steps_of(learner)
        listeners.on_test_begin()
        learner.reset_metrics()
        with inference_state(learner):
            # Traced on every worker, so that all have the metrics that are summed, even a worker
            # for which there is no batch.
            steps.test.get_concrete_function(dataset.element_spec)
            for step, batch in enumerate(dataset.shard(self.workers, self.worker)):
                listeners.on_test_batch_begin(step)
                steps.test(batch)
                listeners.on_test_batch_end(step, {})
        logs = _floats(steps.results())
        listeners.on_test_end(logs)
        return logs

    def _steps_of(self, learner: keras.Model) -> Steps:
        if learner not in self._steps:
            self._steps[learner] = Steps(self.strategy, learner)
        return self._steps[learner]


def _all_reduce(operation: str, value):
    """Over the replicas, from within one; the identity gives the value a device."""
    return tf.distribute.get_replica_context().all_reduce(operation, tf.identity(value))


def _floats(logs: Logs) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}


TASK_TYPES = ("chief", "worker")
EXAMPLE = (
    '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def auto() -> str:
    """``"multi_worker"`` if TF_CONFIG names several workers, ``"mirrored"`` on several GPUs."""
    if "TF_CONFIG" in os.environ and sum(map(len, _cluster().values())) > 1:
        return "multi_worker"
    return "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one_device"


def devices() -> list[str]:
    """What ``"mirrored"`` trains on: the GPUs or, where there is none, the logical CPU devices."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


@functools.cache
def mirrored() -> Distribution:
    """A ``MirroredStrategy`` over ``devices()``."""
    return MirroredDevices("mirrored", tf.distribute.MirroredStrategy(devices()))


def worker_count() -> int:
    """The number of workers in TF_CONFIG, checked.

    Raises:
        ValueError: If TF_CONFIG is absent or is not what ``multi_worker`` needs.
    """
    cluster = _cluster()
    count = sum(map(len, cluster.values()))
    task = _tf_config().get("task", {})
    kind, index = task.get("type"), task.get("index")
    if not (kind in cluster and isinstance(index, int) and 0 <= index < len(cluster[kind])):
        raise _wrong_tf_config("a task of the cluster, such as " + EXAMPLE)
    if len(tf.config.list_physical_devices("GPU")) > 1:
        raise ValueError(
            "`strategy` 'multi_worker' runs one process a GPU: set CUDA_VISIBLE_DEVICES to one "
            "GPU and name a worker for each in TF_CONFIG. "
            f"Received: {len(tf.config.list_physical_devices('GPU'))} GPUs"
        )
    return count


@functools.cache
def multi_worker() -> Distribution:
    """A ``MultiWorkerMirroredStrategy`` over the workers of TF_CONFIG; waits for all of them.

    Raises:
        ValueError: If TensorFlow was used before: it takes a cluster only at its start.
    """
    workers = worker_count()
    task = _tf_config()["task"]
    chiefs = len(_cluster().get("chief", ()))
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            "`strategy` 'multi_worker' must be resolved before TensorFlow computes anything in "
            f"this process. Received: {str(error).splitlines()[0]}"
        ) from None
    worker = task["index"] + (chiefs if task["type"] == "worker" else 0)
    return MultiWorker(strategy, workers, worker)


@functools.cache
def tpu() -> Distribution:
    """A ``TPUStrategy`` over the TPU that the environment names, or that of this machine.

    Raises:
        ValueError: If there is none.
    """
    try:
        resolver = _tpu_resolver()
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            "`strategy` 'tpu' needs a TPU, and TensorFlow finds none: run on a TPU machine, or "
            f"set TPU_NAME. Received: {str(error).splitlines()[0][:80]}"
        ) from None
    return MirroredDevices("tpu", tf.distribute.TPUStrategy(resolver))


def _tpu_resolver() -> tf.distribute.cluster_resolver.TPUClusterResolver:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver("")
    except ValueError:  # the environment names none
        return tf.distribute.cluster_resolver.TPUClusterResolver("local")
    tf.config.experimental_connect_to_cluster(resolver)
    return resolver


def _tf_config() -> dict:
    try:
        config = json.loads(os.environ.get("TF_CONFIG", ""))
    except ValueError:
        raise _wrong_tf_config("JSON such as " + EXAMPLE) from None
    return config if isinstance(config, dict) else {}


def _cluster() -> dict[str, list[str]]:
    cluster = _tf_config().get("cluster")
    if not isinstance(cluster, dict) or not cluster or not set(cluster) <= set(TASK_TYPES):
        raise _wrong_tf_config(f"a cluster of tasks {TASK_TYPES}, such as " + EXAMPLE)
    return cluster


def _wrong_tf_config(expected: str) -> ValueError:
    return ValueError(
        "`strategy` 'multi_worker' needs the environment variable TF_CONFIG, which must be "
        f"{expected}. Received: TF_CONFIG={os.environ.get('TF_CONFIG')!r}"
    )
