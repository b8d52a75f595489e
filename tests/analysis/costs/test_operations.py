import math

import keras
import pytest
import tensorflow as tf

from srm_keras.analysis import register_operations
from srm_keras.analysis.costs.layer_work import Work
from srm_keras.analysis.costs.module_work import module_operations, module_work, multiply_adds
from srm_keras.layers import Recalibration, recalibration

# By hand for a 4×6 map of 32 channels, 768 elements. MLP of 32 → 2 → 32: 128.
MODULES = [
    ("srm", 4 * 768 + 64),  # mean, subtract, square and add, product; 2 weights a channel
    ({"name": "srm", "batch_norm": False}, 4 * 768 + 64),
    ({"name": "srm", "pooling": ["avg"]}, 2 * 768 + 32),
    ({"name": "srm", "pooling": ["std"]}, 4 * 768 + 32),
    ({"name": "srm", "pooling": ["avg", "max"]}, 3 * 768 + 64),
    ({"name": "srm", "pooling": ["max", "std", "avg"]}, 5 * 768 + 96),
    ({"name": "srm", "integration": "mlp"}, 4 * 768 + 64 * 2 + 2 * 32),
    ({"name": "srm", "gain": 2}, 4 * 768 + 64 + 32),
    ("se", 2 * 768 + 128),
    ({"name": "se", "reduction": 8}, 2 * 768 + 256),
    ("eca", 2 * 768 + 3 * 32),
    ({"name": "eca", "kernel_size": 7}, 2 * 768 + 7 * 32),
    ("cbam", 7 * 768 + 2 * 128 + 32 + 7 * 7 * 2 * 24),
    # in deploy form, where the gain is multiplied into the smallest tensor that will do
    ({"name": "cbam", "gain": 4}, 7 * 768 + 2 * 128 + 32 + 7 * 7 * 2 * 24 + 24),
    ({"name": "ge", "extent": 2, "gain": 2}, 9 * 6 * 32 + 768 + 6 * 32),
    # mean; subtract and square; add up; scale and shift; product
    ("simam", 6 * 768),
    # square and add; times α; square and add over channels; times γ; over the norm and β; product
    ({"name": "gct", "gain": 1}, 2 * 768 + 4 * 32),
    ({"name": "gct", "mode": "l1"}, 2 * 768 + 4 * 32 + 32),
    # sums along the width, of 4 rows along the height; MLP; product
    ("fca", 2 * 768 + 4 * 32 + 128),
    ({"name": "fca", "size": 7, "reduction": 8}, 2 * 768 + 4 * 32 + 256),
    ("ge", 2 * 768),
    ({"name": "ge", "params": "theta_minus"}, 2 * 768),
    ({"name": "ge", "params": "theta_plus"}, 2 * 768 + 128),
    ({"name": "ge", "extent": 2}, 9 * 6 * 32 + 768),
    ({"name": "ge", "extent": 4}, 9 * (6 + 2) * 32 + 768),
    ({"name": "ge", "extent": 2, "params": "theta_minus"}, 9 * 6 * 32 + 768),
    ({"name": "ge", "extent": 4, "params": "theta_minus"}, 49 * 2 * 32 + 768),
    ({"name": "ge", "extent": 2, "params": "theta_plus"}, 9 * 6 * 32 + 6 * 128 + 768),
]


@pytest.mark.parametrize(("spec", "expected"), MODULES)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_modules_by_hand(spec, expected, data_format):
    shape = (1, 4, 6, 32) if data_format == "channels_last" else (1, 32, 4, 6)
    layer = recalibration(spec, data_format=data_format)
    layer.build(shape)
    assert module_operations(layer, shape) == expected


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        # outputs × weights that each of them sums over
        (keras.layers.Conv2D(8, 3, padding="same"), (1, 5, 7, 4), 5 * 7 * 8 * 9 * 4),
        (keras.layers.Conv2D(8, (1, 3), strides=2), (1, 5, 7, 4), 3 * 3 * 8 * 3 * 4),
        (keras.layers.Conv2D(8, 3, groups=4), (1, 5, 7, 4), 3 * 5 * 8 * 9),
        (keras.layers.Conv2D(8, 3, dilation_rate=2), (1, 5, 7, 4), 1 * 3 * 8 * 9 * 4),
        (
            keras.layers.Conv2D(8, 3, padding="same", data_format="channels_first"),
            (1, 4, 5, 7),
            5 * 7 * 8 * 9 * 4,
        ),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (1, 5, 7, 4), 3 * 5 * 8 * 9),
        (keras.layers.Conv1D(2, 3), (1, 9, 4), 7 * 2 * 3 * 4),
        (keras.layers.Dense(10), (1, 6), 60),
        (keras.layers.Dense(10), (1, 5, 6), 300),
        (keras.layers.BatchNormalization(), (1, 5, 7, 4), 0),
        (keras.layers.ReLU(), (1, 5, 7, 4), 0),
    ],
)
def test_layers_by_hand(layer, shape, expected):
    layer.build(shape)
    assert multiply_adds(layer, shape) == expected


