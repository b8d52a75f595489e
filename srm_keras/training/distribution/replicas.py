"""The model that replicas train together, and what each of them holds by itself.

That is batch norm statistics, and variables are read and written bit for bit.

Under TensorFlow's mirrored strategies a variable has one component a replica. Components may
differ: the moving averages of a batch norm that is not synchronized do, and so do metrics,
which are summed only when they are read. ``variable.numpy()`` shows one of them, or their sum;
here each is its own.

A synchronized batch norm takes its moments over the whole global batch; a local one over the
examples of its own replica. With local ones the moving averages of the replicas differ. The
network that is evaluated and saved is the one whose moving averages are the mean over replicas.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from srm_keras.training.distribution.logs import unreading
from srm_keras.training.distribution.update import needs_own_update, replica_count, update

if TYPE_CHECKING:
    from srm_keras.training.distillation import Teacher


def local_values(variable: keras.Variable) -> list[np.ndarray]:
    """The value of ``variable`` on each replica of this process.

    Args:
        variable: A built Keras variable of a model, an optimizer, a metric or a seed generator.

    Returns:
        One array of the variable's shape and dtype a local replica, in the order of the replicas;
        copies, which later assignments leave alone.
        One array where the variable is not distributed, and on JAX, whose distributed arrays are
        one array whatever the number of devices.
    """
    if keras.config.backend() == "tensorflow":
        return [component.numpy() for component in _components(variable)]
    return [keras.ops.convert_to_numpy(variable)]


def assign_local(variable: keras.Variable, values: Sequence[np.ndarray]) -> None:
    """Writes one value to each local replica; the inverse of ``local_values``.

    Args:
        variable: As for ``local_values``.
        values: One array of the variable's shape a local replica.

    Raises:
        ValueError: If the number of values is not that of the local replicas, or a shape differs.
    """
    components = _components(variable)
    if len(values) != len(components):
        raise ValueError(
            f"`values` must hold one value for each of the {len(components)} local replicas of "
            f"{variable.path!r}. Received: {len(values)} values"
        )
    shape = tuple(variable.shape)
    for value in values:
        if np.shape(value) != shape:
            raise ValueError(
                f"`values` must have the shape {shape} of {variable.path!r}. "
                f"Received: a value of shape {np.shape(value)}"
            )
    for component, value in zip(components, values, strict=True):
        component.assign(value)


def _components(variable: keras.Variable) -> Sequence[Any]:
    """What can be read and assigned on each local replica."""
    if keras.config.backend() != "tensorflow":
        return [variable]
    native = variable.value
    strategy = getattr(native, "distribute_strategy", None)
    return [native] if strategy is None else strategy.experimental_local_results(native)


def running_loss(learner: keras.Model) -> float:
    """The mean of the loss since the epoch began, over the replicas of this process.

    To read it is to wait for the device. NaN before the first batch.

    Args:
        learner: The compiled model, as a callback's ``self.model`` gives it.
    """
    mean = next(metric for metric in learner.metrics if metric.name == "loss")
    total, count = (float(np.sum(local_values(v))) for v in (mean.total, mean.count))
    return total / count if count else float("nan")


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Every batch norm of ``model``, also inside nested models and recalibration layers."""
    return [
        layer for layer in sublayers(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]


def set_synchronized(model: keras.Model, synchronized: bool) -> None:
    """Makes all batch norms of ``model`` synchronized or local; before the first training step.

    It is the public attribute ``layer.synchronized``, which decides when the step is traced. On
    other backends than TensorFlow there is nothing to decide and nothing is done: JAX computes
    the moments over the global batch whatever the devices, and torch trains on one device.
    """
    if keras.config.backend() == "tensorflow":
        for layer in batch_norms(model):
            layer.synchronized = synchronized


@contextlib.contextmanager
def inference_state(model: keras.Model) -> Iterator[keras.Model]:
    """``model`` as it is evaluated and saved; inside of it, do not train.

    Inside, the moving averages are the mean over the local replicas (computed in float64), and no
    batch norm says ``synchronized=True``, so that the file that is saved loads on every backend.
    Afterwards every replica has its own moving averages again, bit for bit.

    Example:
        >>> with inference_state(model):
        ...     model.save("last.keras")
    """
    layers = batch_norms(model)
    synchronized = [layer.synchronized for layer in layers]
    variables = [variable for layer in layers for variable in layer.non_trainable_variables]
    own = {variable.path: (variable, local_values(variable)) for variable in variables}
    own = {path: (v, values) for path, (v, values) in own.items() if _differ(values)}
    try:
        for variable, values in own.values():
            mean = np.mean(values, axis=0, dtype="float64").astype(values[0].dtype)
            assign_local(variable, [mean] * len(values))
        for layer in layers:
            layer.synchronized = False
        yield model
    finally:
        for layer, flag in zip(layers, synchronized, strict=True):
            layer.synchronized = flag
        for variable, values in own.values():
            assign_local(variable, values)


def _differ(values: list[np.ndarray]) -> bool:
    return any(not np.array_equal(values[0], value) for value in values[1:])


def sublayers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """``layer`` and every layer below it, each once."""
    seen: set[int] = set()
    waiting: list[object] = [layer]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, keras.Layer) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting.extend(item.layers if isinstance(item, keras.Model) else ())
            waiting.extend(vars(item).values())


