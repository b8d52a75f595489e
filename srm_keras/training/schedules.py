"""Learning rates as functions of the number of the update."""

from collections.abc import Sequence

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from srm_keras.support.validation import positive_int


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


def cosine_decay(base: float, steps: int) -> LearningRateSchedule:
    """``base * (1 + cos(pi * k / steps)) / 2`` at update k; 0 from update ``steps`` on."""
    return keras.optimizers.schedules.CosineDecay(base, decay_steps=steps)