@pytest.mark.parametrize(
    ("name", "floating_passes", "counted_passes"),
    # TensorFlow counts SRM's "square and add" as two floating-point operations an element.
    [("se", 2, 2), ("eca", 2, 2), ("srm", 5, 4)],
)
def test_statistics_agree_with_the_traced_graph(name, floating_passes, counted_passes):
    shape = (1, 40, 50, 16)
    layer = recalibration(name)
    layer.build(shape)
    traced = tf.function(lambda x: layer(x, training=False))
    graph = traced.get_concrete_function(tf.TensorSpec(shape)).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(
        tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    )
    profile = tf.compat.v1.profiler.profile(graph, options=options.with_empty_output().build())
    elements = math.prod(shape)
    assert profile.total_float_ops == pytest.approx(floating_passes * elements, rel=0.05)
    assert module_operations(layer, shape) == pytest.approx(counted_passes * elements, rel=0.01)


def test_global_gather_refuses_another_map_size():
    layer = recalibration("ge", name="gate")
    layer.build((None, 4, 6, 8))
    with pytest.raises(ValueError, match=r"'gate' was built for feature maps of \(4, 6\)"):
        module_operations(layer, (1, 8, 6, 8))


class Halving(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2


def test_an_unregistered_layer_that_is_no_recalibration_is_refused():
    with pytest.raises(ValueError, match=r"Halving takes\. Register it with .* no Recalibration"):
        module_operations(Halving(), (1, 4, 6, 8))


class Constant(Recalibration):
    def gates(self, inputs, training=None):
        return keras.ops.full((1, 1, 1, 1), 0.5)


def test_the_gain_of_a_traced_module_is_counted():
    assert module_operations(Constant(gain=2), (1, 4, 6, 8)) == 4 * 6 * 8 + 1


def test_a_registered_module_is_counted_as_its_counter_says():
    class Registered(Constant):
        pass

    assert module_operations(Registered(), (1, 4, 6, 8)) == 4 * 6 * 8

    @register_operations(Registered)
    def count(layer, input_shape):
        return Work(operations=7, read=2, written=3)

    assert module_operations(Registered(), (1, 4, 6, 8)) == 7
    assert module_work(Registered(), (1, 4, 6, 8)) == Work(7, 2, 3)


def test_where_a_counter_gives_operations_alone_the_trace_gives_the_memory():
    class Registered(Constant):
        pass

    register_operations(Registered)(lambda layer, input_shape: 5)
    assert module_work(Registered(), (1, 4, 6, 8)) == Work(5, 192 + 1, 192)


# By hand for the same map: 768 elements of 24 pixels and 32 channels, read and written.
TRAFFIC = [
    ("se", 2 * 768 + (32 + 66) + (2 + 96) + 32, 32 + 2 + 32 + 768),
    ("eca", 2 * 768 + 32 + 3 + 32, 32 + 32 + 768),
    # mean; deviations from it; 2 weights and a bias a channel; product
    ("srm", 3 * 768 + 32 + (64 + 96) + 32, 32 + 32 + 32 + 768),
    ({"name": "srm", "batch_norm": False}, 3 * 768 + 32 + (64 + 96) + 32, 3 * 32 + 768),
    ({"name": "srm", "pooling": ["std"]}, 3 * 768 + 32 + (32 + 64) + 32, 3 * 32 + 768),
    ({"name": "srm", "pooling": ["max"]}, 2 * 768 + (32 + 64) + 32, 2 * 32 + 768),
    # mean; squares written, added up and made logits; product with gates of the map's size
    ("simam", 6 * 768 + 2 * 32, 2 * 32 + 3 * 768),
    # norm; times α; norm of all; times γ; over that and β; product
    (
        {"name": "gct", "gain": 1},
        2 * 768 + (64 + 32 + 64 + 65) + 32,
        32 + (32 + 1 + 32 + 32) + 768,
    ),
    # 6 cosines a channel, then 4; MLP without biases
    (
        "fca",
        2 * 768 + 6 * 32 + 2 * 4 * 32 + (32 + 64) + (2 + 64) + 32,
        4 * 32 + 32 + 2 + 32 + 768,
    ),
    ("ge", 2 * 768 + (768 + 32) + 32, 32 + 768),
    ({"name": "ge", "params": "theta_minus"}, 2 * 768 + 32, 32 + 768),
    # gather to 2×3 pixels, interpolate, multiply by gates of the map's size
    (
        {"name": "ge", "extent": 2},
        768 + (9 * 32 + 32) + 6 * 32 + 2 * 768,
        6 * 32 + 2 * 768,
    ),
    (
        "cbam",
        # two statistics, their MLPs and sum; x·M_c; two statistics; 7×7; M_c·M_s; x·gates
        2 * (768 + 98 + 98) + 64 + (768 + 32) + 2 * 768 + (48 + 98) + (32 + 24) + 2 * 768,
        2 * (32 + 2 + 32) + 32 + 768 + 2 * 24 + 24 + 768 + 768,
    ),
]


@pytest.mark.parametrize(("spec", "read", "written"), TRAFFIC)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_memory_traffic_by_hand(spec, read, written, data_format):
    shape = (1, 4, 6, 32) if data_format == "channels_last" else (1, 32, 4, 6)
    layer = recalibration(spec, data_format=data_format)
    layer.build(shape)
    work = module_work(layer, shape)
    assert (work.read, work.written) == (read, written)


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="how many operations a LSTM takes"):
        multiply_adds(keras.layers.LSTM(3), (1, 5, 4))
