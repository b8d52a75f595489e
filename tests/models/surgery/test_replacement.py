"""Modules taken out, or exchanged."""

import keras
import numpy as np
import pytest

from srm_keras.layers import SRM, SqueezeExcite
from srm_keras.models.surgery.insertion import insert_recalibration
from srm_keras.models.surgery.replacement import remove_recalibration, replace_recalibration
from tests.models.surgery.test_insertion import custom, images, modules, outputs
from tests.support.foreign_models import nested_model, residual_model
from tests.support.networks import small_network, with_factors
from tests.support.weights import randomize


def names(model) -> list[str]:
    return [layer.name for layer in model.layers]


@pytest.mark.parametrize("neutral", [False, True])
@pytest.mark.parametrize("build", [residual_model, nested_model])
def test_removal_undoes_insertion(build, neutral):
    model = build()
    randomize(model)
    inserted = insert_recalibration(model, "srm", neutral=neutral)
    removed = remove_recalibration(inserted, name="without")
    assert names(removed) == names(insert_recalibration(model, None))
    assert removed.name == "without"
    np.testing.assert_array_equal(outputs(removed, images(model)), outputs(model, images(model)))


def test_removal_of_another_kind_of_layer():
    model = residual_model()
    removed = remove_recalibration(insert_recalibration(model, custom))
    assert names(removed) == names(model)


@pytest.mark.parametrize("kind", ["cifar_bottleneck", "cifar_basic"])
def test_networks_of_this_package_become_one_another(kind):
    srm, se, plain = (small_network(kind, module) for module in ("srm", "se", None))
    randomize(srm)
    replaced, removed = replace_recalibration(srm, "se"), remove_recalibration(srm)
    for result, like in ((replaced, se), (removed, plain)):
        assert names(result) == names(like)
        assert [w.shape for w in result.weights] == [w.shape for w in like.weights]
    for layer in removed.layers:
        for ours, theirs in zip(layer.weights, srm.get_layer(layer.name).weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours is not theirs


def test_new_modules_may_start_neutral():
    model = residual_model()
    randomize(model)
    inserted = insert_recalibration(model, "srm")
    randomize(inserted.get_layer("bn2_recalibration"))
    x = images(model)
    assert np.abs(outputs(inserted, x) - outputs(model, x)).max() > 1e-2
    neutral = replace_recalibration(inserted, "cbam", neutral=True)
    np.testing.assert_array_equal(outputs(neutral, x), outputs(model, x))
    plain = replace_recalibration(neutral, "se").get_layer("bn2_recalibration")
    assert (type(plain), plain.gain, plain.neutral) == (SqueezeExcite, 1.0, False)


def test_what_started_neutral_with_a_factor_behind_it_is_loaded_and_loses_it(tmp_path):
    model = with_factors(insert_recalibration(residual_model(), "srm"))
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = images(model)
    np.testing.assert_array_equal(outputs(loaded, x), outputs(model, x))
    removed = remove_recalibration(loaded)
    assert "bn2_recalibration_scale" in names(loaded)
    assert names(removed) == names(residual_model())
    neutral = replace_recalibration(loaded, "se", neutral=True)
    assert modules(neutral) == ["bn2_recalibration"]
    assert "bn2_recalibration_scale" not in names(neutral)
    np.testing.assert_array_equal(outputs(neutral, x), outputs(removed, x))


def test_a_spec_for_each_module():
    model = small_network("cifar_basic", "srm")
    result = replace_recalibration(model, ["se", None, "srm"])
    kinds = [type(result.get_layer(name)) for name in modules(result)]
    assert kinds == [SqueezeExcite, SRM]
    with pytest.raises(ValueError, match="each of the 3 places where it is a list: conv2_1_recal"):
        replace_recalibration(model, ["se"])


def test_policies_and_data_formats_are_taken_over():
    model = keras.models.clone_model(insert_recalibration(residual_model("channels_first"), "srm"))
    module = replace_recalibration(model, "se").get_layer("bn2_recalibration")
    assert module.data_format == "channels_first"


def test_a_model_without_modules_is_refused():
    with pytest.raises(ValueError, match="must contain recalibration modules"):
        remove_recalibration(residual_model())
