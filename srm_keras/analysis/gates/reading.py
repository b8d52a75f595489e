"""Reading the gates of a trained network."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from srm_keras.layers import Recalibration
from srm_keras.layers.data_format import spatial_axes


@keras.saving.register_keras_serializable(package="srm_keras")
class GateReader(keras.layers.Layer):
    """Returns what ``module.gates`` computes at inference, without the product.

    Args:
        module: a built ``Recalibration`` layer, whose weights are shared, not copied.

    Input shape:
        That of the module.

    Output shape:
        (N, 1, 1, C), or that of the input for spatial modules.
    """

    def __init__(self, module: Recalibration, **kwargs: Any):
        super().__init__(**kwargs)
        self.module = module

    def call(self, inputs):
        return self.module.gates(inputs, training=False)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "module": keras.saving.serialize_keras_object(self.module)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GateReader":
        """Rebuild the reader together with its module."""
        return cls(keras.saving.deserialize_keras_object(config.pop("module")), **config)


def recalibration_layers(model: keras.Model) -> list[Recalibration]:
    """Return the recalibration layers of ``model``, in network order.

    Args:
        model: a functional model that contains ``Recalibration`` layers.

    Raises:
        ValueError: the model is not functional, or has no recalibration layer.
    """
    if not isinstance(model, keras.Function):
        raise ValueError(
            "`model` must be a functional keras.Model. "
            f"Received: {getattr(model, 'name', model)!r} of class {type(model).__name__}"
        )
    modules = [layer for layer in model.layers if isinstance(layer, Recalibration)]
    if not modules:
        raise ValueError(
            "`model` must contain recalibration layers. "
            f"Received: {model.name!r}, which has none among its {len(model.layers)} layers"
        )
    return modules


def gate_model(model: keras.Model) -> keras.Model:
    """Return a model that maps the input of ``model`` to the gates of every block, in one pass.

    Args:
        model: a functional model that contains ``Recalibration`` layers.

    Returns:
        A functional model with a dict output ``{layer name: gates}``, in network order; gates are
        (N, 1, 1, C), or (N, H, W, C) for spatial modules. It shares the weights of ``model``.

    Raises:
        ValueError: the model is not functional, or has no recalibration layer.
    """
    gates = {
        module.name: GateReader(module, name=f"{module.name}_gates")(module.input)
        for module in recalibration_layers(model)
    }
    return keras.Model(model.input, gates, name=f"{model.name}_gates")


def channel_gates(
    model: keras.Model, batches: Iterable[np.ndarray]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the gate of every channel of every block, batch by batch.

    This is what the paper calls channel weights (Lee et al. 2019, section 5.2). Where the gates of
    a module differ from pixel to pixel, a channel's weight is their mean over the feature map.

    Args:
        model: a functional model that contains ``Recalibration`` layers.
        batches: prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Yields:
        For every batch ``{layer name: float32 (N, C)}``, in network order.

    Raises:
        ValueError: the model is not functional, or has no recalibration layer. It is raised at
            once, not with the first batch.
    """
    modules = {layer.name: layer for layer in recalibration_layers(model)}
    reader = gate_model(model)

    def read() -> Iterator[dict[str, np.ndarray]]:
        for batch in batches:
            gates = reader.predict_on_batch(batch)
            yield {name: _by_channel(module, gates[name]) for name, module in modules.items()}

    return read()


def _by_channel(module: Recalibration, gates: np.ndarray) -> np.ndarray:
    return np.asarray(gates, "float32").mean(axis=spatial_axes(module.data_format))
