import keras
import numpy as np
import pytest

from srm_keras.export import ExportError
from srm_keras.export.bounds import Bound, Kind, exact_bound, lossy_bound, output_kind
from srm_keras.export.parity import Parity, compare
from srm_keras.export.pipeline import Exportable, Format, export
from srm_keras.export.runners import keras_runner
from tests.support.weights import feature_map, randomize

SAMPLES = np.arange(70, dtype="float32").reshape(70, 1)


def scores(samples):
    return np.concatenate([samples, -samples], axis=1)


def test_every_sample_counts_in_whatever_batch_it_is():
    sizes = []

    def off_by_a_little(samples):
        sizes.append(len(samples))
        return scores(samples) + np.where(samples == 69, [[0.5, 0.0]], 0.0)

    parity = compare(scores, off_by_a_little, SAMPLES)

    assert sizes == [32, 32, 6]
    assert parity.samples == 70
    assert parity.max_error == 0.5
    assert parity.mean_error == pytest.approx(0.5 / 140)
    assert parity.max_output == 69
    assert parity.top1_agreement == 1.0


def test_top1_agreement_is_the_share_of_equal_winners():
    parity = compare(scores, lambda x: np.where(x < 7, -scores(x), scores(x)), SAMPLES)
    # Both scores of sample 0 are 0; samples 1 to 6 have their scores exchanged.
    assert parity.top1_agreement == pytest.approx(64 / 70)


def test_maps_have_no_top1_agreement():
    parity = compare(lambda x: x[:, None, None], lambda x: x[:, None, None], SAMPLES)
    assert parity.top1_agreement is None
    assert parity.max_error == 0


@pytest.mark.parametrize(
    ("max_error", "max_output", "within"),
    [
        (1e-5, 0.9, True),
        (2e-5, 0.9, False),
        (1e-3, 200.0, True),
        (3e-3, 200.0, False),
        (float("nan"), 0.9, False),
    ],
)
def test_the_bound_is_absolute_up_to_outputs_of_1_and_relative_beyond(
    max_error, max_output, within
):
    parity = Parity(1, max_error, max_error, max_output, None, 0.0, max_error)
    assert parity.within(Bound(max_error=1e-5)) == within


@pytest.mark.parametrize(("snr_db", "within"), [(25.1, True), (24.9, False), (float("nan"), False)])
def test_the_other_bound_is_a_signal_to_noise_ratio(snr_db, within):
    parity = Parity(1, 1.0, 1.0, 1.0, None, snr_db, 1.0)
    assert parity.within(Bound(min_snr_db=25)) == within
    assert not parity.within(Bound(max_error=1e-5, min_snr_db=25))
    assert parity.within(Bound())


def test_nan_outputs_are_never_within():
    parity = compare(scores, lambda x: scores(x) * np.nan, SAMPLES)
    assert not parity.within(Bound(max_error=1e9))
    assert not parity.within(Bound(min_snr_db=0))


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"same shape. Received: \(70, 2\) and \(70, 1\)"):
        compare(scores, lambda x: x, SAMPLES)


def logits(samples):
    return np.concatenate([np.sin(samples), np.cos(samples), samples / 70], axis=1)


def softmax(x):
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def noisy(samples):
    return logits(samples) + 0.01 * np.cos(7 * samples * np.arange(1, 4)) + 5.0


def test_the_ratio_is_that_of_the_logits_whether_probabilities_or_logits_are_compared():
    of_logits = compare(logits, noisy, SAMPLES, kind=Kind.LOGITS).snr_db
    of_probabilities = compare(
        lambda x: softmax(logits(x)), lambda x: softmax(noisy(x)), SAMPLES
    ).snr_db
    signal, other = (f(SAMPLES) - f(SAMPLES).mean(axis=1, keepdims=True) for f in (logits, noisy))
    expected = 10 * np.log10(np.var(signal) / np.var(signal - other))
    assert of_logits == pytest.approx(expected, abs=0.05)
    assert of_probabilities == pytest.approx(expected, abs=0.05)
    assert 30 < expected < 50


