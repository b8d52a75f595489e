"""Optimizers by their names, and the fields of a recipe that ask for them.

They are those of Keras, behind ``ByPath``, and two of our own where Keras differs from the source:
``SGDWithL2`` and ``LAMB``.
"""

import inspect
import math
from collections.abc import Mapping, Sequence

import keras
from keras import ops
from ml_collections import config_dict

from srm_keras.support.validation import known_options, nearest
from srm_keras.training.by_path import ByPath
from srm_keras.training.fields import (
    Field,
    are_names,
    in_unit_interval,
    is_at_least_0,
    is_bool,
    is_mapping,
    is_name,
    naming,
)
from srm_keras.training.parts import KINDS


@keras.saving.register_keras_serializable("srm_keras")
class SGDWithL2(ByPath, keras.optimizers.SGD):
    """``torch.optim.SGD(lr, momentum, weight_decay=l2, nesterov)`` for Keras.

    For a variable w with gradient g, velocity m (zero at first) and learning rate lr:

        g <- g + l2 * w
        m <- momentum * m + g
        w <- w - lr * m                        (nesterov: w - lr * (g + momentum * m))

    It differs from ``keras.optimizers.SGD(weight_decay=)`` twice. There the decay is decoupled
    (``w <- w - lr * weight_decay * w``, no momentum), and the learning rate is folded into the
    velocity, so that after a drop of the rate the old, larger updates live on for a while.

    Args:
        learning_rate: A float or a ``LearningRateSchedule``.
        momentum: A float in [0, 1].
        nesterov: Whether to look one step ahead.
        l2: The L2 coefficient, torch's ``weight_decay``; a float >= 0.
        l2_exclude: Paths of variables (``variable.path``) that take no L2, as ``paths_without_l2``
            returns them.
        ema_decay: A float in [0, 1); 0 keeps no average, see ``ByPath``.
        rate_factors: What the learning rate is multiplied by, for paths of variables; 1 for others.
        name: Name of the optimizer.
        **kwargs: As for ``keras.optimizers.SGD``; ``weight_decay`` must stay ``None``.

    Raises:
        ValueError: If ``weight_decay`` is given, or ``l2`` or ``ema_decay`` is out of its range;
            when the optimizer is built, for wrong paths, see ``ByPath``.

    Reference: Lee et al. 2019, section 4.1 (SGD, momentum 0.9, weight decay 1e-4).
    """

    DECAY, EXCLUDE = "l2", "l2_exclude"

    def __init__(
        self,
        learning_rate=0.1,
        momentum: float = 0.9,
        nesterov: bool = False,
        l2: float = 1e-4,
        l2_exclude: Sequence[str] = (),
        ema_decay: float = 0.0,
        rate_factors: Mapping[str, float] | None = None,
        name: str = "sgd_with_l2",
        **kwargs,
    ):
        given = kwargs.pop("weight_decay", None)
        if given is not None:
            raise ValueError(
                "`weight_decay` must be None: SGDWithL2 takes its decay as `l2`. "
                f"Received: weight_decay={given!r}"
            )
        super().__init__(
            learning_rate,
            momentum,
            nesterov,
            weight_decay=l2,
            decay_exclude=l2_exclude,
            ema_decay=ema_decay,
            rate_factors=rate_factors,
            name=name,
            **kwargs,
        )

    @property
    def l2_exclude(self) -> tuple[str, ...]:
        """The argument."""
        return self.decay_exclude

    @property
    def l2_rates(self) -> tuple[float, ...]:
        """The L2 coefficient of each variable; once the optimizer is built."""
        return tuple(map(self.decay_of, range(len(self.excluded))))

    def _update(self, gradient, variable, rate, index: int):
        g = ops.cast(gradient, variable.dtype) + self.decay_of(index) * variable
        self.assign_sub(variable, rate * self._direction(g, index))

    def _direction(self, g, index: int):
        """What the rate multiplies: g, or the velocity after it took g up."""
        if self.momentum == 0:
            return g
        m = self.momentums[index]
        self.assign(m, self.momentum * m + g)
        return g + self.momentum * m if self.nesterov else m


