import keras
import numpy as np
import pytest

from srm_keras.export.tflite.conversion import Conversion
from srm_keras.export.web.browser import BrowserError, run_files_in_browser, run_in_browser
from srm_keras.export.web.exporter import WebRunner
from tests.export.web.conftest import PREPROCESSING
from tests.support.weights import feature_map


@pytest.mark.slow
def test_the_browser_computes_what_litert_computes_in_python(browser, srm_export):
    images = feature_map((3, 16, 16, 3), seed=9)
    outputs = run_in_browser(srm_export.folder / "model.tflite", images)
    expected = WebRunner(srm_export.folder).outputs(images)
    by_shape = {output.shape: output for output in outputs}
    assert by_shape.keys() == {values.shape for values in expected.values()}
    for values in expected.values():
        np.testing.assert_allclose(by_shape[values.shape], values, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_png_files_are_read_as_tensorflow_reads_them(browser, srm_export, tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, dtype="uint8") for shape in ((40, 31, 3), (16, 90, 3))]
    files = [tmp_path / f"{i} é.png" for i in range(2)]
    for image, file in zip(images, files, strict=True):
        keras.utils.save_img(file, image, scale=False, data_format="channels_last")
    answers = run_files_in_browser(srm_export.folder / "model.tflite", files, PREPROCESSING)
    expected = np.stack([PREPROCESSING.evaluation(image) for image in images])
    np.testing.assert_allclose(answers.prepared, expected, rtol=0, atol=2e-5)
    scores = srm_export.model(expected, training=False).numpy()
    np.testing.assert_allclose(answers.outputs["predictions"], scores, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_what_the_browser_refuses_is_one_line(browser, srm_export, tmp_path):
    model = keras.Sequential([keras.Input((16, 16, 3), name="image"), keras.layers.ReLU()])
    (tmp_path / "bad.tflite").write_bytes(b"no flat buffer" * 100)
    with pytest.raises(BrowserError, match=r"\A[^\n]+\Z"):
        run_in_browser(tmp_path / "bad.tflite", np.zeros((1, 16, 16, 3)))
    (tmp_path / "two.tflite").write_bytes(Conversion("float32", batch_size=2).convert(model))
    with pytest.raises(BrowserError, match=r"\ANumber of elements 768 .* expected .* 1536\.\Z"):
        run_in_browser(tmp_path / "two.tflite", np.zeros((1, 16, 16, 3)))
    (tmp_path / "any.tflite").write_bytes(Conversion("float32").convert(model))
    with pytest.raises(
        BrowserError, match=r"needs a fixed shape; that of image is \(-1, 16, 16, 3\)\Z"
    ):
        run_in_browser(tmp_path / "any.tflite", np.zeros((1, 16, 16, 3)))
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(BrowserError, match="not an image"):
        run_files_in_browser(
            srm_export.folder / "model.tflite", [tmp_path / "text.png"], PREPROCESSING
        )


def test_wrong_arguments_of_the_browser(tmp_path):
    with pytest.raises(ValueError, match="`path` must be a file"):
        run_in_browser(tmp_path / "none.tflite", np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"`images` must be \(N, …\).*\(0, 4\)"):
        run_in_browser(tmp_path / "none.tflite", np.zeros((0, 4)))
    with pytest.raises(ValueError, match=r"`files` must be image files. Received: .*absent.png"):
        run_files_in_browser(tmp_path / "none.tflite", [tmp_path / "absent.png"], PREPROCESSING)
    with pytest.raises(ValueError, match=r"`files` must be image files. Received: \[\]"):
        run_files_in_browser(tmp_path / "none.tflite", [], PREPROCESSING)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "model.tflite").touch()
    with pytest.raises(BrowserError, match=r"this is missing: Node.js"):
        run_in_browser(tmp_path / "model.tflite", np.zeros((1, 4)))
