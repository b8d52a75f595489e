"""Copies of networks, against the networks: everything that a layer has learned is in them."""

import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.layers import Recalibration
from srm_keras.models.flatten import flatten
from srm_keras.models.surgery.functional import copied, rebuild
from tests.support.weights import randomize

WORDS = np.array([["red"], ["green"], ["blue"], ["red"]])
NUMBERS = np.array([[7], [9], [7], [12]])
VALUES = np.random.default_rng(0).normal(100, 40, (8, 4, 5, 3)).astype("float32")

LEARNED = {
    "mean of each channel": (lambda: layers.Normalization(), VALUES),
    "one mean": (lambda: layers.Normalization(axis=None), VALUES),
    "mean of each row and channel": (lambda: layers.Normalization(axis=(1, 3)), VALUES),
    "inverted": (lambda: layers.Normalization(invert=True), VALUES),
    "in a wrapper": (lambda: layers.TimeDistributed(layers.Normalization()), VALUES),
    "bins": (lambda: layers.Discretization(num_bins=4), VALUES),
    "words": (lambda: layers.StringLookup(), WORDS),
    "words, one-hot": (lambda: layers.StringLookup(output_mode="one_hot"), WORDS),
    "numbers": (lambda: layers.IntegerLookup(output_mode="multi_hot"), NUMBERS),
    "text": (lambda: layers.TextVectorization(output_mode="tf_idf"), WORDS),
    "text as places": (lambda: layers.TextVectorization(output_sequence_length=2), WORDS),
    "given mean": (lambda: layers.Normalization(mean=[120, 118, 100], variance=[9] * 3), None),
    "given words": (lambda: layers.StringLookup(vocabulary=["blue", "red"]), None),
    "hashes": (lambda: layers.Hashing(5), None),
}


def network(layer, data, nested):
    """``layer``, by itself or within an inner model, and a dense layer behind it."""
    dtype = {"U": "string", "i": "int64", "f": "float32"}[data.dtype.kind]
    x = image = keras.Input(data.shape[1:], dtype=dtype)
    x = keras.Model(x, layer(x), name="inner")(image) if nested else layer(x)
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.Rescaling(1.0)(x)))
    randomize(model.get_layer("logits"))
    return model


def outputs(model, data):
    data = data.tolist() if data.dtype.kind == "U" else data
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(data), training=False))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="lookups need TensorFlow")
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
@pytest.mark.parametrize("case", LEARNED)
def test_a_copy_has_what_a_layer_learned(case, nested):
    make, data = LEARNED[case]
    layer = make()
    if isinstance(layer, layers.Wrapper):
        layer.build(data.shape)
        layer.layer.adapt(data[:, 0])
    elif data is not None:
        layer.adapt(data)
    data = {"given words": WORDS, "hashes": NUMBERS}.get(case, VALUES) if data is None else data
    model = network(layer, data, nested)
    expected = outputs(model, data)
    for copy in (copied(model), flatten(model)):
        np.testing.assert_array_equal(outputs(copy, data), expected)
    assert np.ptp(expected) > 0.1


class Offset(layers.Layer):
    """Adds a number that is no weight: what Keras saves of it is its own business."""

    offset = 0.0

    def call(self, inputs):
        return inputs + self.offset

    def save_own_variables(self, store):
        store["offset"] = self.offset

    def load_own_variables(self, store):
        self.offset = store["offset"]


class Module(Recalibration):
    """A module with such a layer and a normalization inside."""

    def build_gates(self, input_shape, channels):
        self.parts = [Offset(), layers.Normalization()]
        for part in self.parts:
            part.build(input_shape)

    def gates(self, inputs, training=None):
        for part in self.parts:
            inputs = part(inputs)
        return keras.ops.sigmoid(keras.ops.mean(inputs, axis=(1, 2), keepdims=True))


def test_what_layers_save_by_themselves_is_copied_at_any_depth():
    image = keras.Input((4, 5, 3))
    module = Module(name="module")
    model = keras.Model(image, keras.Sequential([module, layers.ReLU()], name="inner")(image))
    module.parts[0].offset = 7.0
    module.parts[1].adapt(VALUES)
    expected = outputs(model, VALUES)
    assert np.abs(expected - outputs(model, VALUES * 0.9)).max() > 0.1
    for copy in (copied(model), flatten(model), rebuild(model, {})):
        np.testing.assert_array_equal(outputs(copy, VALUES), expected)
    np.testing.assert_array_equal(module.folded()(VALUES), module(VALUES))


class Stubborn(Offset):
    def load_own_variables(self, store):
        raise RuntimeError("no such file")


class Growing(layers.Layer):
    """Has a weight that its configuration does not know of."""

    late = True

    def build(self, input_shape):
        if self.late:
            self.add_weight(shape=(1,), name="late")

    def call(self, inputs):
        return inputs

    @classmethod
    def from_config(cls, config):
        copy = cls(**config)
        copy.late = False
        return copy


@pytest.mark.parametrize(
    ("layer", "reason"),
    [(Stubborn(name="odd"), "no such file"), (Growing(name="odd"), r"for which .* makes \[\]")],
)
def test_what_cannot_be_copied_is_refused_by_name(layer, reason):
    image = keras.Input((4,))
    model = keras.Model(image, layers.Dense(2)(layer(image)))
    with pytest.raises(ValueError, match=f"Received: 'odd', a {type(layer).__name__} .*{reason}"):
        copied(model)
