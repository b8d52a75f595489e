"""Ending a run on a signal, at a step from which it can go on."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def how_to_go_on(overwrite: bool) -> str:
    """What to do about a run that was stopped: ``overwrite``, given again, would remove it."""
    return f"the same command{' without `overwrite`' if overwrite else ''} goes on"


class Interrupted(Exception):  # noqa: N818 - no error: the run can go on
    """The run was asked to stop, saved its state, and stopped.

    Attributes:
        step: Number of updates done.
        signal: The signal that asked for it, or None where another worker received it.
    """

    def __init__(self, step: int, signal_number: int | None, hint: str):
        cause = "another worker" if signal_number is None else signal.Signals(signal_number).name
        super().__init__(f"Stopped by {cause} after step {step}, which is saved; {hint}")
        self.step = step
        self.signal = signal_number


class StopRequest:
    """Notes SIGTERM and SIGINT (Ctrl-C) instead of dying of them; a context manager.

    A second signal of the same kind does what it would have done without this. Outside the main
    thread, where Python allows no handlers, nothing is noted.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in list(self._before):
            self._restore(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore(number)

    def _restore(self, number: int) -> None:
        if number in self._before:
            signal.signal(number, self._before.pop(number))  # type: ignore[arg-type]
