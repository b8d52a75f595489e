"""The optimizers that a recipe can name, on every backend."""

import keras
import numpy as np
import pytest

from srm_keras.training.by_path import ByPath
from srm_keras.training.optimizer import LAMB, optimizer_class
from srm_keras.training.schedules import StepDecay
from tests.support.update_rules import RULES, assert_updates_are_the_papers


@pytest.mark.parametrize("name", RULES)
def test_updates_are_the_papers_with_rates_decay_and_averages_by_path(name):
    assert_updates_are_the_papers(name)


def test_lamb_leaves_a_variable_of_zeros_to_its_update():
    """The norm of the weight is 0 there: the ratio is 1."""
    variable = keras.Variable(np.zeros(3), name="zeros")
    optimizer = LAMB(0.5, weight_decay=0.1)
    optimizer.apply([keras.ops.convert_to_tensor([1.0, -2.0, 0.0])], [variable])
    found = keras.ops.convert_to_numpy(variable)
    np.testing.assert_allclose(found, [-0.5, 0.5, 0.0], rtol=1e-5)


@pytest.mark.parametrize("name", ["lamb", "adamw", "Muon"])
def test_survives_serialization(name):
    optimizer = optimizer_class(name)(
        StepDecay(0.1), weight_decay=0.1, decay_exclude=["a/b"], rate_factors={"c": 2.0}
    )
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(restored, ByPath)
    assert type(restored) is type(optimizer)
    assert restored.get_config() == optimizer.get_config()
    assert restored.decay == 0.1