def test_logits_can_be_read_from_elsewhere():
    coarse = compare(
        lambda x: softmax(logits(x)),
        lambda x: np.rint(softmax(noisy(x)) * 4) / 4,
        SAMPLES,
        candidate_logits=noisy,
    )
    of_logits = compare(logits, noisy, SAMPLES, kind=Kind.LOGITS).snr_db
    assert coarse.snr_db == pytest.approx(of_logits, abs=1e-6)
    assert coarse.max_error > 0.05


def test_equal_outputs_have_the_largest_ratio():
    assert compare(logits, logits, SAMPLES).snr_db == 300


def test_what_goes_through_no_softmax_is_measured_about_its_mean_over_samples():
    """And a constant that is added to all of it is an error."""
    for of in (lambda x: x % 7, lambda x: np.concatenate([x, x % 5, np.sin(x)], axis=1)):
        expected = of(SAMPLES.astype("float64"))
        found = compare(of, lambda x, of=of: of(x) + 3.0, SAMPLES)
        signal = ((expected - expected.mean(axis=0)) ** 2).sum()
        assert found.snr_db == pytest.approx(10 * np.log10(signal / (9 * expected.size)), abs=1e-4)
        worst = np.square(expected - expected.mean(axis=0)).sum(axis=1).mean()
        expected_worst = 10 * np.log10(worst / (9 * expected.shape[1]))
        assert found.worst_db == pytest.approx(expected_worst, abs=1e-4)


def test_maps_are_measured_about_the_mean_of_their_channel():
    maps = np.random.default_rng(0).normal([100.0, -50.0], [1.0, 2.0], (6, 4, 5, 2))
    found = compare(lambda x: maps, lambda x: maps + 1.0, maps)
    signal = np.square(maps - maps.mean(axis=(0, 1, 2))).sum()
    assert found.snr_db == pytest.approx(10 * np.log10(signal / maps.size), abs=1e-6)
    assert found.snr_db < 5


def test_one_wrong_sample_of_many_shows():
    """0.9 for 0.1 on one of 400: 26 dB all together, none in that one."""
    scores = np.tile([[0.1], [0.9]], (200, 1))
    wrong = scores.copy()
    wrong[0] = 0.9
    found = compare(lambda x: scores, lambda x: wrong, scores[:1])
    assert found.within(Bound(min_snr_db=20))
    assert found.worst_db == pytest.approx(10 * np.log10(0.4**2 / 0.8**2), abs=1e-6)
    assert not found.within(lossy_bound(20))


def test_of_answers_as_large_a_share_may_change_as_the_errors_are_of_the_signal():
    right = softmax(logits(SAMPLES))
    for bound, changes in ((lossy_bound(20), 7), (lossy_bound(40), 1), (lossy_bound(60), 1)):
        for changed in (changes, changes + 1):
            parity = Parity(70, 0, 0, 1, 1 - changed / 70, 300, 0, Kind.PROBABILITIES, 300)
            assert parity.within(bound.of(Kind.PROBABILITIES)) == (changed == changes)
            assert parity.within(bound.of(Kind.VALUES))
    swapped = compare(lambda x: right, lambda x: right[:, [1, 0, 2]], SAMPLES[:1])
    assert swapped.top1_agreement < 0.5


def test_probabilities_that_no_longer_sum_to_1_are_not_centred():
    right = softmax(logits(SAMPLES))
    halved = compare(lambda x: right, lambda x: right / 2, SAMPLES[:1])
    assert halved.kind is Kind.PROBABILITIES
    assert halved.snr_db < 10


@pytest.mark.parametrize(("scale", "within"), [(1e-9, False), (1e-13, True)])
def test_small_outputs_are_held_to_a_part_of_the_largest(scale, within):
    """Of outputs of 1e-6 an absolute 1e-5 would pass zeros."""
    small = compare(lambda x: 1e-6 * np.sin(x), lambda x: 1e-6 * np.sin(x) + scale, SAMPLES)
    assert small.within(exact_bound(None)) == within
    assert not compare(lambda x: 1e-6 * np.sin(x), lambda x: 0 * x, SAMPLES).within(
        exact_bound(None)
    )


