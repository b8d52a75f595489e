"""Compute what ``test_agreement`` compares: run as a script under the TensorFlow backend."""

import sys

import keras
import numpy as np
from keras import ops

from srm_keras.layers import recalibration
from srm_keras.models import CifarResNet
from tests.support.gradients import layer_gradients
from tests.support.specs import CORE_SPECS, spec_id
from tests.support.weights import feature_map, randomize

SHAPE = (3, 9, 7, 12)  # That of tests/layers/test_contract.py: JAX compiles for each anew.

# Every module in a network, one a stage. Agreement of each by itself is that of the layers.
NETWORKS = {
    "srm, se, ge": ["srm", "se", "ge"],
    "eca, cbam, simam": ["eca", "cbam", "simam"],
    "gct, fca, none": ["gct", "fca", None],
}


def layer_results(spec) -> dict[str, np.ndarray]:
    """Inference output, training output and training gradients of one module."""
    layer = recalibration(spec, name="module", data_format="channels_last")
    layer.build(SHAPE)
    randomize(layer)
    x = feature_map(SHAPE)
    upstream = np.random.default_rng(1).normal(size=SHAPE).astype("float32")
    inference = ops.convert_to_numpy(layer(x, training=False))
    y, dx, dw = layer_gradients(layer, x, upstream, training=True)
    gradients = {f"gradient/{i}": gradient for i, gradient in enumerate([dx, *dw])}
    return {"inference": inference, "training": y, **gradients}


def network_results(modules) -> dict[str, np.ndarray]:
    """Logits of a small network at inference and in training, and its input gradient."""
    model = CifarResNet(
        8,
        "basic",
        recalibration=modules,
        classes=5,
        input_shape=(16, 16, 3),
        classifier_activation=None,
        data_format="channels_last",
    )
    randomize(model)
    x = feature_map((8, 16, 16, 3))
    inference = model.predict(x, verbose=0)
    y, dx, _ = layer_gradients(model, x, np.ones((8, 5), "float32"), training=True)
    return {"inference": inference, "training": y, "gradient/0": dx}


def all_results() -> dict[str, np.ndarray]:
    """Everything above, flat: ``{"layer/srm/inference": ...}``."""
    results = {}
    for spec in CORE_SPECS:
        for key, value in layer_results(spec).items():
            results[f"layer/{spec_id(spec)}/{key}"] = value
    for name, modules in NETWORKS.items():
        for key, value in network_results(modules).items():
            results[f"network/{name}/{key}"] = value
    return results


if __name__ == "__main__":
    assert keras.config.backend() == "tensorflow"
    np.savez(sys.argv[1], **all_results())
