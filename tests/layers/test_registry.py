"""The recalibration spec: every form it takes, and what each wrong one is told."""

import functools

import keras
import numpy as np
import pytest

from srm_keras.layers import (
    CBAM,
    ECA,
    FCA,
    GCT,
    SRM,
    ChannelwiseDense,
    GatherExcite,
    Recalibration,
    SimAM,
    SqueezeExcite,
    StylePooling,
    list_recalibrations,
    neutral,
    recalibration,
)
from srm_keras.layers.eca import eca_kernel_size


def test_every_name_gives_its_layer():
    modules = {"cbam": CBAM, "eca": ECA, "ge": GatherExcite, "se": SqueezeExcite, "srm": SRM}
    modules |= {"fca": FCA, "gct": GCT, "simam": SimAM}
    assert list_recalibrations() == sorted(modules)
    for name, module in modules.items():
        layer = recalibration(name, name="block_1")
        assert type(layer) is module
        assert layer.name == "block_1"


@pytest.mark.parametrize("spec", [None, "none"])
def test_no_module(spec):
    assert recalibration(spec) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "se", "reduction": 8},
        functools.partial(SqueezeExcite, reduction=8),
        lambda name: SqueezeExcite(reduction=8, name=name),
    ],
)
def test_options_and_callables(spec):
    layer = recalibration(spec, name="attention")
    assert isinstance(layer, SqueezeExcite)
    assert layer.reduction == 8
    assert layer.name == "attention"


def test_layer_class_and_data_format():
    assert recalibration(SRM, data_format="channels_first").data_format == "channels_first"
    assert recalibration("srm", data_format="channels_first").data_format == "channels_first"
    assert isinstance(recalibration(keras.layers.Identity), keras.layers.Identity)


@pytest.mark.parametrize(
    ("channels", "kernel_size"), [(16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)]
)
def test_eca_kernel_size_follows_the_papers_rule(channels, kernel_size):
    """|log₂(C)/2 + 1/2|, truncated and made odd upwards, as in the authors' code."""
    assert eca_kernel_size(channels) == kernel_size


def test_srm_begins_and_averages_as_it_is_told():
    """``m ← momentum·m + (1 − momentum)·mean`` of what the CFC gives, in Keras' meaning."""
    x = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype("float32")
    layer = SRM(momentum=0.75, cfc_initializer=keras.initializers.Constant(0.5))
    layer(x, training=True)
    style = np.stack([x.mean((1, 2)), np.sqrt(x.var((1, 2)) + 1e-5)], axis=-1)
    expected = 0.25 * (0.5 * style).sum(-1).mean(0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.bn.moving_mean), expected, 1e-5)
    remade = SRM.from_config(layer.get_config())
    assert (remade.momentum, remade.cfc_initializer.value) == (0.75, 0.5)
    assert layer.folded().momentum == 0.75


def test_srm_of_an_older_configuration_begins_with_zeros_and_averages_by_0_9():
    config = SRM().get_config()
    del config["momentum"], config["cfc_initializer"]
    layer = SRM.from_config(config)
    layer.build((None, 4, 4, 2))
    assert layer.bn.momentum == 0.9
    assert not np.any(keras.ops.convert_to_numpy(layer.encoder.kernel))


def test_new_weights_are_those_that_a_seed_always_gave():
    """An initializer draws its seed when it is made: one made earlier gives others their draw."""
    keras.utils.set_random_seed(3)
    layer = SqueezeExcite(reduction=8)
    layer.build(MAP)
    keras.utils.set_random_seed(3)
    reduce = keras.layers.Dense(4, kernel_initializer="he_normal")
    expand = keras.layers.Dense(32)
    reduce.build((None, 32))
    expand.build((None, 4))
    for ours, theirs in zip(layer.weights, [*reduce.weights, *expand.weights], strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (ours, theirs)))


