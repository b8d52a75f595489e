"""One small training, the same on every distribution and backend.

`python -m tests.training.distribution.runs OUT.npz [float64] [NAME=VALUE ...]` runs it with the
devices, the backend and the TF_CONFIG of the environment and writes what came out. A NAME is a
field of the recipe or one of network, optimizer and stop_at.
"""

import sys

import keras
import numpy as np
from ml_collections import config_dict

from srm_keras import layers, models
from srm_keras.training.distribution import Learner, resolve_strategy, set_synchronized
from srm_keras.training.evaluation import top5_accuracy
from srm_keras.training.optimizer import optimizer_class

STEPS, EPOCHS, BATCH = 2, 2, 8
HELD_OUT = 13  # three batches of 4 and one of 1


def recipe(**fields) -> config_dict.ConfigDict:
    """The fields that `resolve_strategy` reads."""
    defaults = {
        "strategy": "auto",
        "batch_size": BATCH,
        "eval_batch_size": 4,
        "dtype_policy": "float32",
        "jit_compile": False,
        "steps_per_execution": 1,
        "accumulation_steps": 1,
        "synchronized_batch_norm": True,
    }
    return config_dict.ConfigDict({**defaults, **fields})


def arrays(seed: int, count: int):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(count, 16, 16, 3)).astype(keras.config.floatx())
    return images, rng.integers(0, 10, count).astype("int32")


class Part(keras.utils.PyDataset):
    """Batches of one worker's part of each global batch, without TensorFlow."""

    def __init__(self, images, labels, batch_size, part=(0, 1)):
        super().__init__()
        self.examples, self.batch_size, self.part = (images, labels), batch_size, part

    def __len__(self):
        return -(-len(self.examples[1]) // self.batch_size)

    def __getitem__(self, index):
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        number, parts = self.part
        return tuple(np.array_split(array[rows], parts)[number] for array in self.examples)


def as_dataset(part: Part):
    import tensorflow as tf

    images, labels = part[0]
    signature = tuple(tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in (images, labels))
    batches = tf.data.Dataset.from_generator(
        lambda: (part[index] for index in range(len(part))), output_signature=signature
    )
    return batches.apply(tf.data.experimental.assert_cardinality(len(part)))


class Recorder(keras.callbacks.Callback):
    """The names of all calls in their order, and the logs of the epochs and batches."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at = stop_at
        self.calls, self.epochs, self.batches = [], [], []

    def on_train_begin(self, logs=None):
        self.calls.append("train_begin")

    def on_train_end(self, logs=None):
        self.calls.append("train_end")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch_begin {epoch}")

    def on_test_begin(self, logs=None):
        self.calls.append("test_begin")

    def on_test_end(self, logs=None):
        self.calls.append("test_end")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(f"batch_end {batch}")
        self.batches.append({name: float(np.asarray(value)) for name, value in logs.items()})
        if len(self.batches) == self.stop_at:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch_end {epoch}")
        self.epochs.append({name: float(value) for name, value in logs.items()})


def make_optimizer(name: str) -> keras.optimizers.Optimizer:
    """`lamb` is ours; `clip` clips hard and averages the weights; `sgd` is plain momentum."""
    if name == "lamb":
        return optimizer_class(name)(0.01, weight_decay=0.1, ema_decay=0.9, global_clipnorm=0.1)
    if name == "clip":
        return keras.optimizers.SGD(
            0.1, momentum=0.9, global_clipnorm=0.01, use_ema=True, ema_momentum=0.5
        )
    return keras.optimizers.SGD(0.1, momentum=0.9)


def make_network(name: str) -> keras.Model:
    """`resnet` has eight layers; `small` one convolution, quick to trace, and what drops."""
    if name == "resnet":
        return models.build(
            "cifar_resnet", depth=8, block="basic", recalibration="srm", input_shape=(16, 16, 3)
        )
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="bn", epsilon=1e-5, momentum=0.9)(x)
    x = layers.SRM(name="srm")(keras.layers.ReLU()(x))
    x = layers.StochasticDepth(0.3, name="drop_path")(x)
    x = layers.Dropout(0.3, name="dropout")(keras.layers.GlobalAveragePooling2D()(x))
    x = keras.layers.Dense(10, activation="softmax", name="classes")(x)
    return keras.Model(inputs, x, name="small")


def build(distribution, fields, optimizer="sgd", network="small") -> Learner:
    """The compiled network."""
    keras.utils.set_random_seed(3)
    with distribution.scope():
        model = make_network(network)
        learner = Learner(model.inputs, model.outputs, name=model.name)
        set_synchronized(learner, fields.synchronized_batch_norm and distribution.replicas > 1)
        learner.accumulation_steps = fields.accumulation_steps
        learner.compile(
            make_optimizer(optimizer),
            keras.losses.SparseCategoricalCrossentropy(),
            metrics=["accuracy", top5_accuracy(one_hot=False)],
            jit_compile=fields.jit_compile,
            steps_per_execution=fields.steps_per_execution,
        )
    return learner


def run(fields, optimizer="sgd", network="small", stop_at=None, wrap=as_dataset):
    """Trains and returns `(learner, recorder, evaluation, distribution)`.

    `stop_at`: after how many updates the last worker sets `stop_training`.
    """
    distribution = resolve_strategy(fields)
    learner = build(distribution, fields, optimizer, network)
    part = (distribution.worker, distribution.workers)
    recorder = Recorder(stop_at if distribution.worker == distribution.workers - 1 else None)
    train = Part(*arrays(0, BATCH * (STEPS * EPOCHS + 1)), BATCH, part)
    held_out = Part(*arrays(1, HELD_OUT), 4)
    distribution.fit(
        learner,
        wrap(train),
        steps_per_epoch=STEPS,
        epochs=EPOCHS,
        validation_data=wrap(held_out),
        callbacks=[recorder],
    )
    return learner, recorder, distribution.evaluate(learner, wrap(held_out)), distribution


def outcome(learner, recorder, evaluation) -> dict[str, np.ndarray]:
    """Every weight, and every number that the callbacks saw."""
    result = {f"weight {v.path}": keras.ops.convert_to_numpy(v) for v in learner.variables}
    for kind, rows in (("epoch", recorder.epochs), ("batch", recorder.batches)):
        for number, row in enumerate(rows):
            result |= {f"{kind} {number} {name}": np.array(row[name]) for name in row}
    result |= {f"evaluation {name}": np.array(value) for name, value in evaluation.items()}
    return result | {"calls": np.array(recorder.calls)}


def main(out, *words):
    if "float64" in words:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
    options = dict(word.split("=") for word in words if "=" in word)
    options = {name: int(value) if value.isdigit() else value for name, value in options.items()}
    names = ("network", "optimizer", "stop_at")
    run_options = {name: options.pop(name) for name in names if name in options}
    wrap = as_dataset if keras.config.backend() == "tensorflow" else (lambda part: part)
    learner, recorder, evaluation, distribution = run(recipe(**options), wrap=wrap, **run_options)
    np.savez(
        out,
        replicas=distribution.replicas,
        is_chief=distribution.is_chief,
        any_of_chief=distribution.any_worker(distribution.is_chief),
        any_of_none=distribution.any_worker(False),
        tensorflow="tensorflow" in sys.modules,
        **outcome(learner, recorder, evaluation),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
