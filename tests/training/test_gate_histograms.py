import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from srm_keras.analysis.gates.histograms import BINS
from srm_keras.support.files import read_csv
from srm_keras.training import GateHistograms
from tests.support.gated_network import LAYERS, gated_network, gates_of, images

IMAGES = images(70)  # more than are counted at once
TABLE, PICTURE = "gates_over_training.csv", "gates_over_training.png"


class Moving(keras.callbacks.Callback):
    """Gives the CFC the weights that it has in an epoch, and remembers the gates at its end."""

    def __init__(self):
        super().__init__()
        self.gates = {}

    def on_epoch_begin(self, epoch, logs=None):
        kernel = self.model.get_layer(LAYERS[0]).trainable_variables[0]
        kernel.assign(np.random.default_rng(epoch).normal(size=kernel.shape))

    def on_epoch_end(self, epoch, logs=None):
        self.gates[epoch + 1] = gates_of(self.model, IMAGES)


def fit(folder, epochs, initial_epoch=0, spec="srm", **options):
    """A `fit` that is over at once: a step an epoch, which changes nothing."""
    keras.utils.set_random_seed(0)
    model = gated_network(spec)
    model.trainable = True
    model.compile(keras.optimizers.SGD(0.0), "mse")
    moving = Moving()
    x, y = images(2), np.zeros((2, 5), "float32")
    follower = GateHistograms(IMAGES, folder, **options)
    moving_statistics = [v for v in model.non_trainable_variables if "moving" in v.name]
    fixed = [v.numpy() for v in moving_statistics]

    class Restored(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            for variable, value in zip(moving_statistics, fixed, strict=True):
                variable.assign(value)

    callbacks = [Restored(), moving, follower]
    model.fit(x, y, epochs=epochs, initial_epoch=initial_epoch, verbose=0, callbacks=callbacks)
    return moving.gates


def steps_and_counts(folder, layer):
    accumulator = event_accumulator.EventAccumulator(str(folder / "events" / "gates")).Reload()
    events = accumulator.Tensors(f"gates/{layer}")
    return [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in events]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, fit(folder, 4)


def test_the_table_counts_the_gates_after_every_epoch(whole):
    folder, gates = whole
    rows = read_csv(folder / TABLE)
    assert [(int(row["epoch"]), row["layer"]) for row in rows] == [
        (epoch, layer) for epoch in (1, 2, 3, 4) for layer in LAYERS
    ]
    for row in rows:
        values = gates[int(row["epoch"])][row["layer"]]
        counts = np.array([int(row[f"{index / BINS:.2f}"]) for index in range(BINS)])
        expected = np.histogram(values, BINS, (0, 1))[0]
        assert np.abs(counts - expected).sum() <= 4  # at the edges of intervals
        assert counts.sum() == values.size
    first, second = (row["0.50"] for row in rows[:3:2])
    assert first != second
    Image.open(folder / PICTURE).verify()


def test_tensorboard_gets_a_histogram_for_every_epoch(whole):
    folder, gates = whole
    for layer in LAYERS:
        events = steps_and_counts(folder, layer)
        assert [step for step, _ in events] == [1, 2, 3, 4]
        for step, buckets in events:
            left, right, counts = buckets.T
            mean = ((left + right) / 2 * counts).sum() / counts.sum()
            assert mean == pytest.approx(gates[step][layer].mean(), abs=0.02)


def test_a_fit_that_goes_on_ends_with_the_files_of_one_that_did_not_stop(whole, tmp_path):
    """The first one was killed when it had done an epoch more than what is gone on from."""
    fit(tmp_path, 3)
    fit(tmp_path, 4, initial_epoch=2)
    for name in (TABLE, PICTURE):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes()
    assert [step for step, _ in steps_and_counts(tmp_path, LAYERS[1])] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_fit_that_begins_anew_forgets_the_earlier_one(whole, tmp_path):
    fit(tmp_path, 1, spec="eca", every=1)
    fit(tmp_path, 4, every=2, steps_per_epoch=50)
    rows, all_rows = read_csv(tmp_path / TABLE), read_csv(whole[0] / TABLE)
    assert rows == [row for row in all_rows if row["epoch"] in ("2", "4")]
    assert [step for step, _ in steps_and_counts(tmp_path, LAYERS[0])] == [100, 200]


def test_nothing_but_the_events_needs_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    fit(tmp_path, 1)
    assert sorted(file.name for file in tmp_path.iterdir()) == [TABLE, PICTURE]


def test_gates_that_are_not_finite_stop_no_fit(tmp_path, caplog):
    model = gated_network("srm")
    kernel = model.get_layer(LAYERS[0]).trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    model.compile("sgd", "mse")
    callbacks = [GateHistograms(IMAGES, tmp_path)]
    model.fit(images(2), np.zeros((2, 5)), epochs=2, verbose=0, callbacks=callbacks)
    assert caplog.text.count(f"{PICTURE} is not drawn: `model` must have finite gates") == 2
    assert not (tmp_path / TABLE).exists()


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`images` must be a batch.*shape \(8, 8, 3\)"):
        GateHistograms(IMAGES[0], tmp_path)
    with pytest.raises(ValueError, match="`images` must be a batch"):
        GateHistograms(IMAGES[:0], tmp_path)
    with pytest.raises(ValueError, match=r"`images` must hold finite images.*70 of 70"):
        GateHistograms(IMAGES * np.float32("nan"), tmp_path)
    with pytest.raises(ValueError, match="`every` must be a positive integer"):
        GateHistograms(IMAGES, tmp_path, every=0)
    plain = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    plain.compile("sgd", "mse")
    callbacks = [GateHistograms(IMAGES, tmp_path)]
    with pytest.raises(ValueError, match="`model` must"):
        plain.fit(IMAGES, np.zeros((70, 192)), callbacks=callbacks, verbose=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace(LAYERS[0], "conv9_1"), "must not hold .* of another network"),
        (lambda text: text[: len(text) // 2], "holds a damaged gates_over_training.csv"),
    ],
    ids=["another", "damaged"],
)
def test_a_fit_does_not_go_on_from_a_table_that_is_not_its_own(whole, tmp_path, damage, message):
    text = (whole[0] / TABLE).read_text()
    (tmp_path / TABLE).write_text(damage(text))
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, 3, initial_epoch=2)
    assert (tmp_path / TABLE).read_text() == damage(text)
