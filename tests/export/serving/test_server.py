"""The server as its users have it: started by its command line, asked over HTTP."""

import base64
import contextlib
import gzip
import http.client
import io
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from srm_keras.data import Preprocessing
from srm_keras.export import to_saved_model
from srm_keras.models import CifarResNet
from tests.support.weights import randomize

MISSING = "uvicorn and starlette are missing: pip install starlette uvicorn"
pytest.importorskip("uvicorn", reason=MISSING)
pytest.importorskip("starlette", reason=MISSING)
pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[3]
SIZE = 16
PREPROCESSING = Preprocessing(image_size=SIZE, resize=20)
CLASSES = [f"class {index}" for index in range(10)]
MODEL = "/v1/models/model"
PREDICT = f"{MODEL}:predict"


@pytest.fixture(scope="module")
def model():
    model = CifarResNet(8, block="basic", recalibration="srm", input_shape=(SIZE, SIZE, 3))
    randomize(model, seed=1)
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("server") / "saved_model"
    samples = np.random.default_rng(0).normal(size=(4, SIZE, SIZE, 3))
    to_saved_model(model, path, samples, preprocessing=PREPROCESSING, classes=CLASSES)
    return path


def command(folder, port):
    return [sys.executable, "-m", "srm_keras", "serve", f"--model={folder}", f"--port={port}"]


@pytest.fixture(scope="module")
def port(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(command(folder, port), cwd=ROOT, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            assert ask(port, "GET", MODEL)[0] == 200
            break
        except ConnectionRefusedError:
            assert process.poll() is None
            time.sleep(0.2)
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    with pytest.raises(ConnectionRefusedError):
        ask(port, "GET", MODEL)


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def predict(port, request):
    body = request if isinstance(request, bytes) else json.dumps(request)
    return ask(port, "POST", PREDICT, body)


def pictures(count=3):
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 6, 8, 3), "uint8")
    return [np.asarray(Image.fromarray(image).resize((40, 30))) for image in coarse]


def encoded(image, form="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, form)
    return file.getvalue()


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def of_keras(model, images):
    inputs = np.stack([PREPROCESSING.evaluation(image) for image in images])
    return model(inputs, training=False).numpy()


def test_the_answers_are_those_of_the_keras_model(port, model):
    images = pictures()
    wanted = of_keras(model, images)
    assert np.ptp(wanted, axis=0).max() > 0.01
    prepared = np.stack([PREPROCESSING.evaluation(image) for image in images])
    status, answer = predict(port, {"instances": prepared.tolist()})
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], wanted, rtol=0, atol=1e-5)
    files = [b64(encoded(image)) for image in images]
    for signature, instances in (
        ("serve_uint8", np.stack(images).tolist()),
        ("serve_jpeg", files),
        ("serve_jpeg", [{"image_bytes": file} for file in files]),
    ):
        status, answer = predict(port, {"signature_name": signature, "instances": instances})
        assert status == 200
        scores = [row["output_0"] for row in answer["predictions"]]
        np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-5)
        names = [row["class_name"] for row in answer["predictions"]]
        assert names == [CLASSES[index] for index in wanted.argmax(axis=1)]


def test_jpeg_files_are_answered_too(port, model):
    (image,) = pictures(1)
    request = {"signature_name": "serve_jpeg", "instances": [b64(encoded(image, "JPEG"))]}
    status, answer = predict(port, request)
    assert status == 200
    decoded = np.asarray(Image.open(io.BytesIO(encoded(image, "JPEG"))))
    wanted = of_keras(model, [decoded])
    np.testing.assert_allclose(answer["predictions"][0]["output_0"], wanted[0], rtol=0, atol=0.05)


