"""What to say of a state dict that does not fit a network."""

from collections.abc import Sequence

SHOWN = 6


class StateDictError(ValueError):
    """A state dict does not fit a network; nothing was loaded.

    Attributes:
        missing: names that the network needs and the state dict has not.
        unexpected: names that the network has no place for.
        misshaped: ``"name is (…), must be (…)"`` for entries of another shape.
    """

    def __init__(
        self,
        found: str,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        misshaped: Sequence[str] = (),
    ):
        self.missing, self.unexpected = list(missing), list(unexpected)
        self.misshaped = list(misshaped)
        kinds = {"missing": missing, "unexpected": unexpected, "wrongly shaped": misshaped}
        parts = [_part(kind, names) for kind, names in kinds.items() if names]
        super().__init__(
            "`state_dict` must fit the network; nothing was loaded. "
            f"It is of {found}. {'; '.join(parts)}"
        )


def _part(kind: str, names: Sequence[str]) -> str:
    rest = f", … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{kind} ({len(names)}): {', '.join(names[:SHOWN])}{rest}"
