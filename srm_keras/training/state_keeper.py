"""Exact checkpoints, and the ends that a run may come to before its last step."""

import math
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any

import keras

from srm_keras.training.checkpoint import Arrays, Checkpoint, TrainingState, not_finite
from srm_keras.training.distribution import running_loss

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

    To read a loss is to wait for the device. So it is read every ``LOOK_EVERY`` updates and before
    anything is saved: it is a running mean, which stays NaN or infinite from the first batch on
    that was. What there is to do after an update is done where the next one begins, at which Keras
    gives no logs: where a callback takes them at the end of a batch, Keras on JAX reads them there.

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
        question: As ``any_worker``, asked after every update, and answered without waiting.
    """

    LOOK_EVERY = 50

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
        question: Callable[[bool], bool],
    ):
        super().__init__()
        self.state = state
        self.steps_per_epoch = steps_per_epoch
        self.every = every
        self.save = save
        self.progress = progress
        self.stop = stop
        self.any_worker = any_worker
        self.question = question
        self.resumed = resumed
        self.hint = hint
        self._arrays: Arrays | None = None
        self.step = 0 if resumed is None else resumed.step
        self._epoch_began = self._epoch_ends = self._looked = self.step

    def on_epoch_begin(self, epoch, logs=None):
        """Puts the state back, once: ``fit`` has built all variables and reset the metrics."""
        self._epoch_began = self._looked = self.step
        self._epoch_ends = (epoch + 1) * self.steps_per_epoch
        if self.resumed is None:
            return
        self._synchronized()
        self.state.write(self.resumed.arrays)
        if self.resumed.step % self.steps_per_epoch:
            self.state.write_metrics(self.resumed.arrays)
        self.resumed = None

    def on_train_batch_begin(self, batch, logs=None):
        """After the update before: looks at the loss and saves, if it is time to or the end."""
        if batch == 0:
            return
        self.step = self._epoch_began + batch
        stopping = self.question(self.stop.signal is not None)
        saving = stopping or (self.every > 0 and self.step % self.every == 0)
        if saving or self.step // self.LOOK_EVERY > self._looked // self.LOOK_EVERY:
            self.look()
        if saving:
            self._save()
        if stopping:
            raise Interrupted(self.step, self.stop.signal, self.hint)

    def end_epoch(self) -> None:
        """Looks at the loss of a whole epoch, which the evaluation would overwrite."""
        self.step = self._epoch_ends
        self.look()

    def look(self) -> None:
        """Raises ``FloatingPointError`` if the loss is not finite, on whatever worker."""
        loss = running_loss(self._synchronized())
        if self.any_worker(not math.isfinite(loss)):
            first, last = self._looked + 1, self.step
            when = f"at step {last}" if first == last else f"between steps {first} and {last}"
            what = "infinite or NaN on another worker" if math.isfinite(loss) else loss
            raise FloatingPointError(f"The loss became {what} {when}. {_ADVICE}")
        self._looked = self.step

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
        self.step = self._epoch_ends
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
    """Stops a run that is not finite any more before it is evaluated and anything is written.

    Ahead of all other callbacks.

    Args:
        keeper: What saves the state, at the end of the epoch.
    """

    def __init__(self, keeper: StateKeeper):
        super().__init__()
        self.keeper = keeper

    def on_test_begin(self, logs=None):
        """Looks at the loss of the epoch."""
        self.keeper.end_epoch()

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the state (weights, velocities, averages) and at all that was measured."""
        self.keeper.read()
        self.keeper.check(logs or {})
