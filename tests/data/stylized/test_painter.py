"""The painter against the whole network."""

import numpy as np
import pytest

from srm_keras.data.stylized.painting import Painter, Paintings, weights_digest
from srm_keras.models.adain import AdaINStylizer


@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_paints_what_the_whole_network_paints(stylizer, paintings, alpha):
    listed = Paintings(paintings, 16)
    painter = Painter(stylizer, listed, alpha)
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 14, 3), dtype="uint8")
    names = [painter.painting_for(f"train/{k}.png") for k in range(3)]
    painted = painter.paint(images, names)
    assert painted.dtype == np.uint8
    for image, name, result in zip(images, names, painted, strict=True):
        given = {"content": image[None], "style": listed.read(name)[None]}
        floats = {key: value.astype("float32") for key, value in given.items()}
        whole = stylizer({**floats, "strength": np.array([alpha], "float32")})[0].numpy()
        np.testing.assert_allclose(result, np.clip(whole, 0, 255), atol=0.51)
    assert 5 < painted.mean() < 250
    assert painted.std() > 5


def test_output_that_is_not_finite_is_refused(paintings):
    model = AdaINStylizer("block1_conv1", weights=None)
    model.get_layer("decoder").weights[0].assign(np.full((3, 3, 64, 3), np.nan))
    painter = Painter(model, Paintings(paintings, 16), 1.0)
    name = painter.painting_for("x")
    with pytest.raises(ValueError, match="`stylizer` must give finite pixels"):
        painter.paint(np.zeros((1, 8, 8, 3), "uint8"), [name])


def test_digest_follows_the_weights():
    model = AdaINStylizer("block1_conv1", weights=None)
    before = weights_digest(model)
    assert weights_digest(model) == before
    bias = model.get_layer("decoder").weights[1]
    bias.assign(bias + 1e-6)
    assert weights_digest(model) != before
