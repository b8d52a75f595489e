"""Reading the gates of a trained network."""

from typing import Any

import keras

from srm_keras.layers import Recalibration


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


def gate_model(model: keras.Model) -> keras.Model:
    """Return a model that maps the input of ``model`` to the gates of every block, in one pass.

    Args:
        model: a functional model that contains ``Recalibration`` layers.

    Returns:
        A functional model with a dict output ``{layer name: gates}``, in network order; gates are
        (N, 1, 1, C), or (N, H, W, C) for spatial modules. It shares the weights of ``model``.

    Raises:
        ValueError: the model has no recalibration layer.
    """
    modules = [layer for layer in model.layers if isinstance(layer, Recalibration)]
    if not modules:
        raise ValueError(
            "`model` must contain recalibration layers. "
            f"Received: {model.name!r}, which has none among its {len(model.layers)} layers"
        )
    gates = {
        module.name: GateReader(module, name=f"{module.name}_gates")(module.input)
        for module in modules
    }
    return keras.Model(model.input, gates, name=f"{model.name}_gates")