START = {"gain": 2.0, "neutral": True}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, None),
        ("none", "none"),
        ("srm", {"name": "srm", **START}),
        ({"name": "se", "reduction": 8}, {"name": "se", **START, "reduction": 8}),
        ("cbam", {"name": "cbam", "gain": 4.0, "neutral": True}),
        (
            {"name": "ge", "params": "theta_minus"},
            {"name": "ge", "gain": 2.0, "params": "theta_minus"},
        ),
        (
            {"name": "eca", "gain": 1, "neutral": False},
            {"name": "eca", "gain": 1, "neutral": False},
        ),
        ("gct", {"name": "gct", **START}),
        ("fca", {"name": "fca", **START}),
        ("simam", {"name": "simam", "gain": 1.0}),
        ([None, ["se", "srm"]], [None, [{"name": name, **START} for name in ("se", "srm")]]),
    ],
)
def test_a_neutral_spec_starts_as_the_identity_where_the_module_can(spec, expected):
    assert neutral(spec) == expected
    assert neutral(expected) == expected


@pytest.mark.parametrize(
    ("make", "gain"),
    [
        (SqueezeExcite, 2.0),
        (functools.partial(CBAM, reduction=8), 4.0),
        (lambda name: SRM(gain=1.5, name=name), 1.5),
    ],
)
def test_a_neutral_callable_makes_a_module_that_starts_neutral(make, gain):
    for spec in (neutral(make), neutral(neutral(make))):
        layer = recalibration(spec, name="block_1", data_format="channels_first")
        assert (layer.name, layer.gain, layer.neutral) == ("block_1", gain, True)
        assert layer.data_format == ("channels_first" if make is SqueezeExcite else "channels_last")
    assert type(recalibration(neutral(keras.layers.Identity))) is keras.layers.Identity


def test_neutral_refuses_what_is_no_spec():
    for spec in ("srn", 3, {"name": "se", "reductoin": 4}, SRM()):
        with pytest.raises(ValueError, match="recalibration"):
            neutral(spec)


class WithoutStart(Recalibration):
    """A module that does not say how it starts neutral."""


