"""The page in headless Chromium against Keras on the same images."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.layers import Recalibration
from tests.export.web.conftest import CLASSES, GREY, PREPROCESSING

pytestmark = pytest.mark.slow
NETWORK = "cifar_resnet8_basic: 7 classes, 16 × 16 pixels, 3 blocks; computed by"


def scores_and_gates(model, image, preprocessing=PREPROCESSING):
    """Scores by class, best first, and gates by block (mean over places), of Keras."""
    x = preprocessing.evaluation(image)[None]
    scores = model(x, training=False).numpy()[0]
    gates = {}
    for module in model.layers:
        if isinstance(module, Recalibration):
            inside = keras.Model(model.input, module.input)(x, training=False)
            values = module.gates(inside, training=False).numpy()[0]
            gates[module.name.removesuffix("_recalibration")] = values.mean(axis=(0, 1))
    best = sorted(zip(CLASSES, scores, strict=True), key=lambda pair: -pair[1])
    return best[:5], gates


def check(seen, model, image, preprocessing=PREPROCESSING):
    scores, gates = scores_and_gates(model, image, preprocessing)
    assert [name for name, _, _ in seen["scores"]] == [name for name, _ in scores]
    for (_, part, text), (_, score) in zip(seen["scores"], scores, strict=True):
        assert part == pytest.approx(score, abs=1e-5)
        assert text == f"{100 * part:.1f} %"
    assert list(seen["gates"]) == list(gates)
    for block, expected in gates.items():
        np.testing.assert_allclose(seen["gates"][block], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("way", "index"), [("chosen", 0), ("dropped", 1), ("pasted", 2)])
def test_the_page_answers_as_keras_does(visit, srm_export, way, index):
    seen = visit.seen["answers"][way]
    check(seen, srm_export.model, visit.images[index])
    assert seen["status"].startswith(f"{index}.png: {seen['scores'][0][0]}, in ")
    assert np.ptp(seen["gates"]["conv2_1"]) > 0.01
    assert visit.seen["answers"]["problems"] == []


def test_the_page_says_what_it_runs(visit):
    answers = visit.seen["answers"]
    assert answers["ready"] == "Ready. Choose, drop or paste an image."
    assert (
        answers["chosen"]["network"] == f"{NETWORK} WebAssembly (WebGPU has no graphics card here)"
    )


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("none", "(this browser has no WebGPU)"),
        ("broken", "(WebGPU refuses it: WebGPU was requested but no WebGPU device is set in"),
    ],
)
def test_without_webgpu_the_page_computes_in_webassembly_and_says_why(visit, srm_export, why, said):
    seen = visit.seen["wasm"][why]
    assert seen["network"].startswith(f"{NETWORK} WebAssembly {said}")
    check(seen, srm_export.model, visit.images[0])


def test_webgpu_answers_as_keras_does(visit, srm_export):
    """Chromium's own WebGPU on a processor; LiteRT.js says that all operators run there."""
    seen = visit.seen["webgpu"]
    assert [one["network"] for one in seen.values()] == [f"{NETWORK} WebGPU"] * 2
    check(seen["srm"], srm_export.model, visit.images[0])
    pairs = zip(seen["cbam"]["scores"], visit.seen["logits"]["scores"], strict=True)
    for (name, part, _), (other, expected, _) in pairs:
        assert name == other
        assert part == pytest.approx(expected, abs=1e-5)


def test_logits_become_probabilities_and_spatial_gates_their_mean(visit, web_export):
    exported = web_export("cbam", classifier_activation=None)
    scores, gates = scores_and_gates(exported.model, visit.images[0])
    logits = exported.model(PREPROCESSING.evaluation(visit.images[0])[None]).numpy()[0]
    softmax = np.exp(logits) / np.exp(logits).sum()
    seen = visit.seen["logits"]
    assert [name for name, _, _ in seen["scores"]] == [name for name, _ in scores]
    assert seen["scores"][0][1] == pytest.approx(softmax.max(), abs=1e-5)
    for block, expected in gates.items():
        np.testing.assert_allclose(seen["gates"][block], expected, rtol=0, atol=1e-4)


def test_a_grey_network_without_gates_says_what_became_of_the_colours(visit, web_export):
    luma = visit.images[0] @ np.array([0.299, 0.587, 0.114])
    expected = web_export(None, GREY).model
    x = GREY.standardized(luma[10:26, 22:38, None].astype("float32"))[None]
    seen = visit.seen["grey"]
    assert seen["scores"][0][1] == pytest.approx(expected(x).numpy().max(), abs=1e-5)
    assert "colours were turned to grey" in seen["status"]
    assert seen["gatesHidden"]


def test_charts_can_be_sorted_and_read_with_the_keyboard(visit):
    charts, gates = visit.seen["charts"], visit.seen["answers"]["pasted"]["gates"]
    first = gates["conv2_1"]
    assert charts["last"] == f"channel {len(first) - 1}: {first[-1]:.2f}"
    assert charts["summary"].startswith(f"mean {np.mean(first):.2f} ± {np.std(first):.2f}, ")
    for block, values in gates.items():
        assert charts["sorted"][block] == sorted(values, reverse=True)


def test_a_mistake_is_explained_and_forgotten_after_the_next_image(visit):
    mistakes = visit.seen["mistakes"]
    assert mistakes["text"] == "notes.txt is not an image that this browser can read."
    assert mistakes["nothing"].startswith("That was no file.")
    assert mistakes["afterwards"]["status"].startswith("0.png: ")


PROBLEMS = {
    "no_model": r"There is no network in model/ yet\..* python -m tools.web_demo --model=RUN",
    "no_packages": r"LiteRT.js is not installed .* npm ci --ignore-scripts",
    "broken_model": r"LiteRT.js refuses model/model.tflite: .+ python -m tools.web_demo",
    "broken_description": r"model/model.json is not readable\. .*tools.web_demo",
    "no_wasm": r"WebAssembly of LiteRT.js could not be started: .",
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_missing_is_said_with_the_command_that_mends_it(visit, name):
    seen = visit.seen["problems"][name]
    assert (seen["state"], seen["disabled"]) == ("failed", True)
    assert re.match(PROBLEMS[name], seen["status"])


def test_nothing_is_asked_of_any_other_machine(visit):
    requests = visit.seen["requests"]
    assert any(url.endswith(".wasm") for url in requests)
    assert [url for url in requests if not url.startswith((visit.address, "blob:", "data:"))] == []


def test_the_page_fits_a_phone_and_both_colour_schemes(visit):
    assert set(visit.seen["overflow"].values()) == {0}
    brightness = {
        name: np.asarray(Image.open(visit.folder / f"{name}.png").convert("L"))[5, 5]
        for name in visit.seen["overflow"]
    }
    assert brightness["light"] > 200 > 100 > brightness["dark"]
    assert brightness["phone"] > 200 > 100 > brightness["phone_dark"]
