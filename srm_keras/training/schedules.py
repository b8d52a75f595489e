"""Learning rates as functions of the number of the update, and the fields that ask for them."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule
from ml_collections import config_dict

from srm_keras.support.validation import positive_int
from srm_keras.training.fields import (
    Field,
    are_milestones,
    integer,
    is_number,
    is_positive,
    one_of,
)

SCHEDULES = ("step", "cosine", "restarts", "polynomial", "one_cycle")

RATE_FIELDS: dict[str, Field] = {
    "learning_rate.base": Field(0.1, is_positive, "a positive number"),
    "learning_rate.reference_batch_size": Field(
        0,
        integer(0),
        "the batch size that `learning_rate.base` is for, to scale it linearly, or 0",
    ),
    "learning_rate.schedule": Field("step", one_of(*SCHEDULES), f"one of {SCHEDULES}"),
    "learning_rate.milestones": Field(
        (), are_milestones, "a tuple of increasing positive integers (optimizer updates)"
    ),
    "learning_rate.factor": Field(
        0.1, lambda value: is_number(value) and 0 < value <= 1, "a number in (0, 1]"
    ),
    "learning_rate.end_factor": Field(
        0.0, lambda value: is_number(value) and 0 <= value <= 1, "a number in [0, 1]"
    ),
    "learning_rate.power": Field(1.0, is_positive, "a positive number (of the polynomial)"),
    "learning_rate.cycle_steps": Field(
        0, integer(0), "the number of optimizer updates of the first cycle, or 0 without restarts"
    ),
    "learning_rate.cycle_factor": Field(
        2, integer(1), "a positive integer (each cycle is so many times as long as the last)"
    ),
    "learning_rate.cycle_decay": Field(
        1.0, lambda value: is_number(value) and 0 < value <= 1, "a number in (0, 1]"
    ),
    "learning_rate.start_factor": Field(
        0.04, lambda value: is_number(value) and 0 < value <= 1, "a number in (0, 1]"
    ),
    "learning_rate.rise_steps": Field(
        0, integer(0), "a number of optimizer updates, or 0 for: 3 tenths of `steps`"
    ),
    "learning_rate.warmup_steps": Field(0, integer(0), "a non-negative integer"),
}
"""What every kind of training takes of its learning rate."""

RATE_IN_UPDATES = tuple(
    f"learning_rate.{name}" for name in ("milestones", "cycle_steps", "rise_steps", "warmup_steps")
)
"""Those that count in optimizer updates."""


@keras.saving.register_keras_serializable("srm_keras")
class StepDecay(LearningRateSchedule):
    """``rate(k) = base * factor ** (number of milestones <= k)`` for update k = 0, 1, ...

    As ``torch.optim.lr_scheduler.MultiStepLR`` advanced once an update: update number
    ``milestone`` is the first with the smaller rate. No milestones: a constant rate.

    Args:
        base: The first learning rate, a positive float.
        milestones: Increasing update numbers at which the rate is multiplied by ``factor``.
        factor: A float in (0, 1].

    Reference: Lee et al. 2019, section 4.1 (0.2, divided by 10 at 32,000 and 48,000).
    """

    def __init__(self, base: float, milestones: Sequence[int] = (), factor: float = 0.1):
        super().__init__()
        self.base = float(base)
        self.milestones = tuple(positive_int("milestones", step) for step in milestones)
        self.factor = float(factor)

    def __call__(self, step):
        """The learning rate of update ``step``, a float32 scalar."""
        rate = ops.convert_to_tensor(self.base, "float32")
        for drops, milestone in enumerate(self.milestones, start=1):
            passed = ops.cast(step, "int32") >= milestone
            rate = ops.where(passed, self.base * self.factor**drops, rate)
        return rate

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        return {"base": self.base, "milestones": list(self.milestones), "factor": self.factor}


@keras.saving.register_keras_serializable("srm_keras")
class WarmUp(LearningRateSchedule):
    """A schedule whose first updates are scaled by a linear ramp.

    ``rate(k) = schedule(k) * min(1, (k + 1) / warmup_steps)`` for update k = 0, 1, ...

    Args:
        schedule: The ``LearningRateSchedule`` that is scaled.
        warmup_steps: The number of updates until the ramp reaches 1; a positive integer.

    Raises:
        ValueError: If ``warmup_steps`` is not positive.

    Reference: Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2.
    """

    def __init__(self, schedule: LearningRateSchedule, warmup_steps: int):
        super().__init__()
        self.schedule = schedule
        self.warmup_steps = positive_int("warmup_steps", warmup_steps)

    def __call__(self, step):
        """The learning rate of update ``step``, a float32 scalar."""
        ramp = (ops.cast(step, "float32") + 1.0) / self.warmup_steps
        return self.schedule(step) * ops.minimum(ramp, 1.0)

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        return {
            "schedule": keras.optimizers.schedules.serialize(self.schedule),
            "warmup_steps": self.warmup_steps,
        }

    @classmethod
    def from_config(cls, config: dict) -> "WarmUp":
        """The inverse of ``get_config``."""
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["warmup_steps"])


def cosine_decay(base: float, steps: int, end_factor: float = 0.0) -> LearningRateSchedule:
    """Half a cosine from ``base`` to ``end_factor * base``, which it has from update ``steps`` on.

    Without ``end_factor``: ``base * (1 + cos(pi * k / steps)) / 2`` at update k.
    """
    return keras.optimizers.schedules.CosineDecay(base, decay_steps=steps, alpha=end_factor)


@keras.saving.register_keras_serializable("srm_keras")
class WarmRestarts(LearningRateSchedule):
    """Cosine decays one after another, each of which begins high again (SGDR).

    In cycle i, at update t of its T_i = ``cycle_steps * cycle_factor ** i``: ``rate = end + (base -
    end) * cycle_decay ** i * (1 + cos(pi * t / T_i)) / 2`` with ``end = end_factor * base``.

    As ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` advanced once an update. Keras'
    ``CosineDecayRestarts`` has the same formula; it finds the number of the cycle by a logarithm
    in float32, and some restarts come an update late (docs/decisions.md).

    Args:
        base: The rate that every cycle begins with, a positive float.
        cycle_steps: Updates of the first cycle, a positive integer.
        cycle_factor: How many times as long each cycle is as the last, a positive integer.
        cycle_decay: What the height of each cycle is multiplied by to get the next one's.
        end_factor: The rate that every cycle ends at, as a part of ``base``.

    Raises:
        ValueError: If ``cycle_steps`` or ``cycle_factor`` is no positive integer.

    Reference: Loshchilov and Hutter 2017, "SGDR", equation 5.
    """

    def __init__(
        self,
        base: float,
        cycle_steps: int,
        cycle_factor: int = 2,
        cycle_decay: float = 1.0,
        end_factor: float = 0.0,
    ):
        super().__init__()
        self.base = float(base)
        self.cycle_steps = positive_int("cycle_steps", cycle_steps)
        self.cycle_factor = positive_int("cycle_factor", cycle_factor)
        self.cycle_decay = float(cycle_decay)
        self.end_factor = float(end_factor)

    def __call__(self, step):
        """The learning rate of update ``step``, a float32 scalar."""
        cycle, done, length = self._place(ops.cast(step, "int32"))
        end = self.end_factor * self.base
        decay = ops.convert_to_tensor(self.cycle_decay, "float32") ** ops.cast(cycle, "float32")
        fraction = ops.cast(done, "float32") / ops.cast(length, "float32")
        return _half_cosine(end + (self.base - end) * decay, end, fraction)

    def _place(self, step):
        """The number of the cycle, the updates of it that are done, and its length; int32."""
        if self.cycle_factor == 1:
            return step // self.cycle_steps, step % self.cycle_steps, self.cycle_steps
        begins, lengths, length = [0], [], self.cycle_steps
        while begins[-1] + length < np.iinfo("int32").max:
            begins.append(begins[-1] + length)
            lengths.append(length)
            length *= self.cycle_factor
        table = np.array([begins, [*lengths, np.iinfo("int32").max]], "int32")
        begins, lengths = ops.convert_to_tensor(table[0]), ops.convert_to_tensor(table[1])
        cycle = ops.sum(ops.cast(step >= begins, "int32")) - 1
        return cycle, step - ops.take(begins, cycle), ops.take(lengths, cycle)

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        names = ("base", "cycle_steps", "cycle_factor", "cycle_decay", "end_factor")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("srm_keras")
class OneCycle(LearningRateSchedule):
    """Half a cosine up from ``start_factor * base`` to ``base``, and half a one down from there.

    Update number ``rise_steps - 1`` is the one with the rate ``base``, the last, ``steps - 1``,
    that with ``end_factor * base``: the rate of ``torch.optim.lr_scheduler.OneCycleLR`` with
    ``pct_start = rise_steps / steps``. The momentum is not cycled.

    Args:
        base: The highest rate, a positive float.
        steps: Updates of the whole cycle, a positive integer.
        rise_steps: Those in which the rate rises; a positive number of at most ``steps``, which
            need not be whole.
        start_factor: The first rate as a part of ``base``.
        end_factor: The last rate as a part of ``base``.

    Raises:
        ValueError: If ``steps`` or ``rise_steps`` is out of range.

    Reference: Smith and Topin 2019, "Super-Convergence", with torch's cosines.
    """

    def __init__(
        self,
        base: float,
        steps: int,
        rise_steps: float,
        start_factor: float = 0.04,
        end_factor: float = 0.0,
    ):
        super().__init__()
        self.base = float(base)
        self.steps = positive_int("steps", steps)
        self.rise_steps = float(rise_steps)
        if not 0 < self.rise_steps <= steps:
            raise ValueError(
                f"`rise_steps` must be positive and at most steps={steps}. "
                f"Received: rise_steps={rise_steps}"
            )
        self.start_factor = float(start_factor)
        self.end_factor = float(end_factor)

    def __call__(self, step):
        """The learning rate of update ``step``, a float32 scalar."""
        step = ops.cast(step, "float32")
        top = max(0.0, self.rise_steps - 1)
        start, end = self.start_factor * self.base, self.end_factor * self.base
        rising = _half_cosine(start, self.base, step / max(1.0, top))
        fallen = (step - top) / max(1.0, self.steps - 1 - top)
        falling = _half_cosine(self.base, end, ops.minimum(fallen, 1.0))
        return ops.where(step < top, rising, falling)

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        names = ("base", "steps", "rise_steps", "start_factor", "end_factor")
        return {name: getattr(self, name) for name in names}


def _half_cosine(first: Any, last: Any, fraction: Any) -> Any:
    """From ``first`` at the fraction 0 to ``last`` at 1; float32 scalars."""
    return last + (first - last) * (1.0 + ops.cos(math.pi * fraction)) / 2.0


RISING = 0.3
"""The part of the updates in which the rate of ``OneCycle`` rises, where a recipe does not say."""


def make_schedule(recipe: config_dict.ConfigDict) -> LearningRateSchedule:
    """The learning rate of every update, from the recipe's ``learning_rate`` and ``steps``.

    With ``learning_rate.reference_batch_size``, the rate grows linearly with ``batch_size`` (Goyal
    et al. 2017, section 2.1).
    """
    rate, steps = recipe.learning_rate, recipe.steps
    scale = recipe.batch_size / rate.reference_batch_size if rate.reference_batch_size else 1.0
    base, end_factor = rate.base * scale, rate.end_factor
    schedule: LearningRateSchedule
    if rate.schedule == "cosine":
        schedule = cosine_decay(base, steps, end_factor)
    elif rate.schedule == "restarts":
        lengths = rate.cycle_steps, rate.cycle_factor
        schedule = WarmRestarts(base, *lengths, rate.cycle_decay, end_factor)
    elif rate.schedule == "polynomial":
        schedule = keras.optimizers.schedules.PolynomialDecay(
            base, steps, end_learning_rate=end_factor * base, power=rate.power
        )
    elif rate.schedule == "one_cycle":
        rise_steps = rate.rise_steps or RISING * steps
        schedule = OneCycle(base, steps, rise_steps, rate.start_factor, end_factor)
    else:
        schedule = StepDecay(base, rate.milestones, rate.factor)
    return WarmUp(schedule, rate.warmup_steps) if rate.warmup_steps else schedule


def rate_problems(recipe: config_dict.ConfigDict) -> list[str]:
    """What is wrong with ``RATE_FIELDS`` that only make sense together, in words."""
    steps, rate = recipe.steps, recipe.learning_rate
    problems = []
    if rate.schedule == "step" and rate.milestones and rate.milestones[-1] >= steps:
        problems.append(
            f"`learning_rate.milestones` must be below steps={steps}. "
            f"Received: learning_rate.milestones={rate.milestones}"
        )
    if rate.schedule == "restarts" and not 0 < rate.cycle_steps <= steps:
        problems.append(
            "`learning_rate.cycle_steps` must be positive and at most "
            f"steps={steps} with schedule='restarts'. "
            f"Received: learning_rate.cycle_steps={rate.cycle_steps}"
        )
    if rate.schedule == "one_cycle" and rate.rise_steps >= steps:
        problems.append(
            f"`learning_rate.rise_steps` must be below steps={steps}. "
            f"Received: learning_rate.rise_steps={rate.rise_steps}"
        )
    if rate.warmup_steps > steps:
        problems.append(
            f"`learning_rate.warmup_steps` must be at most steps={steps}. "
            f"Received: learning_rate.warmup_steps={rate.warmup_steps}"
        )
    return problems
