import keras
import numpy as np
from PIL import Image

from srm_keras.models import CifarResNet
from srm_keras.training.gates import BINS, gate_histograms, plot_gates


def test_histograms_are_shares_of_each_block():
    gates = {"a": np.array([[0.0, 0.999, 0.011, 0.5]]), "b": np.full((2, 3), 0.25)}
    histograms = gate_histograms(gates)
    assert histograms["a"].shape == (BINS,)
    assert histograms["a"][[0, BINS // 2, BINS - 1]].tolist() == [0.5, 0.25, 0.25]
    assert histograms["b"][BINS // 4] == 1.0


def test_the_picture_has_a_row_for_every_block(tmp_path):
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    sizes = []
    for depth in (8, 20):
        model = CifarResNet(depth, "basic", recalibration="srm", input_shape=(8, 8, 3))
        assert plot_gates(model, images, tmp_path / "gates.png")
        sizes.append(Image.open(tmp_path / "gates.png").size[1])
        keras.backend.clear_session()
    assert sizes[1] > sizes[0] + 100


def test_a_network_without_gates_has_no_picture(tmp_path):
    model = CifarResNet(8, "basic", input_shape=(8, 8, 3))
    assert not plot_gates(model, np.zeros((1, 8, 8, 3), "float32"), tmp_path / "gates.png")
    assert list(tmp_path.iterdir()) == []
