"""What Keras' optimizers have not: rates and decay by variable, and averages of the weights."""

from collections.abc import Iterable, Mapping, Sequence

import keras
from absl import logging
from keras import ops

from srm_keras.support.validation import nearest

DECAYS_OF_KERAS = ("weight_decay", "adam_weight_decay")
"""Attributes of every optimizer and of Muon; ``ByPath`` turns them off, it decays itself."""


class ByPath(keras.optimizers.Optimizer):
    """A base class before one of ``keras.optimizers``, which gets what it has not.

    For a variable w with gradient g and learning rate lr, and the factor f of its path:

        w <- w - f * lr * weight_decay * w     (not for paths in ``decay_exclude``)
        w <- what Keras' class makes of w, g and the rate f * lr

    With ``ema_decay``, ``averages`` holds an exponential moving average of every variable,
    beginning with its first updated value:

        average <- ema_decay * average + (1 - ema_decay) * w

    (Keras' ``use_ema`` would overwrite the weights with it at the end of each ``fit``. Its
    ``weight_decay`` knows one rate, and ``exclude_from_weight_decay`` names, which are no paths:
    both of two dense layers' are called ``kernel``.)

    Args:
        *args: Those of Keras' class.
        weight_decay: The coefficient of the decoupled decay; a float >= 0.
        decay_exclude: Paths of variables (``variable.path``) that do not decay, as
            ``paths_without_decay`` returns them.
        ema_decay: A float in [0, 1); 0 keeps no average.
        rate_factors: What the learning rate is multiplied by, for paths of variables; 1 for others.
        **kwargs: Those of Keras' class.

    Raises:
        ValueError: If ``weight_decay`` or ``ema_decay`` is out of its range; when the optimizer is
            built, if one of the paths is of no variable that is trained (an optimizer that comes
            with a saved model warns, so that the model can be loaded).

    Reference: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
    """

    DECAY, EXCLUDE = "weight_decay", "decay_exclude"
    """What the two arguments are called."""

    def __init__(
        self,
        *args,
        weight_decay: float = 0.0,
        decay_exclude: Sequence[str] = (),
        ema_decay: float = 0.0,
        rate_factors: Mapping[str, float] | None = None,
        **kwargs,
    ):
        if weight_decay < 0:
            raise ValueError(
                f"`{self.DECAY}` must be a float >= 0. Received: {self.DECAY}={weight_decay!r}"
            )
        if not 0 <= ema_decay < 1:
            raise ValueError(
                f"`ema_decay` must be a float in [0, 1). Received: ema_decay={ema_decay!r}"
            )
        if isinstance(decay_exclude, str):
            raise ValueError(
                f"`{self.EXCLUDE}` must be a list of paths. Received: {decay_exclude!r}"
            )
        super().__init__(*args, weight_decay=0.0, **kwargs)
        for name in DECAYS_OF_KERAS:
            if hasattr(self, name):
                setattr(self, name, None)
        self.decay = float(weight_decay)
        self.decay_exclude = tuple(decay_exclude)
        self.ema_decay = float(ema_decay)
        self.rate_factors = {path: float(rate) for path, rate in (rate_factors or {}).items()}
        self.averages: list[keras.Variable] = []
        self._restored = False

    def build(self, variables):
        """Makes the state and the averages, and notes each variable's decay and rate."""
        if self.built:
            return
        super().build(variables)
        paths = [v.path for v in variables]
        excluded = self._named(self.EXCLUDE, self.decay_exclude, paths)
        scaled = self._named("rate_factors", self.rate_factors, paths)
        self.excluded = tuple(path in excluded for path in paths)
        self.factors = tuple(self.rate_factors.get(scaled.get(path, ""), 1.0) for path in paths)
        if self.ema_decay:
            self.averages = [self.add_variable_from_reference(v, "average") for v in variables]

    def _named(self, argument: str, names: Iterable[str], paths: Sequence[str]) -> dict[str, str]:
        """The paths that are named, each with its name; a name of none of them is an error.

        The outermost scope may be missing on either side: Keras saves ``net/conv/kernel`` of a
        subclassed or a Sequential model, and the variable of the loaded one is ``conv/kernel``.
        """
        named = {}
        for name in names:
            inner = name.partition("/")[2]
            found = [path for path in paths if path == name] or [
                path for path in paths if path == inner or path.partition("/")[2] == name
            ]
            if not found:
                message = (
                    f"`{argument}` must hold paths of variables that are trained. "
                    f"Received: {name!r}{nearest(name, paths)}"
                )
                if not self._restored:
                    raise ValueError(message)
                logging.warning("%s. Compile the loaded model anew to train it.", message)
            named.update(dict.fromkeys(found, name))
        return named

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its average; the formulas are in the class docstring."""
        # The look-up by variable is the one that Keras' own subclassing example documents.
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self.factors[index]
        self._update(gradient, variable, rate, index)
        if self.ema_decay:
            self._update_average(self.averages[index], variable)

    def decay_of(self, index: int) -> float:
        """The coefficient of the decay of variable number ``index``."""
        return 0.0 if self.excluded[index] else self.decay

    def _update(self, gradient, variable, rate, index: int):
        """Updates one variable at its own rate."""
        if self.decay_of(index):
            self.assign_sub(variable, rate * self.decay_of(index) * variable)
        super().update_step(gradient, variable, rate)

    def _update_average(self, average, variable):
        decay = ops.cast(ops.where(self.iterations > 0, self.ema_decay, 0.0), variable.dtype)
        self.assign(average, decay * average + (1 - decay) * variable)

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        own = {
            self.DECAY: self.decay,
            self.EXCLUDE: list(self.decay_exclude),
            "ema_decay": self.ema_decay,
            "rate_factors": self.rate_factors,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        """The inverse of ``get_config``."""
        optimizer = super().from_config(config, custom_objects=custom_objects)
        optimizer._restored = True
        return optimizer
