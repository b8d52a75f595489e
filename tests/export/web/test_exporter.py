import shutil

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from srm_keras.data.preprocessing import Preprocessing
from srm_keras.export import ExportError, pipeline
from srm_keras.export.deploy import Deployed, deployed
from srm_keras.export.web.exporter import to_web
from srm_keras.layers import Recalibration
from srm_keras.support.files import read_json
from tests.export.web.conftest import CLASSES, GREY, PREPROCESSING, network
from tests.support.weights import feature_map

SAMPLES = feature_map((5, 16, 16, 3), seed=2)
SLOW = [None, "se", "cbam", "eca", "simam", "gct", {"name": "fca", "reduction": 4}]
SLOW += [{"name": "ge", "extent": 2, "params": "theta"}]
MODULES = ["srm", *(pytest.param(module, marks=pytest.mark.slow) for module in SLOW)]


def tflite_outputs(folder, image):
    return Interpreter(str(folder / "model.tflite")).get_signature_runner("serving_default")(
        image=image[None]
    )


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_predictions_and_gates_are_those_of_the_network(module, web_export):
    exported = web_export(module)
    modules = [layer for layer in exported.model.layers if isinstance(layer, Recalibration)]
    assert len(modules) == (0 if module is None else 3)
    description = read_json(exported.folder / "model.json")
    assert [gate["output"] for gate in description["gates"]] == [
        f"{layer.name}_gates" for layer in modules
    ]
    for image in exported.samples:
        outputs = tflite_outputs(exported.folder, image)
        assert len(outputs) == 1 + len(modules)
        scores = exported.model(image[None], training=False).numpy()
        np.testing.assert_allclose(outputs["predictions"], scores, rtol=0, atol=1e-5)
        for layer, gate in zip(modules, description["gates"], strict=True):
            inside = keras.Model(exported.model.input, layer.input)(image[None], training=False)
            expected = layer.gates(inside, training=False).numpy()
            assert expected.std() > 1e-3
            assert list(expected.shape) == gate["shape"]
            np.testing.assert_allclose(outputs[gate["output"]], expected, rtol=0, atol=1e-4)


def test_the_page_learns_all_it_needs(srm_export):
    description = read_json(srm_export.folder / "model.json")
    assert description["classes"] == list(CLASSES)
    assert Preprocessing.from_dict(description["preprocessing"]) == PREPROCESSING
    assert description["input"] == {"name": "image", "shape": [1, 16, 16, 3]}
    assert [gate["name"] for gate in description["gates"]] == ["conv2_1", "conv3_1", "conv4_1"]
    assert description["scores"] == "probabilities"
    assert 0 < description["gates_max_error"] < 1e-4
    assert (srm_export.folder.parent / "report.json").is_file()


@pytest.mark.slow
def test_logits_are_called_logits(web_export):
    exported = web_export("cbam", classifier_activation=None)
    assert read_json(exported.folder / "model.json")["scores"] == "logits"


def test_other_gates_are_not_published(srm_export, tmp_path, monkeypatch):
    def wrong(model):
        right = deployed(model)
        return Deployed(right.network, {name: 1 - gate for name, gate in right.gates().items()})

    shutil.copytree(srm_export.folder, tmp_path / "web")
    before = (tmp_path / "web" / "model.tflite").read_bytes()
    monkeypatch.setattr(pipeline, "deployed", wrong)
    with pytest.raises(ExportError, match=r"gates of 'conv2_1_recalibration' differ .* by up to 0"):
        to_web(srm_export.model, tmp_path / "web", SAMPLES, PREPROCESSING, CLASSES)
    assert (tmp_path / "web" / "model.tflite").read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["web"]


WRONG_ARGUMENTS = {
    "samples": ({"samples": SAMPLES[:, :8]}, "`samples` must be"),
    "channels": ({"preprocessing": GREY}, r"`preprocessing` must give .*\(16, 16, 3\).*channels=1"),
    "size": ({"preprocessing": Preprocessing(image_size=32)}, "Received: image_size=32"),
    "few-classes": ({"classes": CLASSES[1:]}, r"`classes` .*\(None, 7\). Received: 6 names"),
    "text": ({"classes": "seven!!"}, "`classes` must hold a name"),
    "numbers": ({"classes": range(7)}, "Received: 7 values that are not all texts"),
    "model": ({"model": None}, "`model` must be a keras.Model"),
}


@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_wrong_arguments_are_refused_before_anything_is_written(case, tmp_path):
    changes, message = WRONG_ARGUMENTS[case]
    arguments = {
        "model": network("srm"),
        "samples": SAMPLES,
        "preprocessing": PREPROCESSING,
        "classes": CLASSES,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        to_web(folder=tmp_path / "web", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_in_it_is_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for folder in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ValueError, match="`folder` must be new or empty"):
            to_web(network("srm"), folder, SAMPLES, PREPROCESSING, CLASSES)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_layer_without_deploy_form_is_refused_by_name(tmp_path):
    @keras.saving.register_keras_serializable(package="tests")
    class Half(Recalibration):
        def gates(self, inputs, training=None):
            return keras.ops.full_like(inputs[:, :1, :1], 0.5)

    with pytest.raises(ValueError, match="'conv2_1_recalibration', a Half"):
        to_web(network(Half), tmp_path / "web", SAMPLES, PREPROCESSING, CLASSES)
    assert list(tmp_path.iterdir()) == []
