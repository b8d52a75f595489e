import pytest
from ml_collections import ConfigDict

from srm_keras.training.stylization import default_recipe, resolve
from srm_keras.training.stylization.recipe import FIELDS


def test_the_defaults_pass():
    assert resolve(default_recipe()).to_dict() == default_recipe().to_dict()
    assert {path.partition(".")[0] for path in FIELDS} == set(default_recipe())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"methd": "adain"}, "`methd` is not a field of a recipe.*'method'"),
        ({"method": "gatys"}, r"`method` must be one of \('feed_forward', 'adain'\)"),
        ({"normalization": "layer"}, "`normalization` must be one of"),
        ({"steps": 30, "eval_every": 20}, "`eval_every` must divide steps=30"),
        ({"content": {"resize": 100}}, "`content.resize` must be at least content.image_size=256"),
        ({"loss": {"content": 0, "style": 0}}, "`loss.content` or `loss.style` must be positive"),
        ({"loss": {"style": -1.0}}, "`loss.style` must be a number >= 0"),
        ({"features": {"style_layers": ()}}, "`features.style_layers` must be a tuple"),
        (
            {"method": "adain", "recalibration": "srm", "style": {"image": "a.jpg"}},
            "`recalibration` must be left out with method='adain'.*`style.image` must be left out",
        ),
    ],
)
def test_what_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        resolve(ConfigDict(fields))