@keras.saving.register_keras_serializable("srm_keras")
class Learner(keras.Model):
    """A ``keras.Model`` whose training on several replicas, or in parts, is that of the batch.

    ``Learner(model.inputs, model.outputs, name=model.name)`` shares every layer with ``model``.
    On one device it is a plain model. What is different:

    - With ``accumulation_steps`` a batch is computed in as many parts, one after the other, of
      which each takes the memory of a smaller batch; their mean gradient is that of the update.
    - Keras on TensorFlow clips gradients, and looks for overflow in mixed float16, before it sums
      them over the replicas: each replica clips its own part, and an overflow that the first
      replica does not see reaches the weights. Where the optimizer clips or scales the loss, the
      gradients are summed and clipped here first, which costs a second all-reduce.
    - A last batch with fewer examples than replicas leaves some of them without any, which
      TensorFlow's convolutions do not always survive: such a replica sits the step out.
    - With a ``teacher`` the loss of labels has the weight ``1 - teacher.weight`` in training, and
      what the teacher's answers add comes to it. Evaluation knows of no teacher.
    - Evaluation is that of the network that is saved (``inference_state``), and on JAX it runs
      outside the data distribution, which cannot split a last batch that is not divisible.

    The logs of a batch that callbacks get are ``Unread`` on TensorFlow and torch. On JAX Keras
    reads them in threads of its own where no callback takes them.
    """

    train_function: Any
    test_function: Any

    accumulation_steps = 1
    """Parts in which a batch is computed; set it before the first update."""

    teacher: "Teacher | None" = None
    """Whose answers are learned beside the labels; nothing of it is tracked as part of this."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Any:
        """The whole loss: ``keras.Model.compute_loss`` and all that comes to it in training.

        Called with a part of a batch as well as with the whole one.
        """
        if self.teacher is None or not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        # A weight of the examples, since regularizers stay as they are.
        of_labels = keras.ops.full(keras.ops.shape(y_pred)[:1], 1 - self.teacher.weight)
        if sample_weight is not None:
            of_labels = of_labels * sample_weight
        of_labels = super().compute_loss(x, y, y_pred, of_labels, training)
        return of_labels + self.teacher.loss(x, y_pred)

    def make_train_function(self, force: bool = False) -> None:
        """Makes what ``fit`` calls, as in ``keras.Model``."""
        if self.train_function is None or force:
            super().make_train_function(force=True)
            self.train_function = unreading(self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        """Makes what ``evaluate`` calls, as in ``keras.Model``."""
        if self.test_function is None or force:
            super().make_test_function(force=True)
            self.test_function = unreading(self.test_function)

    def train_step(self, *args) -> Any:
        """One update; the arguments and the result are those of ``keras.Model.train_step``."""
        return update(self, *args) if needs_own_update(self) else super().train_step(*args)

    def test_step(self, *args) -> Any:
        """One evaluation step, as in ``keras.Model.test_step``."""
        if not _may_be_empty():
            return super().test_step(*args)
        import tensorflow as tf

        examples = tf.shape(tf.nest.flatten(args)[0])[0]
        evaluate = super().test_step
        return tf.cond(examples > 0, lambda: evaluate(*args), self.get_metrics_result)

    @property
    def loss_metric(self) -> keras.metrics.Metric:
        """The mean of the loss; there once the model is compiled."""
        return next(metric for metric in self.metrics if metric.name == "loss")

    def evaluate(self, *args, **kwargs) -> Any:
        """As ``keras.Model.evaluate``, of the network that is saved."""
        with inference_state(self), _without_distribution():
            return super().evaluate(*args, **kwargs)


def _may_be_empty() -> bool:
    """Whether the strategy splits batches itself, as all do but the multi-worker one."""
    if replica_count() == 1:
        return False
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    return not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


@contextlib.contextmanager
def _without_distribution() -> Iterator[None]:
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
