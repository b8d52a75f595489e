"""This backend against TensorFlow, computed in a process of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.backends.reference import NETWORKS, layer_results, network_results
from tests.support.specs import CORE_SPECS, NAMES, spec_id

ROOT = pathlib.Path(__file__).parents[2]
BACKEND = keras.config.backend()

# Keras' batch norm on torch takes the variance as E[x²] − E[x]², hence the wider bounds there.
LAYER_BOUND = {"jax": 2e-5, "torch": 1e-3}
NETWORK_BOUND = {"jax": 2e-4, "torch": 2e-3}


@pytest.fixture(scope="module")
def tensorflow_results(tmp_path_factory):
    if importlib.util.find_spec("tensorflow") is None:  # and it is not imported here
        pytest.skip("TensorFlow is not installed")
    path = tmp_path_factory.mktemp("reference") / "results.npz"
    subprocess.run(
        [sys.executable, "-m", "tests.backends.reference", str(path)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        check=True,
    )
    return np.load(path)


def check_equal(results, reference, prefix, bound):
    expected = {key: reference[f"{prefix}/{key}"] for key in results}
    # Some gradients are zero but for rounding (a bias before a batch norm), so all of a layer's
    # gradients share one scale.
    gradient_scale = max(np.abs(v).max() for k, v in expected.items() if k.startswith("gradient"))
    for key, value in results.items():
        scale = gradient_scale if key.startswith("gradient") else np.abs(expected[key]).max()
        limit = 2e-6 if key == "inference" and prefix.startswith("layer") else bound
        np.testing.assert_allclose(
            value, expected[key], rtol=0, atol=limit * scale, err_msg=f"{prefix}/{key}"
        )


@pytest.mark.parametrize("spec", CORE_SPECS, ids=spec_id)
def test_layers_agree(spec, tensorflow_results):
    check_equal(
        layer_results(spec), tensorflow_results, f"layer/{spec_id(spec)}", LAYER_BOUND[BACKEND]
    )


def test_every_module_is_in_a_network():
    assert {module for modules in NETWORKS.values() for module in modules} == {None, *NAMES}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_small_network_agrees(name, tensorflow_results):
    check_equal(
        network_results(NETWORKS[name]),
        tensorflow_results,
        f"network/{name}",
        NETWORK_BOUND[BACKEND],
    )