@keras.saving.register_keras_serializable("srm_keras")
class LAMB(ByPath):
    """LAMB as its paper states it, with the decay inside of the trust ratio.

    For a variable w with gradient g, moments m and v (zero at first), update number t = 1, 2, …,
    learning rate lr and weight decay λ:

        m <- beta_1 * m + (1 - beta_1) * g
        v <- beta_2 * v + (1 - beta_2) * g²
        u <- (m / (1 - beta_1^t)) / (√(v / (1 - beta_2^t)) + epsilon) + λ * w
        w <- w - lr * ‖w‖ / ‖u‖ * u            (1 for the ratio where a norm is 0)

    A variable that does not decay (``decay_exclude``) has the ratio 1, as in the authors' code and
    in timm. ``keras.optimizers.Lamb`` takes the decay out of the ratio (decoupled, before the
    update) and has a ratio for every variable.

    Args:
        learning_rate: A float or a ``LearningRateSchedule``.
        beta_1: Of the mean of gradients; a float in [0, 1).
        beta_2: Of the mean of their squares; a float in [0, 1).
        epsilon: A positive float; the paper's and timm's by default.
        **kwargs: As for ``ByPath``, and of any ``keras.optimizers.Optimizer``.

    Raises:
        ValueError: As ``ByPath`` does, and if a beta is out of its range.

    Reference: You et al. 2020, "Large Batch Optimization for Deep Learning", algorithm 2.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        **kwargs,
    ):
        for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"`{name}` must be a float in [0, 1). Received: {name}={beta!r}")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)

    def build(self, variables):
        """Makes the moments too."""
        if self.built:
            return
        super().build(variables)
        self.means = [self.add_variable_from_reference(v, "mean") for v in variables]
        self.squares = [self.add_variable_from_reference(v, "square") for v in variables]

    def _update(self, gradient, variable, rate, index: int):
        g, m, v = ops.cast(gradient, variable.dtype), self.means[index], self.squares[index]
        self.assign(m, self.beta_1 * m + (1 - self.beta_1) * g)
        self.assign(v, self.beta_2 * v + (1 - self.beta_2) * ops.square(g))
        mean = m / self._weight_sum(self.beta_1, variable.dtype)
        square = v / self._weight_sum(self.beta_2, variable.dtype)
        u = mean / (ops.sqrt(square) + self.epsilon)
        if not self.excluded[index]:
            u = u + self.decay * variable
            u = _trust_ratio(variable, u) * u
        self.assign_sub(variable, rate * u)

    def _weight_sum(self, beta: float, dtype):
        """``1 - beta ** t`` without the cancellation that float32 has in it."""
        if beta == 0:
            return 1.0
        return -ops.expm1(ops.cast(self.iterations + 1, dtype) * math.log(beta))

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


def _trust_ratio(variable, update):
    """``‖w‖ / ‖u‖``, 1 where one of them is 0."""
    of_variable = ops.sqrt(ops.sum(ops.square(variable)))
    of_update = ops.sqrt(ops.sum(ops.square(update)))
    known = ops.logical_and(of_variable > 0, of_update > 0)
    return ops.where(known, of_variable / ops.where(known, of_update, 1.0), 1.0)


def options_of(cls: type[ByPath]) -> list[str]:
    """Names of the arguments of an optimizer, those of its base classes included."""
    own = [vars(base)["__init__"] for base in cls.__mro__[:-1] if "__init__" in vars(base)]
    found = dict.fromkeys(
        name
        for initializer in own
        for name, argument in inspect.signature(initializer).parameters.items()
        if argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
    )
    return [name for name in found if name not in ("self", "name")]


OTHERS = ("LossScaleOptimizer", "MultiOptimizer", "Optimizer", "OptimizerMap")
"""What is in ``keras.optimizers`` and is no optimizer by itself."""


def _of_keras() -> dict[str, type[ByPath]]:
    """Keras' optimizers by the names of their classes, each behind ``ByPath``."""
    made = {}
    for name, cls in vars(keras.optimizers).items():
        if inspect.isclass(cls) and name not in OTHERS:
            members = {"__doc__": f"``keras.optimizers.{name}`` with what ``ByPath`` adds."}
            one = type(f"{name}ByPath", (ByPath, cls), members)
            made[name] = keras.saving.register_keras_serializable("srm_keras")(one)
    return made


OF_NAMES: dict[str, type[ByPath]] = _of_keras()
OF_NAMES |= {
    "sgd": SGDWithL2,
    "adamw": OF_NAMES["AdamW"],
    "lamb": LAMB,
    "lion": OF_NAMES["Lion"],
}


