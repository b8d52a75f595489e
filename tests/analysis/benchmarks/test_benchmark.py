import json

import pytest

from tools.studies.timing import Timing, environment, interleave, ratios


class Machine:
    """Steps that take a known time on a clock of their own."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def step(self, name, *seconds):
        remaining = iter(seconds)

        def run():
            self.log.append(name)
            self.now += next(remaining)

        return run

    def clock(self):
        return self.now


def test_times_are_those_of_each_step_without_the_warmup():
    machine = Machine()
    steps = {
        "a": machine.step("a", 9.0, 0.001, 0.003, 0.002),
        "b": machine.step("b", 9.0, 0.004, 0.004, 0.008),
    }
    timings = interleave(steps, rounds=3, warmup=1, clock=machine.clock)
    assert timings["a"].milliseconds == pytest.approx((1, 3, 2))
    assert timings["b"].milliseconds == pytest.approx((4, 4, 8))
    assert ratios(timings, "a") == {"a": 1.0, "b": 2.0}


def test_every_round_runs_all_steps_and_starts_with_the_next():
    machine = Machine()
    steps = {name: machine.step(name, *[1.0] * 4) for name in "abc"}
    interleave(steps, rounds=3, warmup=1, clock=machine.clock)
    assert "".join(machine.log) == "abc" + "bca" + "cab" + "abc"


def test_timing_in_numbers():
    timing = Timing((5.0, 1.0, 2.0, 4.0, 3.0))
    assert timing.to_dict() == {
        "median_ms": 3.0,
        "lower_quartile_ms": 2.0,
        "upper_quartile_ms": 4.0,
        "minimum_ms": 1.0,
        "maximum_ms": 5.0,
    }
    assert Timing((2.0,)).quartiles == (2.0, 2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": {}}, "`steps` must name at least one step"),
        ({"rounds": 0}, "`rounds` must be a positive integer"),
        ({"warmup": 0}, "`warmup` must be a positive integer"),
    ],
)
def test_bad_arguments_run_nothing(arguments, message):
    def never():
        raise AssertionError("ran")

    with pytest.raises(ValueError, match=message):
        interleave(**{"steps": {"a": never}, **arguments})


def test_bad_baseline():
    with pytest.raises(ValueError, match="`baseline` must be one of"):
        ratios({"a": Timing((1.0,))}, "b")


def test_environment_is_json_and_names_the_machine():
    facts = json.loads(json.dumps(environment()))
    assert facts["cores"] >= facts["usable_cores"] >= 1
    assert facts["processor"]
    assert {"date", "keras", "tensorflow", "intra_op_threads", "inter_op_threads"} <= facts.keys()
