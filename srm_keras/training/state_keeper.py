"""Exact checkpoints, and the ends that a run may come to before its last step."""

import math
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any

import keras

from srm_keras.training.checkpoint import Arrays, Checkpoint, TrainingState, not_finite

SIGNALS = (signal.SIGTERM, signal.SIGINT)


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


_ADVICE = (
    "The last finite checkpoint is kept; a smaller `learning_rate.base`, a longer warm-up or "
    "`optimizer.clip_norm` may help."
)


class StateKeeper(keras.callbacks.Callback):
    """Restores the training state, saves it, and stops the run when it must stop.

    The last in the list of callbacks: what it saves includes what the others did. What it saves of
    an epoch is read and found finite before the others write anything: see ``FiniteFirst``.

    Args:
        state: The training state.
        steps_per_epoch: Updates between two evaluations.
        every: Updates between two checkpoints; 0: only at evaluations.
        save: Called with a ``Checkpoint``; None where another worker saves.
        progress: What to keep beside the arrays.
        stop: Whether the run shall stop, and the signal that asked for it.
        any_worker: Whether a flag is set on any worker.
        resumed: The checkpoint to go on from, or None.
        hint: How to go on with the run after it was stopped.
    """

    def __init__(
        self,
        state: TrainingState,
        steps_per_epoch: int,
        every: int,
        save: Callable[[Checkpoint], None] | None,
        progress: Callable[[], dict[str, Any]],
        stop: StopRequest,
        any_worker: Callable[[bool], bool],
        resumed: Checkpoint | None,
        hint: str,
    ):
        super().__init__()
        self.state = state
        self.steps_per_epoch = steps_per_epoch
        self.every = every
        self.save = save
        self.progress = progress
        self.stop = stop
        self.any_worker = any_worker
        self.resumed = resumed
        self.hint = hint
        self._arrays: Arrays | None = None
        self.step = self._epoch_began = 0 if resumed is None else resumed.step

    def on_epoch_begin(self, epoch, logs=None):
        """Puts the state back, once: ``fit`` has built all variables and reset the metrics."""
        self._epoch_began = self.step
        if self.resumed is None:
            return
        self._synchronized()
        self.state.write(self.resumed.arrays)
        if self.resumed.step % self.steps_per_epoch:
            self.state.write_metrics(self.resumed.arrays)
        self.resumed = None

    def on_train_batch_end(self, batch, logs=None):
        """Stops on a loss that is not finite; saves if it is time to, or the run shall stop."""
        self.step = self._epoch_began + batch + 1
        self.check({"loss": logs["loss"]})
        if self.step % self.steps_per_epoch == 0:
            return  # the evaluation comes first
        stopping = self.any_worker(self.stop.signal is not None)
        if stopping or (self.every and self.step % self.every == 0):
            self._save()
        if stopping:
            raise Interrupted(self.step, self.stop.signal, self.hint)

    def read(self) -> Arrays:
        """Reads the state that is saved next; ``FloatingPointError`` if it is not finite."""
        self._synchronized()
        self._arrays = arrays = self.state.read()
        if not_finite(arrays):
            raise FloatingPointError(
                f"Weights became infinite or NaN at or before step {self.step}. {_ADVICE}"
            )
        return arrays

    def on_epoch_end(self, epoch, logs=None):
        """Saves, and stops if the run was asked to during the evaluation."""
        self._save()
        if self.any_worker(self.stop.signal is not None):
            raise Interrupted(self.step, self.stop.signal, self.hint)

    def _save(self) -> None:
        arrays = self._arrays or self.read()
        self._arrays = None
        if self.save is not None:
            self.save(Checkpoint(self.step, self.progress(), arrays))

    def check(self, logs: Mapping[str, Any]) -> None:
        """Raises ``FloatingPointError`` if a loss or a metric is not finite."""
        for name, value in logs.items():
            if not math.isfinite(float(value)):
                raise FloatingPointError(
                    f"The {name} became {float(value)} at step {self.step}. {_ADVICE}"
                )

    def _synchronized(self) -> keras.Model:
        """The model; asking for it makes Keras write JAX's state back to the variables."""
        return self.model


class FiniteFirst(keras.callbacks.Callback):
    """Stops a run that is not finite any more before anything of the epoch is written.

    Ahead of all callbacks that write.

    Args:
        keeper: What saves the state, at the end of the epoch.
    """

    def __init__(self, keeper: StateKeeper):
        super().__init__()
        self.keeper = keeper

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the state (weights, velocities, averages) and at all that was measured."""
        self.keeper.read()
        self.keeper.check(logs or {})
