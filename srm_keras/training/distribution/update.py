"""One update of a ``Learner`` where Keras' own ``train_step`` would not do.

That is where a batch is computed in parts, k after one another, whose gradients are summed before
the one update; and where replicas have to clip what all of them found together.

Part j of k has the examples j, j + k, j + 2k, … of the batch, so that the parts of the global batch
are the same however many replicas there are (each has a k-th of its examples in every part). The
loss of a part is the mean over its examples, and the gradient the mean over the parts: of the whole
batch, but for what examples of a batch do to each other, which is batch norm's moments.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from srm_keras.training.distribution.replicas import Learner

Batch = tuple[Any, Any, Any]
"""Inputs, labels and weights of the examples; arrays, nests of them or None."""


def replica_count() -> int:
    """Replicas that train together; 1 on JAX, which has one program for all of its devices."""
    if keras.config.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def needs_own_update(learner: "Learner") -> bool:
    """Whether Keras' own ``train_step`` would compute something else."""
    nonlinear = replica_count() > 1 and _is_nonlinear(learner.optimizer)
    return nonlinear or learner.accumulation_steps > 1


def update(learner: "Learner", *args) -> Any:
    """What ``keras.Model.train_step`` takes and gives on this backend, in parts."""
    steps: dict[str, Callable] = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    return steps[keras.config.backend()](learner, *args)


def _on_tensorflow(learner: "Learner", data) -> dict[str, Any]:
    import tensorflow as tf

    batch = keras.utils.unpack_x_y_sample_weight(data)
    sums = _sums_on_tensorflow(learner, batch)
    gradients = [total / learner.accumulation_steps for total in sums]
    if replica_count() > 1 and _is_nonlinear(learner.optimizer):
        whole = tf.distribute.get_replica_context().all_reduce("SUM", gradients)
        # The optimizer sums over the replicas once more; parts this small it does not clip.
        gradients = [g / replica_count() for g in _clipped(whole, learner.optimizer)]
    learner.optimizer.apply(gradients, learner.trainable_weights)
    return learner.get_metrics_result()


def _sums_on_tensorflow(learner: "Learner", batch: Batch) -> list:
    """The gradients of the scaled loss, summed over the parts of the batch.

    A loop of the graph keeps one part's activations at a time. A strategy cannot sum over its
    replicas within one (``merge_call``), so under strategies the parts are written out one after
    the other, each waiting for the gradients of the one before it.
    """
    import tensorflow as tf

    count = learner.accumulation_steps
    if count == 1:
        return _gradients_on_tensorflow(learner, batch)
    if tf.distribute.has_strategy():
        sums = _gradients_on_tensorflow(learner, _part(batch, 0, count))
        for number in range(1, count):
            with tf.control_dependencies(sums):
                part = _part(batch, number, count)
            found = _gradients_on_tensorflow(learner, part)
            sums = [total + gradient for total, gradient in zip(sums, found, strict=True)]
        return sums

    def add(number, sums):
        found = _gradients_on_tensorflow(learner, _part(batch, number, count))
        return number + 1, [total + gradient for total, gradient in zip(sums, found, strict=True)]

    zeros = [tf.zeros(weight.shape, weight.dtype) for weight in learner.trainable_weights]
    start = (tf.constant(0), zeros)
    return tf.while_loop(lambda number, _: number < count, add, start, parallel_iterations=1)[1]


