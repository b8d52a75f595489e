import keras
import numpy as np
import pytest

from srm_keras.layers import GCT, SRM, SqueezeExcite
from srm_keras.training.optimizer import OF_NAMES, SGDWithL2, optimizer_class
from srm_keras.training.parts import paths_without_decay, paths_without_l2
from srm_keras.training.schedules import StepDecay
from tests.support.update_rules import RULES, assert_updates_are_the_papers

STEPS = 12
SHAPE = (5, 3)
SETTINGS = pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)]
)


def problem():
    rng = np.random.default_rng(0)
    return rng.normal(size=SHAPE), rng.normal(size=(STEPS, *SHAPE))


def rate(step):
    return 0.1 if step < 4 else 0.01 if step < 8 else 0.001


def optimizer(momentum, nesterov, **kwargs):
    return SGDWithL2(StepDecay(0.1, (4, 8)), momentum, nesterov, l2=0.05, **kwargs)


def numpy_sgd(weight, gradients, momentum, nesterov, l2):
    """torch.optim.SGD as its documentation states it, in float64; yields every step's weight."""
    velocity = None
    for step, gradient in enumerate(gradients):
        gradient = gradient + l2 * weight
        velocity = gradient if velocity is None else momentum * velocity + gradient
        update = gradient + momentum * velocity if nesterov else velocity
        weight = weight - rate(step) * update
        yield weight


@SETTINGS
def test_equals_numpy_at_every_step(momentum, nesterov):
    weight, gradients = problem()
    decayed = keras.Variable(weight, name="decayed")
    plain = keras.Variable(weight, name="plain")
    sgd = optimizer(momentum, nesterov, l2_exclude=["plain"])
    with_l2 = numpy_sgd(weight, gradients, momentum, nesterov, 0.05)
    without = numpy_sgd(weight, gradients, momentum, nesterov, 0.0)
    for gradient, expected, expected_plain in zip(gradients, with_l2, without, strict=True):
        sgd.apply([gradient, gradient], [decayed, plain])
        np.testing.assert_allclose(decayed.numpy(), expected, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(plain.numpy(), expected_plain, rtol=2e-6, atol=2e-6)


@SETTINGS
def test_equals_torch_with_a_rate_a_group(momentum, nesterov):
    torch = pytest.importorskip("torch")
    weight, gradients = problem()
    names = {"backbone": 0.1, "head": 3.0, "other": 1.0}
    ours = [keras.Variable(weight, name=name) for name in names]
    theirs = [torch.nn.Parameter(torch.tensor(weight, dtype=torch.float32)) for _ in names]
    sgd = optimizer(momentum, nesterov, rate_factors={"backbone": 0.1, "head": 3.0})
    groups = [{"params": [parameter]} for parameter in theirs]
    torch_sgd = torch.optim.SGD(
        groups, lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=0.05
    )
    for step, gradient in enumerate(gradients):
        for group, factor in zip(torch_sgd.param_groups, names.values(), strict=True):
            group["lr"] = rate(step) * factor
        for parameter in theirs:
            parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        torch_sgd.step()
        sgd.apply([gradient] * len(ours), ours)
        for variable, parameter in zip(ours, theirs, strict=True):
            expected = parameter.detach().numpy()
            np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-6, atol=2e-6)


@SETTINGS
def test_equals_torch_at_every_step(momentum, nesterov):
    torch = pytest.importorskip("torch")
    weight, gradients = problem()
    ours = keras.Variable(weight, name="weight")
    theirs = torch.nn.Parameter(torch.tensor(weight, dtype=torch.float32))
    sgd = optimizer(momentum, nesterov)
    torch_sgd = torch.optim.SGD(
        [theirs], lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=0.05
    )
    for step, gradient in enumerate(gradients):
        torch_sgd.param_groups[0]["lr"] = rate(step)
        theirs.grad = torch.tensor(gradient, dtype=torch.float32)
        torch_sgd.step()
        sgd.apply([gradient], [ours])
        np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=2e-6, atol=2e-6)


def test_equals_numpy_inside_fit():
    # loss = sum(w * x), whose gradient for w is x whatever w is.
    weight, gradients = problem()
    inputs = keras.Input(SHAPE)
    outputs = Scale()(inputs)
    model = keras.Model(inputs, outputs)
    model.layers[-1].scale.assign(weight)
    model.compile(optimizer(0.9, False), loss=lambda _, outputs: keras.ops.sum(outputs))
    model.fit(gradients, np.zeros(STEPS), batch_size=1, shuffle=False, verbose=0)
    *_, expected = numpy_sgd(weight, gradients, 0.9, False, 0.05)
    np.testing.assert_allclose(model.layers[-1].scale.numpy(), expected, rtol=1e-5, atol=1e-5)


