"""Answers to requests, without HTTP."""

import base64
import json

import keras
import numpy as np
import pytest

from srm_keras.data import Preprocessing
from srm_keras.export import to_saved_model
from srm_keras.export.serving.server import MAX_IMAGES, BadRequest, SavedModelService
from tests.support.encoded_images import encoded
from tests.support.weights import randomize

SIZE = 6
CLASSES = ["low", "middle", "high"]


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    randomize(model)
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("service") / "saved_model"
    samples = np.random.default_rng(1).normal(size=(3, SIZE, SIZE, 3))
    preprocessing = Preprocessing(image_size=SIZE)
    to_saved_model(model, path, samples, preprocessing=preprocessing, classes=CLASSES)
    return path


@pytest.fixture(scope="module")
def service(folder):
    return SavedModelService(folder)


def raw(count=2, height=SIZE, width=SIZE):
    return np.random.default_rng(2).integers(0, 256, (count, height, width, 3), "uint8")


def png(image):
    return {"b64": base64.b64encode(encoded(image)).decode()}


def of_prepared(model, images):
    """Scores, in float64, of images from 0 to 255."""
    kernel, bias = (weight.astype("float64") for weight in model.layers[-1].get_weights())
    return (images / 127.5 - 1).mean(axis=(1, 2)) @ kernel + bias


def test_float_images(service, model):
    images = raw()
    request = {"instances": (images / 127.5 - 1).tolist()}
    answer = service.answer(json.loads(json.dumps(request)))
    np.testing.assert_allclose(answer["predictions"], of_prepared(model, images), atol=1e-6)


@pytest.mark.parametrize("signature", ["serve_uint8", "serve_jpeg"])
@pytest.mark.parametrize("named", [False, True])
def test_raw_images(service, model, signature, named):
    images = raw(3)
    instances = images.tolist() if signature == "serve_uint8" else [png(i) for i in images]
    if named:
        name = "image" if signature == "serve_uint8" else "image_bytes"
        instances = [{name: instance} for instance in instances]
    answer = service.answer({"signature_name": signature, "instances": instances})
    predictions = json.loads(json.dumps(answer))["predictions"]
    wanted = of_prepared(model, images)
    np.testing.assert_allclose([row["output_0"] for row in predictions], wanted, atol=1e-6)
    best = [CLASSES[index] for index in wanted.argmax(axis=1)]
    assert [row["class_name"] for row in predictions] == best


IMAGE = np.zeros((SIZE, SIZE, 3)).tolist()
BAD = {
    "nothing": ({}, r"`instances` must be a list of 1 to 128 images. Received: NoneType"),
    "no list": ({"instances": 3}, "Received: int"),
    "empty": ({"instances": []}, "1 to 128 images. Received: 0"),
    "too many": ({"instances": [0] * (MAX_IMAGES + 1)}, "1 to 128 images. Received: 129"),
    "signature": ({"signature_name": "serve", "instances": [1]}, r"one of \['serve_jpeg'.*'serve'"),
    "signature of lists": ({"signature_name": [], "instances": [1]}, r"signature_name=\[\]"),
    "shape": ({"instances": [IMAGE[:2]]}, r"float32 images of shape \(6, 6, 3\).*: \(2, 6, 3\)"),
    "rank": ({"instances": IMAGE}, r"Received: \(6, 3\)"),
    "ragged": ({"instances": [IMAGE, IMAGE[:2]]}, "Received: lists of unequal lengths"),
    "text": ({"instances": ["cat"]}, r"float32 images of shape .*Received: something else"),
    "booleans": ({"instances": [np.zeros((6, 6, 3), bool).tolist()]}, "something else"),
    "objects": ({"instances": [{"image": IMAGE, "more": 1}]}, "something else"),
    "infinite": ({"instances": [(np.zeros((6, 6, 3)) + np.inf).tolist()]}, "all values finite"),
    "nan": ({"instances": [(np.zeros((6, 6, 3)) + np.nan).tolist()]}, "all values finite"),
    "huge": ({"instances": [(np.zeros((6, 6, 3)) + 1e300).tolist()]}, "all values finite"),
    "huge integers": ({"instances": [(np.zeros((6, 6, 3), int)).tolist(), 10**400]}, "unequal"),
    "overflow": ({"instances": [(np.zeros((6, 6, 3)) + 3e38).tolist()]}, "output_0 is not finite"),
}
BAD_RAW = {
    "fractions": ([[[[0.5, 1, 2]]]], "integers from 0 to 255"),
    "above": ([[[[256, 1, 2]]]], "integers from 0 to 255"),
    "below": ([[[[-1, 1, 2]]]], "integers from 0 to 255"),
    "channels": ([[[[1, 2]]]], r"uint8 images of shape \(any, any, 3\).*\(1, 1, 2\)"),
    "no pixel": ([[]], r"Received: \(0\)"),
    "narrow": ([[[[1, 2, 3]] * 51]], r"at most 50 times the shorter. Received: shape \(1, 1, 51"),
}
PNG = png(np.zeros((3, 3, 3), "uint8"))
BAD_FILES = {
    "no base64": ([PNG, {"b64": "?"}], r"in base64. Received: something else at position 1"),
    "text": (["cat"], "at position 0"),
    "no text": ([PNG, PNG, {"b64": 3}], "at position 2"),
    "null": ([None], "at position 0"),
    "no image": ([PNG, {"b64": ""}], "whole JPEG or PNG.* at position 1 of 2, .* of 0 bytes$"),
}


def refused(service, request, message):
    with pytest.raises(BadRequest, match=message) as caught:
        service.answer(request)
    assert len(str(caught.value)) < 300
    assert service.answer({"instances": [IMAGE]})["predictions"]


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_refused_with_a_reason(service, case):
    refused(service, *BAD[case])


@pytest.mark.parametrize("case", BAD_RAW)
def test_bad_arrays_are_refused_with_a_reason(service, case):
    instances, message = BAD_RAW[case]
    refused(service, {"signature_name": "serve_uint8", "instances": instances}, message)


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_with_a_reason(service, case):
    instances, message = BAD_FILES[case]
    refused(service, {"signature_name": "serve_jpeg", "instances": instances}, message)


def test_a_saved_model_is_needed(tmp_path):
    with pytest.raises(ValueError, match="`path` must be a SavedModel"):
        SavedModelService(tmp_path)