MAP = (2, 8, 8, 32)
WRONG = [
    (lambda: recalibration("srn"), r"`recalibration` must be one of .*did you mean 'srm'\?"),
    (lambda: recalibration({"reduction": 4}), r"`recalibration` must be one of .*None"),
    (lambda: recalibration({"name": "se", "reductoin": 4}), r"'reductoin'.*'reduction'"),
    (lambda: recalibration(SRM()), r"must not be a layer instance"),
    (lambda: recalibration(3), r"`recalibration` must be None, a name.*Received: .*=3"),
    (lambda: recalibration(lambda name: name), r"must return a keras.layers.Layer"),
    (lambda: SRM(pooling=()), r"`pooling` must be a non-empty list.*pooling=\(\)"),
    (lambda: SRM(pooling="avg"), r"`pooling` must be a non-empty list.*pooling='avg'"),
    (lambda: SRM(pooling=["avg", "median"]), r"`pooling` must be one of.*'median'"),
    (lambda: SRM(pooling=["avg", "avg"]), r"`pooling` must not name a statistic twice"),
    (lambda: SRM(integration="fc"), r"`integration` must be one of.*'cfc'.*'fc'"),
    (lambda: SRM(batch_norm="yes"), r"`batch_norm` must be True or False.*'yes'"),
    (lambda: SRM(unbiased=1), r"`unbiased` must be True or False.*unbiased=1"),
    (lambda: SRM(epsilon=0), r"`epsilon` must be a positive number.*epsilon=0"),
    (lambda: SRM(epsilon=np.bool_(True)), r"`epsilon` must be a positive number.*True"),
    (lambda: SRM(momentum=1.5), r"`momentum` must be a number in \[0, 1\].*momentum=1.5"),
    (lambda: SRM(momentum=True), r"`momentum` must be a number in \[0, 1\].*momentum=True"),
    (lambda: SRM(cfc_initializer="zerox"), r"`cfc_initializer` must be a Keras init.*zerox"),
    (lambda: ChannelwiseDense(kernel_initializer=3), r"`kernel_initializer` must be a Keras.*=3"),
    (lambda: SRM(gain=0), r"`gain` must be a positive number.*gain=0"),
    (lambda: SRM(gain=float("inf")), r"`gain` must be a positive number.*gain=inf"),
    (lambda: recalibration({"name": "eca", "gain": "2"}), r"`gain` must be a positive.*'2'"),
    (lambda: SRM(neutral=1), r"`neutral` must be True or False.*neutral=1"),
    (lambda: WithoutStart(neutral=True), r"`neutral` must be False for a module.*WithoutStart"),
    (
        lambda: recalibration({"name": "ge", "params": "theta_minus", "neutral": True}),
        r"`neutral` must be False for a module.*GatherExcite",
    ),
    (lambda: recalibration({"name": "se", "gian": 2}), r"'gian'.*mean 'gain'"),
    (lambda: SRM(reduction=-3), r"`reduction` must be a positive integer.*reduction=-3"),
    (lambda: SRM(data_format="NHWC"), r"`data_format` must be one of.*'NHWC'"),
    (lambda: SRM().build((2, 8, 32)), r"SRM expects a 4-D feature map.*\(2, 8, 32\)"),
    (lambda: SRM().build((2, 8, 8, None)), r"SRM needs a static number of channels"),
    (lambda: StylePooling(epsilon=-1.0), r"`epsilon` must be a positive number.*-1\.0"),
    (lambda: ChannelwiseDense(use_bias=None), r"`use_bias` must be True or False.*None"),
    (lambda: ChannelwiseDense().build((2, None, 2)), r"static channels and features.*None"),
    (lambda: SqueezeExcite(reduction=0), r"`reduction` must be a positive integer.*=0"),
    (lambda: SqueezeExcite(reduction=True), r"`reduction` must be a positive integer.*=True"),
    (lambda: SqueezeExcite(reduction=np.int64(-1)), r"`reduction` must be a positive integer.*-1"),
    (lambda: SqueezeExcite(reduction=np.float64(8)), r"`reduction` must be a positive .*8"),
    (lambda: SqueezeExcite(reduction=2.5), r"`reduction` must be a positive integer.*=2\.5"),
    (lambda: ECA(kernel_size=4), r"`kernel_size` must be odd.*kernel_size=4"),
    (lambda: ECA(beta="1"), r"`beta` must be a number.*beta=.1."),
    (lambda: ECA(gamma=0), r"`gamma` must be a positive number.*gamma=0"),
    (lambda: CBAM(kernel_size=2), r"`kernel_size` must be odd.*kernel_size=2"),
    (lambda: SimAM(e_lambda=0), r"`e_lambda` must be a positive number.*e_lambda=0"),
    (lambda: SimAM(neutral=True), r"`neutral` must be False for a module.*SimAM"),
    (lambda: GCT(mode="l3"), r"`mode` must be one of \['l2', 'l1'\].*mode='l3'"),
    (lambda: GCT(after_relu=0), r"`after_relu` must be True or False.*after_relu=0"),
    (lambda: GCT(epsilon=0), r"`epsilon` must be a positive number.*epsilon=0"),
    (lambda: FCA(frequencies="top15"), r"`frequencies` must be one of.*mean 'top1"),
    (lambda: FCA(frequencies=16), r"`frequencies` must be one of.*frequencies=16"),
    (lambda: FCA(size=0), r"`size` must be a positive integer.*size=0"),
    (lambda: GatherExcite(extent=False), r"`extent` must be one of \[0, 2, 4, 8\].*extent=False"),
    (lambda: GatherExcite(extent=3), r"`extent` must be one of \[0, 2, 4, 8\].*extent=3"),
    (lambda: GatherExcite(params="theta-plus"), r"`params` must be one of.*mean 'theta_plus'"),
    (lambda: GatherExcite(use_bias=False, batch_norm=False), r"`use_bias` must be True where"),
    (lambda: GatherExcite().build((2, None, 8, 32)), r"static height and width.*None, 8, 32"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_bad_arguments_get_a_message_that_names_them(make, message):
    with pytest.raises(ValueError, match=message):
        make()
