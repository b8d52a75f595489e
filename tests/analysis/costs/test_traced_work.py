import keras
import pytest

from srm_keras.analysis.costs.layer_work import Work
from srm_keras.analysis.costs.module_work import module_work
from srm_keras.analysis.costs.traced_work import traced_work
from srm_keras.layers import Recalibration, recalibration

SHAPE = (1, 20, 25, 32)


def built(layer, shape=SHAPE):
    layer.build(shape)
    return layer


@pytest.mark.parametrize(
    "spec",
    ["srm", {"name": "srm", "integration": "mlp"}, {"name": "se", "gain": 2}, "eca", "cbam", "ge"],
)
def test_the_trace_of_a_counted_module_agrees_with_its_count(spec):
    """Up to the second level of the sums over the map, a twentieth of the first."""
    layer = built(recalibration(spec))
    counted, traced = module_work(layer, SHAPE), traced_work(layer, SHAPE)
    for name in ("operations", "read", "written"):
        assert getattr(traced, name) == pytest.approx(getattr(counted, name), rel=0.06)


@pytest.mark.parametrize("spec", ["simam", "gct", "fca"])
def test_a_trace_sees_a_multiply_add_that_is_written_as_two_operations_as_two(spec):
    """SimAM's scale and shift of its squares, GCT's square and add, FCA's product and add."""
    layer = built(recalibration(spec))
    counted, traced = module_work(layer, SHAPE), traced_work(layer, SHAPE)
    more = traced.operations - counted.operations
    assert more == pytest.approx(20 * 25 * 32, rel=0.15)


def test_a_module_of_tomorrow_by_hand():
    """Standardized channels, a matrix product and a shared layer that is called twice."""

    class Tomorrow(Recalibration):
        def build_gates(self, input_shape, channels):
            self.dense = keras.layers.Dense(channels, use_bias=False)
            self.dense.build((None, channels))
            self.mixing = self.add_weight(shape=(channels, 3))

        def gates(self, inputs, training=None):
            mean, variance = keras.ops.moments(inputs, axes=(1, 2))
            z = self.dense(self.dense(mean)) * variance
            mixed = keras.ops.matmul(z, self.mixing)
            gate = keras.ops.sigmoid(keras.ops.sum(mixed, axis=-1, keepdims=True))
            return keras.ops.reshape(gate, (-1, 1, 1, 1))

    size = 20 * 25 * 32
    steps = [
        Work(3 * size, size, 2 * 32),  # moments
        *[Work(32 * 32, 32 + 32 * 32, 32)] * 2,  # dense
        Work(32, 2 * 32, 32),  # times the variance
        Work(32 * 3, 32, 3),  # matrix product; its weights are not a tensor of the trace
        Work(3, 3, 1),  # sum
        Work(size, size + 1, size),  # product with one gate
    ]
    assert traced_work(built(Tomorrow()), SHAPE) == sum(steps, Work())


def test_a_module_of_layers_of_its_own():
    class Squeeze(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.mean(inputs, axis=(1, 2), keepdims=True)

    class Nested(Recalibration):
        def build_gates(self, input_shape, channels):
            self.squeeze = Squeeze()

        def gates(self, inputs, training=None):
            return keras.ops.sigmoid(self.squeeze(inputs))

    size = 20 * 25 * 32
    assert traced_work(built(Nested()), SHAPE) == Work(2 * size, 2 * size + 32, 32 + size)


class Contracting(Recalibration):
    def gates(self, inputs, training=None):
        return keras.ops.einsum("nhwc,nhwc->nc", inputs, inputs)[:, None, None, :]


class OutsideKeras(Recalibration):
    def gates(self, inputs, training=None):
        return inputs.numpy()


@pytest.mark.parametrize(
    ("module", "reason"), [(Contracting, "Einsum is not counted"), (OutsideKeras, "AttributeError")]
)
def test_what_cannot_be_traced_is_refused(module, reason):
    with pytest.raises(ValueError, match=f"register_operations`. Received: layer 'm' .*{reason}"):
        traced_work(built(module(name="m")), SHAPE)
