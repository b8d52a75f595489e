import json
import statistics
from functools import partial

import numpy as np
import pytest

from srm_keras.support import timing
from srm_keras.support.timing import (
    Spread,
    environment,
    paired_times,
    round_ratios,
    timing_environment,
    with_progress,
)
from tools.studies.results import milliseconds


class Machine:
    """Steps that take known times on clocks of their own."""

    def __init__(self):
        self.log = []
        self.wall = self.cpu = 0.0

    def step(self, name, wall, cpu):
        def run():
            self.log.append(name)
            self.wall += next(wall)
            self.cpu += next(cpu)

        return run

    @property
    def clocks(self):
        return (lambda: self.wall, lambda: self.cpu)


def test_both_clocks_are_read_for_each_step_without_the_warmup():
    machine = Machine()
    steps = {
        "a": machine.step("a", iter([9.0, 0.001, 0.003]), iter([8.0, 0.001, 0.002])),
        "b": machine.step("b", iter([9.0, 0.010, 0.020]), iter([8.0, 0.005, 0.006])),
    }
    times = paired_times(steps, rounds=2, warmup=1, clocks=machine.clocks)
    assert times["a"].wall == pytest.approx((1, 3))
    assert times["a"].cpu == pytest.approx((1, 2))
    assert times["b"].wall == pytest.approx((10, 20))
    assert times["b"].cpu == pytest.approx((5, 6))


def test_every_round_runs_all_steps_in_an_order_of_its_own():
    machine = Machine()
    ones = iter(lambda: 1.0, None)
    steps = {name: machine.step(name, ones, ones) for name in "abcde"}
    paired_times(steps, rounds=20, warmup=1, clocks=machine.clocks)
    orders = ["".join(machine.log[start : start + 5]) for start in range(0, 105, 5)]
    assert len(orders) == 21
    assert {"".join(sorted(order)) for order in orders} == {"abcde"}
    assert len(set(orders)) > 10
    assert {order[0] for order in orders} == set("abcde")


def test_ratios_of_a_round_do_not_see_how_busy_the_machine_was():
    """One takes 1.5 times as long as the other; the machine grows far slower."""
    busy = [1.0, 1.0, 1.1, 40.0, 50.0]
    machine = Machine()
    steps = {
        "a": machine.step("a", iter([1.0, *busy]), iter([1.0, *busy])),
        "b": machine.step("b", iter([1.0, *(1.5 * b for b in busy)]), iter([1.0] * 6)),
    }
    times = paired_times(steps, rounds=5, warmup=1, clocks=machine.clocks)
    ratios = round_ratios(times, "b", "a")
    assert ratios.wall == pytest.approx([1.5] * 5)
    assert ratios.cpu == pytest.approx([1 / b for b in busy])
    assert round_ratios(times, "a", "a").wall == (1.0,) * 5


def test_spread_is_median_and_quartiles():
    values = tuple(np.random.default_rng(0).gamma(2.0, size=30))
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    spread = Spread.of(values)
    assert (spread.lower, spread.median, spread.upper) == pytest.approx(
        (lower, median, upper), abs=1e-4
    )
    assert Spread.of((2.0,)) == Spread(2.0, 2.0, 2.0)
    assert Spread(8.0, 4.0, 16.0) / 4 == Spread(2.0, 1.0, 4.0)


def test_timing_in_numbers():
    assert milliseconds((5.0, 1.0, 2.0, 4.0, 3.0)) == {
        "median_ms": 3.0,
        "lower_quartile_ms": 2.0,
        "upper_quartile_ms": 4.0,
        "minimum_ms": 1.0,
        "maximum_ms": 5.0,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": {}}, "`steps` must name at least one step"),
        ({"rounds": 0}, "`rounds` must be a positive integer. Received: rounds=0"),
        ({"warmup": 1.5}, "`warmup` must be a positive integer. Received: warmup=1.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_times(**{"steps": {"a": partial(pytest.fail, "ran")}, "rounds": 1, **arguments})


def test_the_baseline_must_have_been_timed():
    times = paired_times({"plain": lambda: None}, rounds=1)
    with pytest.raises(ValueError, match="did you mean 'plain'"):
        round_ratios(times, "plain", "plian")


def test_environment_is_json_and_names_the_machine():
    facts = json.loads(json.dumps(timing_environment()))
    assert facts["processors"] >= facts["usable_processors"] >= 1
    assert facts["processor"]
    assert {"date", "backend", "intra_op_threads", "inter_op_threads"} <= facts.keys()
    assert {"keras", "tensorflow"} <= facts["packages"].keys()
    assert facts.items() >= environment().items()
    assert environment(("keras", "no such package"))["packages"]["no such package"] is None


def test_a_package_under_another_name_is_found_by_its_module(monkeypatch):
    monkeypatch.setattr(timing, "_distributions", lambda: {"keras_of_mine": ["pytest"]})
    assert timing.versions(("keras_of_mine",)) == {"keras_of_mine": pytest.__version__}


def test_items_pass_through_and_slow_ones_are_told(monkeypatch, capsys):
    clock = iter([0, 1, 6, 6, 7, 12, 12])
    monkeypatch.setattr(timing.time, "monotonic", lambda: next(clock))
    assert list(with_progress("abcd", 4, "Read", "files")) == list("abcd")
    assert capsys.readouterr().err.splitlines() == ["Read 2 of 4 files", "Read 4 of 4 files"]
