import importlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from srm_keras.models import CifarResNet
from srm_keras.training import default_recipe
from srm_keras.training.build import (
    build_model,
    check_model,
    compiled_twin,
    make_metrics,
    make_optimizer,
)
from srm_keras.training.inputs import LOSSES
from tests.support.confident import CASES, assert_confident_mistakes_count


@pytest.mark.parametrize("is_neutral", [False, True])
def test_modules_start_neutral_on_request(is_neutral):
    specs = ["srm", {"name": "cbam", "reduction": 4}, {"name": "se", "gain": 3.0}]
    made = recipe(**{"model.options": {"depth": 8, "block": "basic"}})
    made.update(recalibration=specs)
    made.model.neutral = is_neutral
    check_model(made, (8, 8, 3))
    model = build_model(made, (8, 8, 3), 4)
    modules = [layer for layer in model.layers if layer.name.endswith("_recalibration")]
    gains = [2.0, 4.0, 3.0] if is_neutral else [1.0, 1.0, 3.0]
    assert [module.gain for module in modules] == gains
    assert {module.neutral for module in modules} == {is_neutral}
    assert modules[1].reduction == 4


def test_a_module_in_the_name_of_the_network_cannot_start_neutral():
    made = recipe(**{"model.name": "srm_resnet18", "model.neutral": True})
    with pytest.raises(ValueError, match=r"In `model`: `neutral` must be .*name='srm_resnet18'"):
        check_model(made, (32, 32, 3))
    made.model.name = "resnet18"
    check_model(made, (32, 32, 3))


@pytest.fixture(scope="module")
def network():
    return CifarResNet(8, "basic", recalibration="srm", input_shape=(8, 8, 3))


def recipe(**fields):
    made = default_recipe()
    made.update_from_flattened_dict(fields)
    return made


def test_srm_takes_l2_on_request_alone(network):
    exempt = make_optimizer(recipe(), network, 0.1).l2_exclude
    assert exempt
    assert all("recalibration" in path for path in exempt)
    asked = recipe(**{"optimizer.decay_recalibration": True})
    assert make_optimizer(asked, network, 0.1).l2_exclude == ()


def test_options_of_the_optimizer_arrive(network):
    fields = {"optimizer.clip_norm": 2.5, "optimizer.ema_decay": 0.99}
    optimizer = make_optimizer(recipe(**fields), network, 0.1)
    assert (optimizer.global_clipnorm, optimizer.ema_decay) == (2.5, 0.99)
    assert make_optimizer(recipe(), network, 0.1).global_clipnorm is None


