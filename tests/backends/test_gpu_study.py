"""The study of a GPU, in its tiny form, where there is none, and no TensorFlow either."""

import dataclasses
import importlib.util
import math
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from srm_keras.support.files import read_csv, read_json, write_json

if keras.config.backend() != "jax":
    pytest.skip("the study measures Keras on JAX", allow_module_level=True)

import jax

from tools.studies import gpu, gpu_keras
from tools.studies.timed_steps import Network, Program

TENSORFLOWS = ("tensorflow", "tensorflow_datasets")
SIZES = dataclasses.replace(gpu.TINY, modules=("multiply", "se", "srm"))
PROGRAM = Program(lambda: None, 1, 2**30)


@pytest.fixture(autouse=True)
def _without_tensorflow(monkeypatch):
    for name in TENSORFLOWS:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def trained(monkeypatch):
    """What was asked for of networks, none of which is built; SE fails the first time."""
    asked = []

    def training_programs(network, modules, least_ms):
        asked.extend(modules)
        fails = asked.count("se") == 1
        return {
            name: ValueError("no\nmemory") if name == "se" and fails else PROGRAM
            for name in modules
        }

    monkeypatch.setattr(gpu_keras, "training_programs", training_programs)
    monkeypatch.setattr(gpu, "_frameworks", lambda: [])
    return asked


def outcomes(folder, minutes=60.0, sizes=SIZES):
    return [(part.kind, what) for part, what in gpu.Study(folder, sizes).run(minutes)]


def test_parts_are_measured_once_and_failures_again(trained, tmp_path):
    kinds = ["card", "steps", "maps", "maps"]
    assert outcomes(tmp_path) == [(kind, "measured") for kind in kinds]
    page = (tmp_path / "gpu.md").read_text()
    assert "- cifar_resnet8, keras, se: ValueError: no memory" in page
    first = read_json(tmp_path / "gpu.json")["rows"]
    assert [row["module"] for row in first if row["error"]] == ["se"]

    again = outcomes(tmp_path)
    assert again == [(kind, "measured" if kind == "steps" else "known") for kind in kinds]
    assert trained == ["plain", "se", "srm"] * 2
    rows = read_json(tmp_path / "gpu.json")["rows"]
    assert [row for row in rows if row["module"] != "se" or row["case"] != "cifar_resnet8"] == [
        row for row in first if not row["error"]
    ]
    assert "What failed" not in (tmp_path / "gpu.md").read_text()
    assert len(read_csv(tmp_path / "gpu.csv")) == len(rows) == 11
    assert outcomes(tmp_path) == [(kind, "known") for kind in kinds]

    maps = [row for row in rows if row["kind"] == "maps" and row["module"] == "srm"]
    assert [row["case"] for row in maps] == ["2×4×3×8 bfloat16", "2×4×3×8 float32"]
    for row, width in zip(maps, (2, 4), strict=True):
        moved = 8 * 2 * 4 * 3 * 8 * width
        spent = moved / row["gb_per_second"] / 1e6
        assert spent == pytest.approx(row["median_ms"], abs=0.5001e-3)  # which is told to 1 µs
        assert row["to_se"] > 0
        assert row["share_of_nominal"] is None

    study = read_json(tmp_path / "gpu.json")
    study["environment"]["card"] = "NVIDIA H100 80GB HBM3"
    write_json(tmp_path / "gpu.json", study)
    with pytest.raises(ValueError, match="of another environment"):
        gpu.Study(tmp_path, SIZES)


def test_no_part_is_begun_for_which_there_is_no_time(trained, tmp_path, monkeypatch):
    """Parts take ten seconds each: of the three minutes 20, then 100, then 30 must be left."""
    now = [0.0]
    monkeypatch.setattr(gpu.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(gpu.Study, "measure", lambda self, part: now.append(now.pop() + 10))
    assert [what for _, what in outcomes(tmp_path, 0.3)] == ["no time"] * 4
    assert [what for _, what in outcomes(tmp_path, 1.1)] == ["measured", "no time"] + [
        "measured"
    ] * 2
    assert now == [30.0]


def test_every_array_of_a_program_is_its_argument_or_result(tmp_path):
    """XLA leaves out what is not returned: x and dy in, y and dx out, g in and its gradient out."""
    shape = (4, 16, 16, 32)
    program = gpu_keras.module_programs(["multiply"], shape, "float32", 0.1)["multiply"]
    assert program.memory >= 4 * (4 * math.prod(shape) + 2 * 4 * 32)
    failed = gpu_keras.module_programs(["nothing"], shape, "float32", 0.1)["nothing"]
    assert isinstance(failed, ValueError)


@pytest.mark.slow
def test_an_update_is_that_of_keras(monkeypatch):
    """In float32: bfloat16 rounds what JAX compiles at once otherwise."""
    monkeypatch.setitem(gpu_keras.POLICIES, "bfloat16", "float32")
    network = Network((1, 1, 1), side=8, classes=3, batch=4)
    images, labels = network.images()
    model = gpu_keras.built_network(network, "srm")
    twin = gpu_keras.built_network(network, "srm")
    twin.set_weights(model.get_weights())
    optimizers = [keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True) for _ in range(2)]
    optimizers[0].build(model.trainable_variables)
    state = (model.trainable_variables, model.non_trainable_variables, optimizers[0].variables)
    state = tuple([variable.value for variable in part] for part in state)
    update = jax.jit(gpu_keras.update_of(model, optimizers[0]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    twin.compile(optimizers[1], loss)
    for _ in range(2):
        state, value = update(state, images, labels)
        assert float(value) == pytest.approx(twin.train_on_batch(images, labels), rel=1e-4)
    for mine, its in zip(state[0], twin.trainable_variables, strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_runs_where_only_keras_and_jax_are_installed(tmp_path):
    """All that the documentation of the command does not name cannot be imported."""
    refused = (
        *TENSORFLOWS,
        *["matplotlib", "PIL", "sklearn", "pandas", "ai_edge_litert", "array_record"],
    )
    script = f"""
    import runpy, sys
    for name in {refused}:
        sys.modules[name] = None
    sys.argv = ["tools.studies.gpu", "--out={tmp_path}", "--tiny", "--minutes=25"]
    runpy.run_module("tools.studies.gpu", run_name="__main__", alter_sys=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = read_json(tmp_path / "gpu.json")["rows"]
    assert not [row for row in rows if row["error"]]
    torch = importlib.util.find_spec("torch") is not None
    expected = {"keras"} | ({"torch", "torch compiled"} if torch else set())
    assert {row["framework"] for row in rows} == expected
    assert all(row["median_ms"] > 0 for row in rows)
