"""How far two replicas drift from one device, and why: `docs/distribution.md` has the answer.

    python -m tests.training.distribution.drift [--seeds=3] [--dtype=float32]

trains a small SRM network for eight updates on two replicas with synchronized batch norm, and
variants of it, and prints after each update the largest difference of a weight from the run on
one device, and in how many ReLUs one run lets a value through and the other does not.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from srm_keras import models
from srm_keras.training.distribution import batch_norms, set_synchronized, tensorflow_strategies

STEPS, BATCH, SHAPE = 8, 32, (16, 16, 3)
SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each case.")
DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "float64"], "Of everything.")

# Each case is compared with its first form on one device, examples in their own order.
CASES = {
    "two replicas": {"replicas": 2},
    "one device, examples of each batch in another order": {"order": True},
    "two replicas, epsilon 1e-2 in SRM's batch norm": {"replicas": 2, "epsilon": 1e-2},
    "two replicas, softplus for ReLU": {"replicas": 2, "smooth": True},
    "one device, another order, softplus for ReLU": {"order": True, "smooth": True},
}


def network(epsilon=None, smooth=False) -> keras.Model:
    """A CifarResNet of depth 8 with SRM."""
    model = models.build(
        "cifar_resnet", depth=8, block="basic", recalibration="srm", input_shape=SHAPE
    )
    if epsilon:
        for layer in batch_norms(model):
            layer.epsilon = epsilon if layer.path.endswith("recalibration/bn") else layer.epsilon
    return keras.models.clone_model(model, clone_function=softened) if smooth else model


def softened(layer):
    if isinstance(layer, keras.layers.ReLU):
        return keras.layers.Activation("softplus", name=layer.name)
    return layer.__class__.from_config(layer.get_config())


def data(seed: int, order: bool):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(STEPS, BATCH, *SHAPE)).astype(keras.config.floatx())
    labels = rng.integers(0, 10, (STEPS, BATCH))
    other = rng.permutation(BATCH) if order else np.arange(BATCH)
    return images[:, other], labels[:, other]


class States(keras.callbacks.Callback):
    """All weights after every update."""

    def on_train_begin(self, logs=None):
        self.after = []

    def on_train_batch_end(self, batch, logs=None):
        self.after.append([np.array(keras.ops.convert_to_numpy(v)) for v in self.model.weights])


def runs(seeds: int, replicas=1, order=False, **options) -> list[list[list[np.ndarray]]]:
    """For each seed, the weights after each update."""
    distribution = tensorflow_strategies.mirrored() if replicas == 2 else None
    with distribution.scope() if distribution else contextlib.nullcontext():
        model = network(**options)
        set_synchronized(model, replicas == 2)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(), jit_compile=False)
        optimizer.build(model.trainable_variables)
    found = []
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        model.set_weights(network(**options).get_weights())
        for variable in optimizer.variables[2:]:  # after the iteration and the learning rate
            variable.assign(np.zeros(variable.shape))
        states = States()
        batches = tf.data.Dataset.from_tensor_slices(data(seed, order))
        model.fit(batches, shuffle=False, verbose=0, callbacks=[states])
        found.append(states.after)
    return found


def flips(probe: keras.Model, ours, theirs, images) -> int:
    """ReLU inputs of another sign in the two states, on a batch in training mode."""
    passed = []
    for weights in (ours, theirs):
        probe.set_weights(weights)
        passed.append([np.asarray(x) > 0 for x in probe(images, training=True)])
    return sum(int(np.sum(a != b)) for a, b in zip(*passed, strict=True))


def report(name: str, states, reference, probe) -> None:
    for seed, (ours, theirs) in enumerate(zip(states, reference, strict=True)):
        drift = [
            max(np.abs(a - b).max() for a, b in zip(x, y, strict=True))
            for x, y in zip(ours, theirs, strict=True)
        ]
        batches = data(seed, False)[0]
        changed = [""] * STEPS
        if probe:
            changed = [
                flips(probe, ours[k], theirs[k], batches[k + 1]) for k in range(STEPS - 1)
            ] + ["-"]
        cells = [
            f"{d:.0e} ({c})" if c != "" else f"{d:.0e}" for d, c in zip(drift, changed, strict=True)
        ]
        print(f"| {name}, seed {seed} | " + " | ".join(cells) + " |", flush=True)


def main(_):
    keras.config.set_floatx(DTYPE.value)
    keras.config.set_dtype_policy(DTYPE.value)
    print(f"| {DTYPE.value} | " + " | ".join(f"update {k}" for k in range(1, STEPS + 1)) + " |")
    print("| --- |" + " --- |" * STEPS)
    references = {}
    for name, case in CASES.items():
        options = {key: case[key] for key in ("epsilon", "smooth") if key in case}
        key = tuple(options)
        if key not in references:
            references[key] = runs(SEEDS.value, **options)
        plain = network(**options)
        outputs = [layer.output for layer in plain.layers if isinstance(layer, keras.layers.ReLU)]
        probe = keras.Model(plain.input, [*outputs, plain.output]) if outputs else None
        report(name, runs(SEEDS.value, **case), references[key], probe)


if __name__ == "__main__":
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    app.run(main)