def optimizer_class(name: str) -> type[ByPath]:
    """The optimizer that a recipe's ``optimizer.name`` means.

    Args:
        name: ``sgd`` (``SGDWithL2``), ``adamw``, ``lamb`` (``LAMB``), ``lion``, or the name of a
            class in ``keras.optimizers``: that one then, with decay and rates by path.

    Raises:
        ValueError: If it is none of them.
    """
    if name not in OF_NAMES:
        raise ValueError(
            "`name` must be 'sgd', 'adamw', 'lamb', 'lion' or the name of a class in "
            f"keras.optimizers. Received: name={name!r}{nearest(name, OF_NAMES)}"
        )
    return OF_NAMES[name]


OPTIMIZER_FIELDS: dict[str, Field] = {
    "optimizer.name": Field(
        "sgd",
        is_name,
        "'sgd', 'adamw', 'lamb', 'lion' or the name of a class in keras.optimizers",
    ),
    "optimizer.options": Field({}, is_mapping, "a mapping of arguments for the optimizer"),
    "optimizer.momentum": Field(0.9, in_unit_interval, "a number in [0, 1)"),
    "optimizer.nesterov": Field(False, is_bool, "True or False"),
    "optimizer.weight_decay": Field(1e-4, is_at_least_0, "a number >= 0"),
    "optimizer.decay_recalibration": Field(
        False, is_bool, "True or False (decay of the CFC and the batch norm of SRM too)"
    ),
    "optimizer.exclude_from_decay": Field(
        (),
        lambda value: are_names(value) and set(value) <= set(KINDS),
        f"a tuple of {KINDS}",
    ),
    "optimizer.clip_norm": Field(
        0.0, is_at_least_0, "a number >= 0 (the gradient's global norm; 0: no clipping)"
    ),
    "optimizer.ema_decay": Field(
        0.0, in_unit_interval, "a number in [0, 1) (0: no average of the weights)"
    ),
}

SAID_ELSEWHERE = {
    "learning_rate": "learning_rate",
    "weight_decay": "optimizer.weight_decay",
    "adam_weight_decay": "optimizer.weight_decay",
    "decay_exclude": "optimizer.exclude_from_decay",
    "rate_factors": "learning_rate.multipliers",
    "ema_decay": "optimizer.ema_decay",
    "use_ema": "optimizer.ema_decay",
    "ema_momentum": "optimizer.ema_decay",
    "ema_overwrite_frequency": "optimizer.ema_decay",
    "global_clipnorm": "optimizer.clip_norm",
    "gradient_accumulation_steps": "accumulation_steps",
    "loss_scale_factor": "dtype_policy",
}
"""Arguments of Keras' optimizers, and the fields of a recipe that speak of the same."""

OF_SGD = {
    "momentum": "optimizer.momentum",
    "nesterov": "optimizer.nesterov",
    "l2": "optimizer.weight_decay",
    "l2_exclude": "optimizer.exclude_from_decay",
}
"""And those of our own SGD, for which there are fields since the first version."""


def check_optimizer(recipe: config_dict.ConfigDict) -> None:
    """Raises ``ValueError`` for a wrong name or an argument that the optimizer does not take."""
    name, options = recipe.optimizer.name, recipe.to_dict()["optimizer"]["options"]
    elsewhere = SAID_ELSEWHERE if name != "sgd" else {**SAID_ELSEWHERE, **OF_SGD}
    with naming("optimizer"):
        known = options_of(optimizer_class(name))
        for option in options:
            if option in elsewhere:
                raise ValueError(
                    f"`options` must not hold {option!r}, which the recipe says in "
                    f"`{elsewhere[option]}`. Received: options={options}"
                )
        known_options(repr(name), options, [one for one in known if one not in elsewhere])


def optimizer_problems(recipe: config_dict.ConfigDict) -> list[str]:
    """What is wrong with ``OPTIMIZER_FIELDS`` that only make sense together, in words."""
    fields = recipe.optimizer
    if fields.name == "sgd" or (fields.momentum == 0.9 and not fields.nesterov):
        return []
    return [
        "`optimizer.momentum` and `optimizer.nesterov` must stay 0.9 and False for others than "
        "'sgd', which take theirs in `optimizer.options`. Received: optimizer.momentum="
        f"{fields.momentum}, optimizer.nesterov={fields.nesterov} for {fields.name!r}"
    ]