def network(head, name="n"):
    """From images of 0 to 255 to what ``head`` makes of their four features."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Rescaling(1 / 100)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", padding="same")(x)
    model = keras.Model(inputs, head(x), name=name)
    randomize(model, seed=2)
    return model


def dense(units, activation=None):
    return lambda x: keras.layers.Dense(units, activation=activation)(
        keras.layers.GlobalAveragePooling2D()(x)
    )


def painted(x):
    return keras.layers.Rescaling(60.0, 100.0)(keras.layers.Conv2D(3, 1)(x))


HEADS = {
    "one score": (dense(1, "sigmoid"), Kind.VALUES),
    "independent scores": (dense(5, "sigmoid"), Kind.VALUES),
    "regression": (dense(1), Kind.VALUES),
    "features": (keras.layers.GlobalAveragePooling2D(), Kind.VALUES),
    "maps": (keras.layers.Conv2D(5, 3), Kind.VALUES),
    "scores": (dense(5), Kind.SCORES),
    "probabilities": (dense(5, "softmax"), Kind.PROBABILITIES),
    "softmax layer": (lambda x: keras.layers.Softmax()(dense(5)(x)), Kind.PROBABILITIES),
    "masks": (keras.layers.Conv2D(2, 3, activation="softmax"), Kind.PROBABILITIES),
    "pictures": (painted, Kind.PICTURES),
}
WRONG = {
    "shifted": lambda x: x + 0.4 * np.abs(x).max(),
    "one value for all": lambda x: np.broadcast_to(x.mean(axis=0, keepdims=True), x.shape),
    "halved": lambda x: x / 2,
    "exchanged samples": lambda x: x[::-1],
}
PHOTOS = 127.5 + 40 * feature_map((24, 8, 8, 3), seed=5)


@pytest.mark.parametrize("head", HEADS)
def test_every_kind_of_output_can_fail_the_check(head, tmp_path):
    make, kind = HEADS[head]
    model = network(make)
    samples = np.clip(PHOTOS * np.linspace(0.1, 1.5, 24)[:, None, None, None], 0, 255)
    samples = samples.astype("float32")
    right = keras_runner(model)(samples)
    assert output_kind(model, samples, right, named=head == "scores") is kind

    def exported(name, bound, given):
        """A file that gives ``given`` in place of ``right``."""
        batches = {len(right): given, 1: given[:1]}
        form = Format(
            "fake",
            lambda network, path: path.write_bytes(b"x"),
            lambda path: lambda x: batches[len(x)],
            bound,
            named=head == "scores",
        )
        return export(Exportable(model, samples), tmp_path / name, form, fold=False)

    for bound in (exact_bound(None), lossy_bound(20)):
        assert exported("right", bound, right * (1 + 1e-7)).parity.kind is kind
        for name, change in WRONG.items():
            with pytest.raises(ExportError, match="was not written: its "):
                exported(name, bound, change(right))


@pytest.mark.parametrize(("off", "within"), [(0.2, True), (0.3, False)])
def test_pictures_are_held_to_a_quarter_of_a_grey_level(off, within, tmp_path):
    model = network(painted)
    run = keras_runner(model)
    form = Format(
        "fake", lambda network, path: path.write_bytes(b"x"), lambda path: lambda x: run(x) + off
    )
    samples = np.clip(PHOTOS, 0, 255).astype("float32")
    if not within:
        with pytest.raises(
            ExportError, match=r"by up to 0.3 grey levels of 255 on 24 .* than 0.25"
        ):
            export(Exportable(model, samples), tmp_path / "file", form, fold=False)
        return
    report = export(Exportable(model, samples), tmp_path / "file", form, fold=False)
    assert report.bound == Bound(max_grey_levels=0.25)
    assert "at most 0.25 grey levels (80 % used)" in (tmp_path / "report.md").read_text()
    assert "80 % of the bound" in str(report)


def test_samples_that_tell_nothing_are_refused_before_anything_is_written(tmp_path):
    form = Format("fake", lambda *_: pytest.fail("written"), keras_runner, lossy_bound(20))
    for samples in (SAMPLES[:1], np.ones((5, 1), "float32")):
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
        with pytest.raises(ValueError, match="`samples` must be at least two for which"):
            export(Exportable(model, samples), tmp_path / "file", form, fold=False)
    assert not list(tmp_path.iterdir())
