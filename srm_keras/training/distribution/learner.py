"""The model that is trained: Keras' own, with the gaps of its distribution closed."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from srm_keras.training.distribution.replicas import inference_state


@keras.saving.register_keras_serializable("srm_keras")
class Learner(keras.Model):
    """A ``keras.Model`` whose training on several replicas is that on one device.

    ``Learner(model.inputs, model.outputs, name=model.name)`` shares every layer with ``model``.
    On one device it is a plain model. On several:

    - Keras on TensorFlow clips gradients, and looks for overflow in mixed float16, before it sums
      them over the replicas: each replica clips its own part, and an overflow that the first
      replica does not see reaches the weights. Where the optimizer clips or scales the loss, the
      gradients are summed and clipped here first, which costs a second all-reduce.
    - A last batch with fewer examples than replicas leaves some of them without any, which
      TensorFlow's convolutions do not always survive: such a replica sits the step out.
    - Evaluation is that of the network that is saved (``inference_state``), and on JAX it runs
      outside the data distribution, which cannot split a last batch that is not divisible.
    """

    def train_step(self, *args) -> Any:
        """One update; the arguments and the result are those of ``keras.Model.train_step``."""
        if not (_replicas() > 1 and _needs_whole_gradients(self.optimizer)):
            return super().train_step(*args)
        return self._train_step_on_whole_gradients(*args)

    def _train_step_on_whole_gradients(self, data) -> dict[str, Any]:
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            # Keras divides the loss by the number of replicas.
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        whole = tf.distribute.get_replica_context().all_reduce("SUM", gradients)
        clipped = _clipped(whole, self.optimizer)
        # The optimizer sums over the replicas once more; parts this small it does not clip.
        self.optimizer.apply([g / _replicas() for g in clipped], self.trainable_weights)
        self._loss_metric.update_state(loss * _replicas(), sample_weight=tf.shape(y)[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, *args) -> Any:
        """One evaluation step, as in ``keras.Model.test_step``."""
        if not _may_be_empty():
            return super().test_step(*args)
        import tensorflow as tf

        examples = tf.shape(tf.nest.flatten(args)[0])[0]
        evaluate = super().test_step
        return tf.cond(examples > 0, lambda: evaluate(*args), self.get_metrics_result)

    @property
    def _loss_metric(self) -> keras.metrics.Metric:
        return next(metric for metric in self.metrics if metric.name == "loss")

    def evaluate(self, *args, **kwargs) -> Any:
        """As ``keras.Model.evaluate``, of the network that is saved."""
        with inference_state(self), _without_distribution():
            return super().evaluate(*args, **kwargs)


def _replicas() -> int:
    if keras.config.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def _may_be_empty() -> bool:
    """Whether the strategy splits batches itself, as all do but the multi-worker one."""
    if _replicas() == 1:
        return False
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    return not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if scaling else optimizer


def _needs_whole_gradients(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the optimizer does more to a gradient than what is linear."""
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


@contextlib.contextmanager
def _without_distribution() -> Iterator[None]:
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