class Scale(keras.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[1:], name="scale")

    def call(self, inputs):
        return inputs * self.scale


def test_survives_serialization():
    sgd = optimizer(0.8, True, l2_exclude=["a/b"], clipnorm=2.0)
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(sgd))
    assert isinstance(restored, SGDWithL2)
    assert restored.get_config() == sgd.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_decay": 1e-4}, "`weight_decay` must be None.*weight_decay=0.0001"),
        ({"l2": -1.0}, "`l2` must be .*l2=-1.0"),
        ({"l2_exclude": "gate/bn/gamma"}, "`l2_exclude` must be a list of paths.*'gate/bn/gamma'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SGDWithL2(0.1, **arguments)


def test_cfc_and_srm_batch_norm_and_beta_of_gct_take_no_l2():
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(6, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = SRM(name="gate")(x)
    inner = keras.Model(inputs, x, name="inner")
    outputs = SRM(integration="mlp", name="ablation")(inner(inputs))
    outputs = GCT(name="gct")(SqueezeExcite(name="se")(outputs))
    model = keras.Model(inputs, outputs)
    paths = paths_without_l2(model)
    assert sorted(paths) == sorted(
        [
            "gate/cfc/kernel",
            "gate/bn/gamma",
            "gate/bn/beta",
            "ablation/bn/gamma",
            "ablation/bn/beta",
            "gct/beta",
        ]
    )
    before = {v.path: v.numpy() + 1.0 for v in model.trainable_variables}
    for variable in model.trainable_variables:
        variable.assign(before[variable.path])
    sgd = SGDWithL2(1.0, momentum=0.0, l2=0.5, l2_exclude=paths)
    sgd.apply([keras.ops.zeros(v.shape) for v in before.values()], model.trainable_variables)
    for variable in model.trainable_variables:
        kept = 1.0 if variable.path in paths else 0.5
        np.testing.assert_allclose(variable.numpy(), kept * before[variable.path], rtol=1e-6)


def test_norms_and_biases_are_named_on_request():
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(6, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = SRM(name="gate")(SqueezeExcite(name="se")(x))
    model = keras.Model(inputs, keras.layers.LayerNormalization(name="last")(x))
    norms = {f"{name}/{part}" for name in ("norm", "last", "gate/bn") for part in ("gamma", "beta")}
    biases = {v.path for v in model.trainable_variables if v.path.endswith("/bias")}
    assert {"conv/bias"} < biases
    assert set(paths_without_decay(model, ("norms",), modules=False)) == norms
    assert set(paths_without_decay(model, ("biases",), modules=False)) == biases
    both = paths_without_decay(model, ("norms", "biases"))
    assert set(both) == norms | biases | {"gate/cfc/kernel"}
    assert both == [v.path for v in model.trainable_variables if v.path in both]
    assert paths_without_decay(model, modules=False) == []
    model.get_layer("norm").trainable = False
    assert "norm/gamma" not in paths_without_decay(model, ("norms",))


@pytest.mark.parametrize(
    "paths",
    [{"l2_exclude": ["gate/cfc/kernel", "gate/bn/gama"]}, {"rate_factors": {"gate/bn/gama": 0.1}}],
)
def test_a_path_of_no_trained_variable_is_refused_and_the_nearest_named(paths):
    model = keras.Sequential([keras.Input((4, 4, 2)), SRM(name="gate")], name="net")
    model.compile(SGDWithL2(**paths), "mse")
    images = np.zeros((2, 4, 4, 2), "float32")
    named = r"Received: 'gate/bn/gama' \(did you mean 'net/gate/bn/gamma'\?\)"
    with pytest.raises(ValueError, match=rf"`{next(iter(paths))}` must hold paths .*{named}"):
        model.fit(images, images, verbose=0)


class Net(keras.Model):
    """A module inside of a layer of another kind; both are built at the first call."""

    def __init__(self):
        super().__init__(name="net")
        self.gate = keras.layers.TimeDistributed(SRM(name="gate"), name="frames")

    def call(self, inputs):
        return self.gate(inputs)


def test_modules_of_subclassed_models_and_inside_of_layers_are_found():
    model = Net()
    with pytest.raises(ValueError, match=r"`model` must be built, .*Received: 'net'"):
        paths_without_l2(model)
    model(np.zeros((1, 3, 4, 4, 2), "float32"))
    paths = paths_without_l2(model)
    parts = ("cfc/kernel", "bn/gamma", "bn/beta")
    assert sorted(paths) == sorted(f"net/frames/gate/{part}" for part in parts)
    assert paths == [variable.path for variable in model.trainable_variables]


def test_a_model_compiled_fitted_saved_and_loaded_keeps_its_exclusions(tmp_path):
    """Keras 3.15 leaves the model's name out of the paths of a Sequential's variables it loads."""
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(2, 1), SRM(name="gate")])
    sgd = SGDWithL2(StepDecay(0.1), l2_exclude=paths_without_l2(model))
    model.compile(sgd, "mse")
    images = np.zeros((2, 4, 4, 2), "float32")
    model.fit(images, images, verbose=0)
    model.save(tmp_path / "net.keras")
    restored = keras.saving.load_model(tmp_path / "net.keras")
    path, restored_path = (m.trainable_variables[0].path for m in (model, restored))
    assert restored_path in (path, path.removeprefix(f"{model.name}/"))
    assert restored.optimizer.l2_rates == sgd.l2_rates == (1e-4, 1e-4, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", RULES)
def test_updates_are_the_papers_with_rates_decay_and_averages_by_path(name):
    assert_updates_are_the_papers(name)


OF_KERAS = sorted(name for name, cls in OF_NAMES.items() if cls.__name__ == f"{name}ByPath")


@pytest.mark.parametrize("name", OF_KERAS)
def test_without_decay_and_rates_an_optimizer_of_keras_is_keras_own(name):
    """To the bit, eagerly and step by step."""
    weight, gradients = (array.astype("float32") for array in problem())
    ours, theirs = ([keras.Variable(w, name="w") for w in (weight, weight[0])] for _ in range(2))
    decays = ("weight_decay", "adam_weight_decay")[: 2 if name == "Muon" else 1]
    of_keras = getattr(keras.optimizers, name)(0.01, **dict.fromkeys(decays, 0.0))
    optimizer = optimizer_class(name)(0.01)
    for gradient in gradients[:3]:
        for one, variables in ((optimizer, ours), (of_keras, theirs)):
            one.apply([gradient, gradient[0]], variables)
    for one, other, before in zip(ours, theirs, (weight, weight[0]), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
        assert np.isfinite(one.numpy()).all()
        assert (one.numpy() != before).any()


@SETTINGS
def test_averages_begin_with_the_first_updated_weight(momentum, nesterov):
    weight, gradients = problem()
    variable = keras.Variable(weight, name="weight")
    sgd = optimizer(momentum, nesterov, ema_decay=0.8)
    average = None
    for gradient, expected in zip(
        gradients, numpy_sgd(weight, gradients, momentum, nesterov, 0.05), strict=True
    ):
        sgd.apply([gradient], [variable])
        average = expected if average is None else 0.8 * average + 0.2 * expected
        np.testing.assert_allclose(sgd.averages[0].numpy(), average, rtol=2e-6, atol=2e-6)


def test_clipping_and_l2_are_those_of_torch():
    """Torch clips the gradient's global norm, and its optimizer then adds the L2 term."""
    torch = pytest.importorskip("torch")
    weight, gradients = problem()
    ours = [keras.Variable(weight, name="a"), keras.Variable(weight[0], name="b")]
    theirs = [torch.nn.Parameter(torch.tensor(v.numpy()).float()) for v in ours]
    sgd = SGDWithL2(0.1, 0.9, l2=0.05, global_clipnorm=1.5)
    torch_sgd = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, weight_decay=0.05)
    for gradient in gradients:
        both = [gradient, 0.1 * gradient[1]]
        for parameter, value in zip(theirs, both, strict=True):
            parameter.grad = torch.tensor(value, dtype=torch.float32)
        norm = torch.nn.utils.clip_grad_norm_(theirs, 1.5)
        assert norm > 1.5
        torch_sgd.step()
        sgd.apply(both, ours)
        for variable, parameter in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                variable.numpy(), parameter.detach().numpy(), rtol=2e-6, atol=2e-6
            )
