"""What every tool checks of its command line first."""

import pytest
from absl import flags

from tools.command_line import check_flags, require


@pytest.fixture
def given():
    """Three flags of a command line of their own, of which the last has no value."""
    values = flags.FlagValues()
    run, out, data = (
        flags.DEFINE_string(name, None, "Help.", flag_values=values)
        for name in ("run", "out", "data")
    )
    values(["tool", "--run=a", "--out=b"])
    return run, out, data


def test_flags_alone_with_all_that_is_required_pass(given):
    run, out, _ = given
    check_flags(["tool"], run, out)
    check_flags(["tool"])


def test_other_arguments_are_named(given):
    with pytest.raises(ValueError, match=r"^Arguments must be flags. Received: x y$"):
        check_flags(["tool", "x", "y"], *given)


def test_all_that_is_required_is_named(given):
    run, out, data = given
    with pytest.raises(ValueError, match=r"^`--data` is required.$"):
        require(data)
    with pytest.raises(ValueError, match=r"^`--run` and `--data` are required.$"):
        check_flags(["tool"], run, data)
    with pytest.raises(ValueError, match=r"^`--run`, `--out` and `--data` are required.$"):
        require(run, out, data)
