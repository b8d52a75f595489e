"""SGD as the paper's authors ran it."""

from collections.abc import Iterable, Mapping, Sequence

import keras
from absl import logging
from keras import ops

from srm_keras.layers import GCT, SRM, ChannelwiseDense
from srm_keras.support.validation import nearest
from srm_keras.training.distribution.replicas import sublayers


@keras.saving.register_keras_serializable("srm_keras")
class SGDWithL2(keras.optimizers.SGD):
    """``torch.optim.SGD(lr, momentum, weight_decay=l2, nesterov)`` for Keras.

    For a variable w with gradient g, velocity m (zero at first) and learning rate lr:

        g <- g + l2 * w
        m <- momentum * m + g
        w <- w - lr * m                        (nesterov: w - lr * (g + momentum * m))

    With ``ema_decay``, ``averages`` holds an exponential moving average of every variable,
    beginning with its first updated value:

        average <- ema_decay * average + (1 - ema_decay) * w

    (Keras' ``use_ema`` would overwrite the weights with it at the end of each ``fit``.)

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
        ema_decay: A float in [0, 1); 0 keeps no average.
        rate_factors: What the learning rate is multiplied by, for paths of variables; 1 for others.
        name: Name of the optimizer.
        **kwargs: As for ``keras.optimizers.SGD``; ``weight_decay`` must stay ``None``.

    Raises:
        ValueError: If ``weight_decay`` is given, or ``l2`` or ``ema_decay`` is out of its range;
            when the optimizer is built, if one of the paths is of no variable that is trained (an
            optimizer that comes with a saved model warns, so that the model can be loaded).

    Reference: Lee et al. 2019, section 4.1 (SGD, momentum 0.9, weight decay 1e-4).
    """

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
        if kwargs.get("weight_decay") is not None:
            raise ValueError(
                "`weight_decay` must be None: SGDWithL2 takes its decay as `l2`. "
                f"Received: weight_decay={kwargs['weight_decay']!r}"
            )
        if l2 < 0:
            raise ValueError(f"`l2` must be a float >= 0. Received: l2={l2!r}")
        if not 0 <= ema_decay < 1:
            raise ValueError(
                f"`ema_decay` must be a float in [0, 1). Received: ema_decay={ema_decay!r}"
            )
        if isinstance(l2_exclude, str):
            raise ValueError(f"`l2_exclude` must be a list of paths. Received: {l2_exclude!r}")
        super().__init__(learning_rate, momentum, nesterov, name=name, **kwargs)
        self.l2 = float(l2)
        self.l2_exclude = tuple(l2_exclude)
        self.ema_decay = float(ema_decay)
        self.rate_factors = {path: float(rate) for path, rate in (rate_factors or {}).items()}
        self.averages: list[keras.Variable] = []
        self._restored = False

    def build(self, variables):
        """Makes the velocities and averages, and notes each variable's L2 and rate."""
        if self.built:
            return
        super().build(variables)
        paths = [v.path for v in variables]
        excluded = self._named("l2_exclude", self.l2_exclude, paths)
        scaled = self._named("rate_factors", self.rate_factors, paths)
        self.l2_rates = tuple(0.0 if path in excluded else self.l2 for path in paths)
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
        """Updates one variable; the formulas are in the class docstring."""
        # The look-up by variable is the one that Keras' own subclassing example documents.
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self.factors[index]
        g = ops.cast(gradient, variable.dtype) + self.l2_rates[index] * variable
        self.assign_sub(variable, rate * self._direction(g, index))
        if self.ema_decay:
            self._update_average(self.averages[index], variable)

    def _direction(self, g, index: int):
        """What the rate multiplies: g, or the velocity after it took g up."""
        if self.momentum == 0:
            return g
        m = self.momentums[index]
        self.assign(m, self.momentum * m + g)
        return g + self.momentum * m if self.nesterov else m

    def _update_average(self, average, variable):
        decay = ops.cast(ops.where(self.iterations > 0, self.ema_decay, 0.0), variable.dtype)
        self.assign(average, decay * average + (1 - decay) * variable)

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        own = {
            "l2": self.l2,
            "l2_exclude": list(self.l2_exclude),
            "ema_decay": self.ema_decay,
            "rate_factors": self.rate_factors,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "SGDWithL2":
        """The inverse of ``get_config``."""
        optimizer = super().from_config(config, custom_objects=custom_objects)
        optimizer._restored = True
        return optimizer


def paths_without_l2(model: keras.Model) -> list[str]:
    """Paths of variables that modules' authors do not decay: SRM's CFC and batch norm, GCT's β.

    Everything else decays: convolutions, dense layers, biases and the network's batch norms.

    Args:
        model: A built model of any kind; modules inside of other layers count, frozen ones do not.

    Returns:
        For ``SGDWithL2(l2_exclude=...)``; nothing where the model has neither module.

    Raises:
        ValueError: If the model is not built, so that it has no variables yet.
    """
    if not model.built:
        raise ValueError(
            "`model` must be built, by `model.build(input_shape)` or a first call. "
            f"Received: {model.name!r}, which has no variables yet"
        )
    variables = {
        id(variable)
        for layer in sublayers(model)
        if layer.built
        for variable in _variables_without_l2(layer)
    }
    return [v.path for v in model.trainable_variables if id(v) in variables]


def _variables_without_l2(layer: keras.layers.Layer) -> list[keras.Variable]:
    if isinstance(layer, GCT):
        return [layer.beta]
    if not isinstance(layer, SRM):
        return []
    without = (ChannelwiseDense, keras.layers.BatchNormalization)
    parts = [part for part in (layer.encoder, layer.bn) if isinstance(part, without)]
    return [variable for part in parts for variable in part.variables]