def test_an_optimizer_by_name_gets_the_fields_and_its_own_options(network):
    fields = {"optimizer.name": "adamw", "optimizer.options": {"beta_2": 0.95}}
    fields |= {"optimizer.weight_decay": 0.05, "optimizer.exclude_from_decay": ("norms", "biases")}
    fields |= {"learning_rate.layer_decay": 0.5, "learning_rate.multipliers": {"head": 4.0}}
    optimizer = make_optimizer(recipe(**fields), network, 0.1)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert (optimizer.beta_2, optimizer.decay) == (0.95, 0.05)
    assert optimizer.rate_factors["logits/bias"] == 4.0
    assert optimizer.rate_factors["conv4_1_1_conv/kernel"] == 0.5
    kernels = {v.path for v in network.trainable_variables if v.name == "kernel"}
    decaying = {v.path for v in network.trainable_variables} - set(optimizer.decay_exclude)
    assert decaying == {path for path in kernels if "recalibration" not in path}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "adma"}, r"In `optimizer`: `name` must be 'sgd', .*did you mean 'adamw'"),
        ({"name": "adamw", "options": {"beta1": 0.9}}, r"'adamw' has no option 'beta1'.*'beta_1'"),
        (
            {"name": "lion", "options": {"weight_decay": 0.1}},
            r"must not hold 'weight_decay', which the recipe says in `optimizer.weight_decay`",
        ),
        ({"options": {"momentum": 0.9}}, r"must not hold 'momentum', .* in `optimizer.momentum`"),
        ({"name": "lion", "options": {"beta_1": 2.0}}, r"In `optimizer.options`: .*beta_1=2.0"),
    ],
)
def test_a_wrong_optimizer_is_one_line(fields, message, network):
    made = recipe(**{f"optimizer.{name}": value for name, value in fields.items()})
    with pytest.raises(ValueError, match=message) as error:
        make_optimizer(made, network, 0.1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_is_the_smoothed_cross_entropy(network, loss, smoothing, mixed):
    """Of the softmax, or the mean of the sigmoids'; labels may be blends of two classes."""
    one_hot = mixed or smoothing > 0 or loss == "binary_crossentropy"
    made = recipe(label_smoothing=smoothing, loss=loss)
    optimizer = make_optimizer(made, network, 0.1)
    learner = compiled_twin(network, made, optimizer, make_metrics(one_hot, 10))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    labels = np.array([1, 0, 7, 3])
    vectors = np.eye(10)[labels]
    if mixed:
        vectors = 0.7 * vectors + 0.3 * vectors[::-1]
    given = vectors.astype("float32") if one_hot else labels
    targets = (1 - smoothing) * vectors + smoothing / 10
    scores = keras.ops.convert_to_numpy(learner(images)).astype("float64")
    if loss == "binary_crossentropy":
        chances = 1 / (1 + np.exp(-scores))
        logs = np.log(chances) * targets + np.log(1 - chances) * (1 - targets)
        expected = -logs.mean()
    else:
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        expected = -(targets * logs).sum(axis=1).mean()
    measured = learner.evaluate(images, given, verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(expected, rel=1e-5)
    assert measured["accuracy"] == np.mean(scores.argmax(axis=1) == labels)


@pytest.mark.parametrize(
    ("given", "device", "deterministic", "compiled"),
    [
        ("auto", "CPU", False, False),
        ("auto", "GPU", False, True),
        ("auto", "TPU", False, True),
        ("auto", "GPU", True, False),
        (True, "CPU", False, True),
        (False, "GPU", False, False),
    ],
)
def test_xla_compiles_on_one_gpu_or_tpu(
    given, device, deterministic, compiled, network, monkeypatch
):
    """`auto`; on others on request. Keras refuses operations that are deterministic."""
    found = [SimpleNamespace(device_type=kind) for kind in {"CPU", device}]
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda *_: found)
    config = importlib.import_module("tensorflow.python.framework.config")  # where Keras asks
    monkeypatch.setattr(config, "is_op_determinism_enabled", lambda: deterministic)
    made = recipe(jit_compile=given)
    optimizer = make_optimizer(made, network, 0.1)
    learner = compiled_twin(network, made, optimizer, make_metrics(False, 10))
    assert learner.jit_compile is compiled


@pytest.mark.parametrize(("ending", "dtype", "smoothing", "loss"), CASES)
def test_a_confident_mistake_has_its_whole_loss_and_gradient(ending, dtype, smoothing, loss):
    assert_confident_mistakes_count(ending, dtype, smoothing, loss)


def test_a_network_that_ends_in_neither_softmax_nor_logits_is_refused():
    inputs = keras.Input((4,))
    made = recipe()
    for output in (
        keras.layers.Dense(2, "sigmoid")(inputs),
        keras.layers.Activation("relu")(keras.layers.Dense(2)(inputs)),
    ):
        model = keras.Model(inputs, output)
        optimizer = make_optimizer(made, model, 0.1)
        with pytest.raises(ValueError, match=r"must end in a softmax or in logits .*(sigm|relu)"):
            compiled_twin(model, made, optimizer, make_metrics(False, 2))
    model = keras.Model(inputs, keras.ops.softmax(keras.layers.Dense(2)(inputs)))
    with pytest.raises(ValueError, match="must end in a layer of its own"):
        compiled_twin(model, made, make_optimizer(made, model, 0.1), make_metrics(False, 2))
