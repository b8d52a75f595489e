"""What the tools ask of their command lines."""

from collections.abc import Sequence

from absl import flags


def check_flags(argv: Sequence[str], *required: flags.FlagHolder) -> None:
    """Check the command line of a tool that takes flags alone.

    Args:
        argv: what ``main`` gets: the name of the program and the arguments that are no flags.
        required: flags that must have a value.

    Raises:
        ValueError: there are other arguments, or a required flag has no value.
    """
    if len(argv) > 1:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(argv[1:])}")
    require(*required)


def require(*required: flags.FlagHolder) -> None:
    """Raise ``ValueError`` unless each of the flags has a value."""
    if all(flag.value for flag in required):
        return
    *others, last = [f"`--{flag.name}`" for flag in required]
    if not others:
        raise ValueError(f"{last} is required.")
    raise ValueError(f"{', '.join(others)} and {last} are required.")