GOOD = encoded(pictures(1)[0])
BAD = {
    "shape": ({"instances": np.zeros((1, 5, 5, 3)).tolist()}, 400, "of shape (16, 16, 3)"),
    "empty": ({"instances": []}, 400, "1 to 128 images"),
    "signature": ({"signature_name": "x", "instances": [0]}, 400, "`signature_name` must be one"),
    "broken JSON": (b'{"instances": [', 400, "The body must be JSON"),
    "no UTF-8": (b"\xff\xfe\xfa", 400, "The body must be JSON"),
    "deep JSON": (b"[" * 100_000, 400, "The body must be JSON"),
    "no object": (b"[1, 2]", 400, "The body must be a JSON object"),
    "nothing": (b"", 400, "The body must be JSON"),
    "NaN": (b'{"instances": [[[[NaN]]]]}', 400, "must hold float32 images"),
    "too large": (b" " * (33 * 2**20), 413, "larger than 33554432 bytes"),
    "truncated": (
        {"signature_name": "serve_jpeg", "instances": [b64(GOOD), b64(GOOD[:300])]},
        400,
        "at position 1 of 2, counted from 0, of 300 bytes",
    ),
    "empty file": ({"signature_name": "serve_jpeg", "instances": [b64(b"")]}, 400, "position 0"),
    "no base64": ({"signature_name": "serve_jpeg", "instances": [{"b64": "?"}]}, 400, "base64"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_get_4xx_and_the_server_goes_on(port, case):
    request, wanted, message = BAD[case]
    status, answer = predict(port, request)
    assert (status, list(answer)) == (wanted, ["error"])
    assert message in answer["error"]
    status, _ = predict(port, {"signature_name": "serve_jpeg", "instances": [b64(GOOD)]})
    assert status == 200


VERSION = f"{MODEL}/versions/1"


def test_a_version_has_the_same_addresses(port):
    state = ask(port, "GET", MODEL)
    assert state == (
        200,
        {
            "model_version_status": [
                {
                    "version": "1",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        },
    )
    assert ask(port, "GET", VERSION) == state
    request = json.dumps({"signature_name": "serve_jpeg", "instances": [b64(GOOD)]})
    assert ask(port, "POST", f"{VERSION}:predict", request) == ask(port, "POST", PREDICT, request)
    for path in ("versions/2", "versions/2/metadata", "labels/stable", "versions"):
        status, answer = ask(port, "GET", f"{MODEL}/{path}")
        assert (status, list(answer)) == (404, ["error"])
    assert ask(port, "POST", f"{MODEL}/versions/2:predict", request)[0] == 404


def test_the_metadata_are_what_the_file_says(port):
    status, answer = ask(port, "GET", f"{MODEL}/metadata")
    assert (status, answer) == ask(port, "GET", f"{VERSION}/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "model", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == ["serve_jpeg", "serve_uint8", "serving_default"]
    (name, taken), *others = signatures["serving_default"]["inputs"].items()
    assert (name, taken["dtype"], others) == ("image", "DT_FLOAT", [])
    sides = [side["size"] for side in taken["tensor_shape"]["dim"]]
    assert sides == ["-1", str(SIZE), str(SIZE), "3"]
    assert taken["name"] == "serving_default_image:0"
    assert signatures["serve_jpeg"]["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    assert set(signatures["serve_uint8"]["outputs"]) == {"output_0", "class_name"}


def zipped(port, body, encoding="gzip"):
    return ask(port, "POST", PREDICT, body, **{"Content-Encoding": encoding})


def test_bodies_in_gzip_are_answered(port):
    request = json.dumps({"signature_name": "serve_jpeg", "instances": [b64(GOOD)]}).encode()
    plain = ask(port, "POST", PREDICT, request)
    assert plain[0] == 200
    assert zipped(port, gzip.compress(request)) == plain
    assert zipped(port, gzip.compress(request[:99]) + gzip.compress(request[99:])) == plain
    assert zipped(port, request, "identity") == plain


@pytest.mark.parametrize(
    ("body", "encoding", "status", "message"),
    [
        (gzip.compress(b"{" + b" " * (33 * 2**20)), "gzip", 413, "larger than 33554432 bytes"),
        (gzip.compress(b"{}" * 99)[:-4], "gzip", 400, "the beginning of some"),
        (b"", "gzip", 400, "the beginning of some"),
        (b'{"instances": []}', "gzip", 400, "must be gzip data"),
        (gzip.compress(b"{}") + b"junk", "gzip", 400, "must be gzip data"),
        (b"{}", "br", 415, "plain or gzip. Received: br"),
    ],
    ids=["too large", "truncated", "empty", "plain", "with junk", "another"],
)
def test_what_gzip_cannot_be_is_refused(port, body, encoding, status, message):
    found, answer = zipped(port, body, encoding)
    assert found == status
    assert message in answer["error"]


def test_other_addresses_and_methods(port):
    assert ask(port, "POST", "/v1/models/other:predict", "{}")[0] == 404
    assert ask(port, "GET", PREDICT)[0] == 405


def test_a_client_that_goes_away_harms_nothing(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n".encode())
        connection.sendall(b'Content-Length: 1000\r\n\r\n{"instances"')
    assert ask(port, "GET", MODEL)[0] == 200


def test_too_many_connections_are_told_so_and_the_server_goes_on(port):
    open_ones = [socket.create_connection(("127.0.0.1", port)) for _ in range(70)]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", MODEL)
    assert connection.getresponse().status == 503
    for each in (connection, *open_ones):
        each.close()
    for _ in range(50):
        with contextlib.suppress(ValueError):  # The answer 503 is no JSON.
            assert ask(port, "GET", MODEL)[0] == 200
            return
        time.sleep(0.1)
    pytest.fail("The server does not answer any more")


def test_clients_at_the_same_time_get_their_own_answers(port, model):
    images = pictures(16)
    wanted = of_keras(model, images)

    def scores(image):
        request = {"signature_name": "serve_jpeg", "instances": [b64(encoded(image))]}
        status, answer = predict(port, request)
        assert status == 200
        return answer["predictions"][0]["output_0"]

    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(scores, images))
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "error: `--model` is required."),
        (["--model=nowhere"], "error: `path` must be a SavedModel. Received: path='nowhere'"),
        (["extra"], "error: Arguments must be flags. Received: extra"),
    ],
)
def test_errors_of_the_command_are_one_line(flags, message):
    arguments = [sys.executable, "-m", "srm_keras", "serve", *flags]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == message
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_one_line(folder, port):
    tool = command(folder, port)
    done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    message = "error: `host` and `port` must be an address to listen on (Address already in use"
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr


def test_the_benchmark_times_each_form_by_one_and_by_four_clients(folder, tmp_path):
    arguments = [f"--model={folder}", f"--out={tmp_path}", "--seconds=0.2"]
    tool = [sys.executable, "-m", "tools.studies.serving_benchmark", *arguments]
    done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "serving.json").read_text())["models"]
    kinds = [(row["images"], row["clients"]) for row in result["rows"]]
    forms = ("float array", "uint8 array", "JPEG")
    assert kinds == [(form, clients) for form in forms for clients in (1, 4)]
    for row in result["rows"]:
        assert row["direct_ms"] > 0
        assert 0 < row["median_ms"] <= row["p95_ms"]
        assert row["per_second"] > 0
    page = (tmp_path / "serving.md").read_text()
    assert page.count("| JPEG |") == 2
    assert f"## {folder}" in page
