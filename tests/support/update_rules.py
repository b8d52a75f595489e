"""What optimizers do to a weight, in NumPy and float64, and the comparison with ours."""

import keras
import numpy as np

from srm_keras.training.optimizer import optimizer_class
from srm_keras.training.schedules import StepDecay

STEPS, DECAY, EMA = 6, 0.05, 0.8
SHAPES = {"kernel": (5, 3), "slow": (4,), "scale": (3,)}
FACTORS = {"slow": 0.25}


def problem():
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    gradients = [{n: rng.normal(size=shape) for n, shape in SHAPES.items()} for _ in range(STEPS)]
    return weights, gradients


def as_variables(weights):
    return [keras.Variable(w.astype("float32"), name=name) for name, w in weights.items()]


def as_tensors(gradients):
    return [keras.ops.cast(gradient, "float32") for gradient in gradients.values()]


def rate(step):
    return 0.1 if step < 4 else 0.01


def adam(m, v, t, epsilon):
    mean, square = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return mean / (np.sqrt(square) + epsilon)


def adamw(w, g, state, t, lr, decay):
    """Loshchilov and Hutter 2019, algorithm 2, in the form of PyTorch (epsilon beside √v̂)."""
    state["m"] = 0.9 * state["m"] + 0.1 * g
    state["v"] = 0.999 * state["v"] + 0.001 * g**2
    return w - lr * decay * w - lr * adam(state["m"], state["v"], t, 0.0)


def lamb(w, g, state, t, lr, decay):
    """You et al. 2020, algorithm 2; without decay no ratio, as in the authors' code."""
    state["m"] = 0.9 * state["m"] + 0.1 * g
    state["v"] = 0.999 * state["v"] + 0.001 * g**2
    u = adam(state["m"], state["v"], t, 1e-6)
    if not decay:
        return w - lr * u
    u = u + decay * w
    return w - lr * np.linalg.norm(w) / np.linalg.norm(u) * u


def lion(w, g, state, t, lr, decay):
    """Chen et al. 2023, algorithm 2."""
    direction = np.sign(0.9 * state["m"] + 0.1 * g)
    state["m"] = 0.99 * state["m"] + 0.01 * g
    return w - lr * (direction + decay * w)


RULES = {"adamw": adamw, "lamb": lamb, "lion": lion}


def assert_updates_are_the_papers(name):
    """At every step, with rates, decay and averages by path."""
    weights, gradients = problem()
    variables = as_variables(weights)
    optimizer = optimizer_class(name)(
        StepDecay(0.1, (4,)),
        weight_decay=DECAY,
        decay_exclude=["scale"],
        rate_factors=FACTORS,
        ema_decay=EMA,
        # Of Keras' Adam, whose epsilon stands beside √v and not beside the corrected one.
        **({"epsilon": 1e-12} if name == "adamw" else {}),
    )
    states = {key: {"m": 0.0, "v": 0.0} for key in SHAPES}
    averages = {}
    for step, given in enumerate(gradients):
        optimizer.apply(as_tensors(given), variables)
        for (key, w), variable, average in zip(
            weights.items(), variables, optimizer.averages, strict=True
        ):
            decay = 0.0 if key == "scale" else DECAY
            lr = rate(step) * FACTORS.get(key, 1.0)
            weights[key] = RULES[name](w, given[key], states[key], step + 1, lr, decay)
            before = averages.get(key, weights[key])
            averages[key] = EMA * before + (1 - EMA) * weights[key]
            for ours, expected in ((variable, weights[key]), (average, averages[key])):
                found = keras.ops.convert_to_numpy(ours)
                np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
