"""What the GPU delegate of LiteRT takes; the rules are TensorFlow's, read off its source."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.export import to_tflite
from srm_keras.export.tflite.exporter import tflite_details
from srm_keras.layers import recalibration
from srm_keras.support.files import read_json
from tests.support.weights import feature_map, randomize


class Refusals(tf.Module):
    """Operators that are refused, beside relatives of each that are taken."""

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 6, 4))])
    def __call__(self, x):
        rows, columns = (tf.reduce_mean(x, axis, keepdims=True) for axis in (1, 2))
        return {
            "repeated both ways": rows * columns,
            "gated": x * tf.sigmoid(tf.reduce_mean(x, (1, 2), keepdims=True)),
            "an axis taken away": tf.nn.relu(x)[:, 0],
            "a slice": tf.nn.relu(x)[:, 1:5],
            "five axes": tf.square(tf.reshape(x, (1, 4, 2, 6, 4))),
            "unknown": tf.unique(tf.reshape(x, [-1]))[0],
            "repeated at the border": tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC"),
            "reflected": tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"),
            "of integers": tf.cast(tf.cast(x, tf.int32) + 1, tf.float32),
        }


def test_operators_are_refused_with_the_reason(tmp_path):
    tf.saved_model.save(Refusals(), str(tmp_path / "model"))
    file = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "model")).convert()
    (tmp_path / "model.tflite").write_bytes(file)
    found = tflite_details(tmp_path / "model.tflite")["gpu"]
    assert not found["compatible"]
    assert {(entry["operator"], entry["reason"]) for entry in found["refused"]} == {
        ("MUL", "a product in which each factor is repeated along an axis of the other"),
        ("STRIDED_SLICE", "axes that are added or taken away"),
        ("RESHAPE", "a tensor of more than 4 axes"),
        ("UNIQUE", "not an operator of the delegate"),
        ("MIRROR_PAD", "a border that is repeated"),
        ("ADD", "int32 values"),
    }
    assert all(entry["count"] == 1 for entry in found["refused"])


@pytest.mark.parametrize(
    "form", ["int16x8", *(pytest.param(f, marks=pytest.mark.slow) for f in ("float32", "int8"))]
)
def test_a_report_says_what_a_gpu_takes(form, tmp_path):
    """The delegate computes in floats, and takes int8, but not int16."""
    inputs = keras.Input((8, 8, 3))
    x = recalibration("srm")(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    randomize(model, seed=1)
    bound = {} if form == "float32" else {"min_snr_db": 1}
    to_tflite(
        model, tmp_path / "model.tflite", feature_map((8, 8, 8, 3)), form, batch_size=1, **bound
    )
    (report,) = read_json(tmp_path / "report.json")["exports"]
    gpu, page = report["details"]["gpu"], (tmp_path / "report.md").read_text()
    if form != "int16x8":
        assert (gpu["compatible"], gpu["refused"]) == (True, [])
        assert "GPU delegate leaves" not in page
        return
    operators = sum(report["details"]["operators"].values())
    assert sum(entry["count"] for entry in gpu["refused"]) == operators
    assert {entry["reason"] for entry in gpu["refused"]} == {"int16 values"}
    assert f"| all but {operators} |" in page
    assert "a GPU delegate leaves to the CPU" in page
    assert "(int16 values)" in page


@pytest.mark.slow
@pytest.mark.parametrize("module", ["se", "ge", "eca", "cbam", "simam", "gct", "fca"])
def test_every_module_runs_on_a_gpu(module, tmp_path):
    inputs = keras.Input((8, 8, 16))
    model = keras.Model(inputs, recalibration(module)(keras.layers.Conv2D(16, 3)(inputs)))
    randomize(model, seed=1)
    images = feature_map((4, 8, 8, 16))
    report = to_tflite(model, tmp_path / "model.tflite", np.asarray(images))
    assert report.details["gpu"]["refused"] == []