def _gradients_on_tensorflow(learner: "Learner", part: Batch) -> list:
    """Of the scaled loss of a part; the metrics see it."""
    import tensorflow as tf

    x, y, sample_weight = part
    with tf.GradientTape() as tape:
        y_pred = learner(x, training=True)
        # Keras divides the loss by the number of replicas.
        loss = learner.compute_loss(x, y, y_pred, sample_weight, training=True)
        scaled = learner.optimizer.scale_loss(loss)
    weights = learner.trainable_weights
    gradients = tape.gradient(scaled, weights, unconnected_gradients="zero")
    _measure(learner, loss * replica_count(), part, y_pred)
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _on_jax(learner: "Learner", state: tuple, data) -> tuple[dict[str, Any], tuple]:
    import jax

    trainable, non_trainable, optimizer_variables, metrics = state
    count = learner.accumulation_steps
    gradients_of = jax.value_and_grad(learner.compute_loss_and_updates, has_aux=True)

    def add(carry, part):
        sums, non_trainable, metrics = carry
        x, y, sample_weight = part
        (_, (loss, y_pred, non_trainable, metrics)), found = gradients_of(
            *(trainable, non_trainable, metrics, x, y, sample_weight),
            training=True,
            optimizer_variables=optimizer_variables,
        )
        with _holding(learner.metrics_variables, metrics) as scope:
            _measure(learner, loss, part, y_pred)
        metrics = [scope.get_current_value(variable) for variable in learner.metrics_variables]
        return (jax.tree.map(jax.numpy.add, sums, found), list(non_trainable), metrics), None

    def apart(array):
        array = jax.numpy.reshape(array, (-1, count, *array.shape[1:]))
        return jax.numpy.moveaxis(array, 1, 0)

    batch = jax.tree.map(apart, keras.utils.unpack_x_y_sample_weight(data))
    zeros = jax.tree.map(jax.numpy.zeros_like, list(trainable))
    start = (zeros, list(non_trainable), list(metrics))
    (sums, non_trainable, metrics), _ = jax.lax.scan(add, start, batch)
    gradients = [total / count for total in sums]
    trainable, optimizer_variables = learner.optimizer.stateless_apply(
        optimizer_variables, gradients, trainable
    )
    with _holding(learner.metrics_variables, metrics):
        logs = learner.get_metrics_result()
    return logs, (trainable, non_trainable, optimizer_variables, metrics)


def _holding(variables: Sequence[keras.Variable], values: Sequence) -> keras.StatelessScope:
    """A scope in which the variables have these values."""
    return keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))


def _on_torch(learner: "Learner", data) -> dict[str, Any]:
    import torch

    batch = keras.utils.unpack_x_y_sample_weight(data)
    count = learner.accumulation_steps
    learner.zero_grad()
    for number in range(count):
        part = _part(batch, number, count)
        x, y, sample_weight = part
        y_pred = learner(x, training=True)
        loss = learner.compute_loss(x, y, y_pred, sample_weight, training=True)
        (learner.optimizer.scale_loss(loss) / count).backward()  # adds to what there is
        with torch.no_grad():
            _measure(learner, loss, part, y_pred)
    weights = learner.trainable_weights
    with torch.no_grad():
        learner.optimizer.apply([weight.value.grad for weight in weights], weights)
    return learner.get_metrics_result()


def _part(batch: Batch, number, count: int) -> Batch:
    """Part ``number``, which may be a tensor of TensorFlow, of the examples."""

    def of(array):
        if array is None:
            return None
        sides = [keras.ops.shape(array)[axis] for axis in range(1, len(array.shape))]
        return keras.ops.take(keras.ops.reshape(array, (-1, count, *sides)), number, axis=1)

    return keras.tree.map_structure(of, batch)


def _measure(learner: "Learner", loss, part: Batch, y_pred) -> None:
    """Lets the loss and the metrics see a part of the batch."""
    x, y, sample_weight = part
    examples = keras.ops.shape(keras.tree.flatten(x)[0])[0]
    learner.loss_metric.update_state(loss, sample_weight=examples)
    learner.compute_metrics(x, y, y_pred, sample_weight)


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if scaling else optimizer


def _is_nonlinear(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the optimizer first does more to a gradient than what is linear."""
    inner = _inner(optimizer)
    bounds = (inner.clipnorm, inner.global_clipnorm, inner.clipvalue)
    return inner is not optimizer or any(bound is not None for bound in bounds)


def _clipped(gradients: list, optimizer: keras.optimizers.Optimizer) -> list:
    """Clips as the optimizer is asked to, gradients of the scaled loss."""
    import tensorflow as tf

    inner = _inner(optimizer)
    scale = tf.cast(optimizer.scale_loss(1.0), gradients[0].dtype)
    if inner.global_clipnorm is not None:
        return tf.clip_by_global_norm(gradients, inner.global_clipnorm * scale)[0]
    if inner.clipnorm is not None:
        return [tf.clip_by_norm(g, inner.clipnorm * scale) for g in gradients]
    if inner.clipvalue is not None:
        bound = inner.clipvalue * scale
        return [tf.clip_by_value(g, -bound, bound) for g in gradients]
    return gradients
