"""Which distribution a recipe gets, and what is refused before anything is read."""

import json
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from srm_keras.training.distribution import resolve_strategy
from tests.training.distribution.runs import build, recipe


def tf_config(workers, **task):
    return json.dumps({"cluster": {"worker": [f"host{k}:1" for k in range(workers)]}, "task": task})


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def test_auto_is_one_device_without_gpus_or_workers(monkeypatch):
    distribution = resolve_strategy(recipe(strategy="auto"))
    assert (distribution.name, distribution.replicas, distribution.workers) == ("one_device", 1, 1)
    monkeypatch.setenv("TF_CONFIG", tf_config(1, type="worker", index=0))
    assert resolve_strategy(recipe(strategy="auto")).name == "one_device"


def test_auto_is_mirrored_on_several_gpus(monkeypatch):
    cpus = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: cpus if kind in ("CPU", "GPU") else []
    )
    assert resolve_strategy(recipe(strategy="auto")).replicas == 2


def test_auto_is_multi_worker_where_the_environment_names_workers(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(2, type="worker", index=1))
    with pytest.raises(ValueError, match=r"`batch_size` must be divisible by the 2 replicas"):
        resolve_strategy(recipe(strategy="auto", batch_size=7))


def test_one_strategy_a_process(mirrored):
    assert resolve_strategy(recipe(strategy="mirrored")).strategy is mirrored


def test_auto_compiles_nothing_on_several_devices(mirrored, monkeypatch):
    """Keras leaves it; so `auto` is not refused as `True` is."""
    found = [SimpleNamespace(device_type="GPU")] * 2
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda *_: found)
    distribution = resolve_strategy(recipe(strategy="mirrored", jit_compile="auto"))
    assert not build(distribution, recipe(jit_compile="auto")).jit_compile


REFUSED = [
    ({"strategy": "mirored"}, r"`strategy` must be one of .*did you mean 'mirrored'"),
    ({"strategy": "mirrored", "batch_size": 7}, r"divisible by the 2 replicas.*batch_size=7"),
    (
        {"strategy": "mirrored", "batch_size": 12, "accumulation_steps": 4},
        r"by the 2 replicas of strategy='mirrored' times accumulation_steps=4. .*batch_size=12",
    ),
    ({"strategy": "mirrored", "jit_compile": True}, r"XLA.*jit_compile=True"),
    ({"strategy": "mirrored", "steps_per_execution": 4}, r"one step.*steps_per_execution=4"),
    ({"strategy": "multi_worker"}, r"environment variable TF_CONFIG.*TF_CONFIG=None"),
    ({"strategy": "tpu", "dtype_policy": "mixed_float16"}, r"bfloat16.*'mixed_float16'"),
    ({"strategy": "tpu"}, r"needs a TPU, and TensorFlow finds none.*TPUs not found"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_cannot_run_is_refused_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message) as refusal:
        resolve_strategy(recipe(**fields))
    assert "\n" not in str(refusal.value)


REFUSED_FOR_WORKERS = [
    ({"batch_size": 7}, r"divisible by the 2 replicas"),
    ({"jit_compile": True}, r"jit_compile=True"),
    ({"steps_per_execution": 2}, r"steps_per_execution=2"),
    ({"synchronized_batch_norm": False}, r"one state.*synchronized_batch_norm=False"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED_FOR_WORKERS)
def test_what_workers_cannot_run_is_refused_before_they_wait_for_each_other(
    fields, message, monkeypatch
):
    monkeypatch.setenv("TF_CONFIG", tf_config(2, type="worker", index=0))
    with pytest.raises(ValueError, match=message):
        resolve_strategy(recipe(strategy="multi_worker", **fields))


BROKEN = [
    "{",
    "[]",
    "{}",
    '{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
    tf_config(2, type="worker", index=2),
    tf_config(2, type="chief", index=0),
    tf_config(2),
]


@pytest.mark.parametrize("config", BROKEN)
def test_a_broken_tf_config_is_named(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match="TF_CONFIG") as refusal:
        resolve_strategy(recipe(strategy="multi_worker"))
    assert config in str(refusal.value)


@pytest.mark.parametrize("name", ["mirrored", "multi_worker", "tpu"])
def test_torch_has_one_device(name, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    assert resolve_strategy(recipe(strategy="auto")).replicas == 1
    with pytest.raises(ValueError, match=f"`strategy` '{name}'.*torch"):
        resolve_strategy(recipe(strategy=name))


REFUSED_ON_JAX = [
    ({"strategy": "multi_worker"}, r"needs the TensorFlow backend"),
    ({"strategy": "tpu"}, r"needs a TPU.*'cpu:1'"),
    ({"strategy": "auto", "batch_size": 7}, r"divisible by the 2 replicas"),
    ({"strategy": "mirrored", "synchronized_batch_norm": False}, r"no local batch norm"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED_ON_JAX)
def test_what_jax_cannot_run_is_refused(fields, message, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0", "cpu:1"])
    with pytest.raises(ValueError, match=message):
        resolve_strategy(recipe(**fields))
    assert resolve_strategy(recipe(strategy="one_device")).replicas == 1


def test_a_cluster_after_tensorflow_was_used_is_refused(monkeypatch):
    tf.constant(1)
    monkeypatch.setenv("TF_CONFIG", tf_config(2, type="worker", index=0))
    with pytest.raises(ValueError, match="before TensorFlow computes anything"):
        resolve_strategy(recipe(strategy="multi_worker"))
