"""What a teacher adds to the loss, against NumPy in float64."""

import keras
import numpy as np
import pytest

from srm_keras.data import Preprocessing
from srm_keras.interop import save_preset
from srm_keras.models.weights import Trained
from srm_keras.training import resolve, training_examples
from srm_keras.training.distillation import SoftTargets, Teacher
from srm_keras.training.distribution import Learner
from tests.support.tiny_training import assert_same_run, tiny_network, tiny_recipe, train_tiny

SHAPE, CLASSES, BATCH = (4, 4, 3), 5, 6
TEMPERATURE, WEIGHT = 3.0, 0.7


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def network(seed, activation="softmax", shape=SHAPE):
    """Batch norm, whose answer in training is another one, and a dense layer with L2."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(shape)
    x = keras.layers.BatchNormalization()(inputs)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(0.5, seed=1)(x)
    outputs = keras.layers.Dense(CLASSES, activation, kernel_regularizer="l2", name="logits")(x)
    return keras.Model(inputs, outputs)


def student():
    inputs = keras.Input(SHAPE)
    x = keras.layers.Flatten()(inputs)
    outputs = keras.layers.Dense(
        CLASSES, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.02)
    )(x)
    return Learner(inputs, outputs)


def trained(model, preprocessing=None, classes=None):
    return Trained(model, "a teacher", "0" * 64, preprocessing, classes)


def images(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, *SHAPE)).astype("float32")


@pytest.mark.parametrize("size", [1, 100])
def test_soft_targets_are_hintons(size):
    """Finite and exact too where a probability is 0 in float32."""
    teacher, learner = size * np.random.default_rng(1).normal(size=(2, BATCH, CLASSES))
    p, q = softmax(teacher / TEMPERATURE), softmax(learner / TEMPERATURE)
    expected = TEMPERATURE**2 * (p * (np.log(p) - np.log(q))).sum(axis=-1).mean()
    loss = SoftTargets(TEMPERATURE)(teacher.astype("float32"), learner.astype("float32"))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(SoftTargets(TEMPERATURE)(teacher, teacher)) == 0


def test_a_step_follows_labels_teacher_and_regularizer():
    """One update of SGD shows the gradient: (1 − w)(q − y) + w·T (q_T − p_T), and all of L2's."""
    x, labels = images(), np.arange(BATCH) % CLASSES
    network_of_teacher = network(1)
    teacher = Teacher(trained(network_of_teacher), Preprocessing(image_size=4), TEMPERATURE, WEIGHT)
    before = [keras.ops.convert_to_numpy(v) + 0 for v in network_of_teacher.variables]
    model = student()
    model.compile(
        keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.teacher = teacher
    (kernel,) = (value.astype("float64") for value in model.get_weights())
    flat, y = x.reshape(BATCH, -1).astype("float64"), np.eye(CLASSES)[labels]
    answers = np.log(
        keras.ops.convert_to_numpy(network_of_teacher(x, training=False)).astype("float64")
    )
    q, q_soft = softmax(flat @ kernel), softmax(flat @ kernel / TEMPERATURE)
    p_soft = softmax(answers / TEMPERATURE)
    hard = -np.log((q * y).sum(axis=-1)).mean()
    soft = TEMPERATURE**2 * (p_soft * np.log(p_soft / q_soft)).sum(axis=-1).mean()
    regularizer = 0.02 * (kernel**2).sum()
    pull = (1 - WEIGHT) * (q - y) + WEIGHT * TEMPERATURE * (q_soft - p_soft)
    gradient = flat.T @ pull / BATCH + 2 * 0.02 * kernel

    assert model.evaluate(x, labels, verbose=0) == pytest.approx(hard + regularizer, rel=1e-5)
    history = model.fit(x, labels, batch_size=BATCH, verbose=0).history
    expected = (1 - WEIGHT) * hard + WEIGHT * soft + regularizer
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], kernel - gradient, rtol=1e-4, atol=1e-5)
    assert [v.path for v in model.variables] == [model.layers[-1].kernel.path]
    for value, variable in zip(before, network_of_teacher.variables, strict=True):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(variable))


def test_a_teacher_of_other_images_reads_the_students_where_its_layers_can():
    """To the bit as a network that is built for that size; a dense layer of the map cannot."""
    networks = [tiny_network(None, (side, side, 3), CLASSES) for side in (12, 4)]
    networks[1].set_weights(networks[0].get_weights())
    x, given = images(), Preprocessing(4)
    teachers = [Teacher(trained(model), given, TEMPERATURE, WEIGHT) for model in networks]
    answers = [keras.ops.convert_to_numpy(teacher.logits(x)) for teacher in teachers]
    np.testing.assert_array_equal(*answers)
    other = network(1, shape=(12, 12, 3))
    with pytest.raises(ValueError, match=r"shape \(4, 4, 3\), .*takes \(12, 12, 3\) alone \(.+\)$"):
        Teacher(trained(other), given, TEMPERATURE, WEIGHT)


@pytest.mark.parametrize("mean", [0.4, (0.485, 0.456, 0.406)])
def test_a_teacher_gets_images_as_it_was_trained_on_them(mean):
    model = network(2, activation=None)
    pixels = np.random.default_rng(3).uniform(size=(BATCH, *SHAPE))
    given, own = Preprocessing(4), Preprocessing(4, mean=mean, std=(0.229, 0.224, 0.225))
    teacher = Teacher(trained(model, own), given, TEMPERATURE, WEIGHT)
    answers = teacher.logits(((pixels - 0.5) / 0.5).astype("float32"))
    expected = model(((pixels - np.array(mean)) / own.std).astype("float32"), training=False)
    answers, expected = map(keras.ops.convert_to_numpy, (answers, expected))
    np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-5)
    same = Teacher(trained(model, given), Preprocessing(4, mean=(0.5,) * 3), TEMPERATURE, WEIGHT)
    x = images()
    np.testing.assert_array_equal(
        *map(keras.ops.convert_to_numpy, (same.logits(x), model(x, training=False)))
    )


@pytest.mark.slow
def test_a_distilled_run_that_dies_goes_on_bit_identical(tmp_path):
    """The teacher is standardized otherwise, and reads arrays where TensorFlow is not."""
    inputs = {"image_size": 16, "mean": 0.4, "std": 0.3}
    keras.utils.set_random_seed(5)
    teacher = tiny_network(None, (16, 16, 3), 10)
    save_preset(
        teacher,
        tmp_path / "teacher",
        Preprocessing(**inputs),
        training_examples(resolve(tiny_recipe())).info.class_names,
    )
    recipe = tiny_recipe(**{"distillation.teacher": str(tmp_path / "teacher")})
    train_tiny(recipe, tmp_path / "whole")
    train_tiny(recipe, tmp_path / "dead", die_after=5)
    train_tiny(recipe, tmp_path / "dead")
    assert_same_run(tmp_path / "whole", tmp_path / "dead")
