"""The base class of all recalibration modules."""

from typing import Any

import keras

from srm_keras.layers.conventions import channel_axis, standardize_data_format
from srm_keras.layers.state import copy_state
from srm_keras.layers.statistics import gated, statistics_dtype
from srm_keras.support.validation import boolean, positive_number


class Recalibration(keras.layers.Layer):
    """Multiplies a feature map by gates computed from it: ``y = x · (gain · gates(x))``.

    A subclass defines ``gates``; the product is written here, once, so that the gates of every
    module can be read, compared, pruned and folded in the same way.

    New gates are near ½, and halve what they multiply. With ``gain=2`` and ``neutral=True`` a
    module begins as the identity, to the last bit.

    Args:
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        gain: A constant factor of the gates; 1 in the papers.
        neutral: Whether what comes last before the sigmoid starts at zero, so that every gate is
            exactly ½ until it is trained (¼ in CBAM). It concerns new weights only.
        **kwargs: ``name``, ``dtype``, ``trainable`` as for every Keras layer.

    Attributes:
        neutral_gain: The ``gain`` with which neutral gates are the identity.
        can_start_neutral: Whether ``neutral`` may be True. A subclass with ``gates`` of its own
            that says so creates what comes last before its sigmoid with ``last_initializer``.

    Input shape:
        (N, H, W, C) floating, or (N, C, H, W) for ``channels_first``; C must be static.

    Output shape:
        That of the input.

    Raises:
        ValueError: ``gain`` is not a number above 0; ``neutral`` is asked of a module that cannot;
            the input is not 4-D or its number of channels is unknown.
    """

    neutral_gain = 2.0
    can_start_neutral = False

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "gates" in vars(cls) and "can_start_neutral" not in vars(cls):
            cls.can_start_neutral = False

    def __init__(
        self,
        data_format: str | None = None,
        gain: float = 1.0,
        neutral: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.gain = positive_number("gain", gain)
        self.neutral = boolean("neutral", neutral)
        self.check_neutral()

    def build(self, input_shape) -> None:
        channels = self._channels(input_shape)
        axis = channel_axis(self.data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: channels})
        self.build_gates(tuple(input_shape), channels)

    def build_gates(self, input_shape: tuple[int | None, ...], channels: int) -> None:
        """Create and build what ``gates`` needs; called once, with the static shapes known."""

    def gates(self, inputs, training: bool | None = None):
        """Return gates in [0, 1], without ``gain``: (N, 1, 1, C), or (N, H, W, C) if spatial.

        For ``channels_first``: (N, C, 1, 1) and (N, C, H, W). The dtype may be wider than that of
        ``inputs``, and should be: their gradients are sums over the map, which float16 cannot hold.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `gates(inputs, training)`.")

    def call(self, inputs, training: bool | None = None):
        return self.recalibrate(inputs, self.gates(inputs, training=training))

    def recalibrate(self, inputs, gates):
        """``inputs · (gain · gates)``, for gates of this module, changed or not."""
        return gated(inputs, gates if self.gain == 1 else self.gain * gates)

    def compute_output_shape(self, input_shape):
        return input_shape

    def folded(self) -> "Recalibration":
        """Return a built copy of this layer, same function at inference, without batch norm.

        Modules that own a batch norm override this; the others return a plain copy.
        """
        layer = self._rebuilt()
        copy_state(self, layer)
        return layer

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "gain": self.gain,
            "neutral": self.neutral,
        }

    def check_neutral(self) -> None:
        """Raise ``ValueError`` where this module is to start neutral and cannot."""
        if self.neutral and not self.can_start_neutral:
            raise ValueError(
                "`neutral` must be False for a module of which no weights that come last before "
                f"its gates can start at zero. Received: neutral=True and {self.name!r}, a "
                f"{type(self).__name__}"
            )

    def last_initializer(self, usual: Any = "glorot_uniform") -> Any:
        """The initializer of what comes last before the sigmoid: zeros for a neutral start."""
        return "zeros" if self.neutral else usual

    @property
    def gate_dtype(self) -> str:
        """The dtype of sublayers that work on global statistics: float32 or wider."""
        return statistics_dtype(self.compute_dtype)

    def _rebuilt(self, **changes: Any) -> Any:
        """A built layer with these changes in its configuration, without the weights."""
        layer = type(self).from_config({**self.get_config(), **changes})
        layer.build(tuple(self.get_build_config()["input_shape"]))
        return layer

    def _channels(self, input_shape) -> int:
        if len(input_shape) != 4:
            raise ValueError(
                f"{type(self).__name__} expects a 4-D feature map. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        channels = input_shape[channel_axis(self.data_format)]
        if channels is None:
            raise ValueError(
                f"{type(self).__name__} needs a static number of channels. Received: "
                f"input_shape={tuple(input_shape)} with data_format={self.data_format!r}"
            )
        return channels
