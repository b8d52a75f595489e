"""Reading the gates of a trained network."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from srm_keras.layers import Recalibration
from srm_keras.layers.conventions import spatial_axes
from srm_keras.models.surgery.functional import check_functional, inputs_of
from srm_keras.support.validation import nearest


@keras.saving.register_keras_serializable(package="srm_keras")
class GateReader(keras.layers.Layer):
    """Returns what ``module.gates`` computes at inference, without the product.

    Args:
        module: A built ``Recalibration`` layer, whose weights are shared, not copied.

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
        model: A functional or built Sequential model that contains ``Recalibration`` layers.

    Raises:
        ValueError: The model is neither, or has no recalibration layer.
    """
    check_functional(model)
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
        model: A functional model that contains ``Recalibration`` layers.

    Returns:
        A functional model with a dict output ``{layer name: gates}``, in network order; gates are
        (N, 1, 1, C), or (N, H, W, C) for spatial modules. It shares the weights of ``model``.

    Raises:
        ValueError: The model is not functional, or has no recalibration layer.
    """
    gates = {
        module.name: GateReader(module, name=f"{module.name}_gates")(module.input)
        for module in recalibration_layers(model)
    }
    return keras.Model(inputs_of(model), gates, name=f"{model.name}_gates")


class NetworkGates:
    """The gates of one network, to be read as often as one likes: it is compiled once.

    Args:
        model: A functional model that contains ``Recalibration`` layers; its weights are shared.

    Attributes:
        layers: Names of the recalibration layers, in network order.

    Raises:
        ValueError: The model is not functional, or has no recalibration layer.
    """

    def __init__(self, model: keras.Model):
        self._modules = {module.name: module for module in recalibration_layers(model)}
        self.layers = list(self._modules)
        self._reader = gate_model(model)

    def read(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gates for a batch of prepared images, in network order.

        They are float32 (N, 1, 1, C), or (N, H, W, C) for spatial modules; for ``channels_first``
        (N, C, 1, 1) and (N, C, H, W).

        Raises:
            ValueError: An image or a gate is NaN or infinite.
        """
        images = keras.ops.convert_to_numpy(batch)
        check_finite_images("batches", images)
        gates = self._reader.predict_on_batch(images)
        return {name: _checked_gates(name, gates[name]) for name in self.layers}

    def by_channel(self, gates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what ``read`` returned as one number a channel, (N, C): its mean over the map."""
        return {
            name: values.mean(axis=spatial_axes(self._modules[name].data_format))
            for name, values in gates.items()
        }


def check_finite_images(name: str, images: np.ndarray) -> None:
    """Raise ``ValueError`` that names the argument if one of the images (N, ...) is not finite."""
    bad = np.flatnonzero(~np.isfinite(images).all(axis=tuple(range(1, images.ndim))))
    if len(bad):
        raise ValueError(
            f"`{name}` must hold finite images. "
            f"Received: {len(bad)} of {len(images)} with NaN or infinity, the first at {bad[0]}"
        )


def _checked_gates(name: str, gates: Any) -> np.ndarray:
    values = keras.ops.convert_to_numpy(gates).astype("float32")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`model` must have finite gates. Received: NaN or infinity in those of {name!r}, "
            "as of weights or activations that are not finite"
        )
    return values


def channel_gates(
    model: keras.Model, batches: Iterable[np.ndarray]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the gate of every channel of every block, batch by batch.

    This is what the paper calls channel weights (Lee et al. 2019, section 5.2). Where the gates of
    a module differ from pixel to pixel, a channel's weight is their mean over the feature map.

    Args:
        model: A functional model that contains ``Recalibration`` layers.
        batches: Prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Yields:
        For every batch ``{layer name: float32 (N, C)}``, in network order.

    Raises:
        ValueError: The model is not functional, or has no recalibration layer. It is raised at
            once, not with the first batch.
    """
    network = NetworkGates(model)
    return (network.by_channel(network.read(batch)) for batch in batches)


_SUFFIX = "_recalibration"
_NUMBER = re.compile(r"_\d+$")


def block_name(layer: str) -> str:
    """Return the name of the block whose recalibration layer is called ``layer``."""
    return layer.removesuffix(_SUFFIX)


def select_blocks(model: keras.Model, blocks: Sequence[str] | None = None) -> dict[str, str]:
    """Return the recalibration layers of the named blocks.

    Args:
        model: A functional model that contains ``Recalibration`` layers.
        blocks: Names of blocks (``"conv2_1"``) or of their recalibration layers; None for all.

    Returns:
        ``{block name: layer name}``, in the order of ``blocks``, or in network order for all.

    Raises:
        ValueError: The model is not functional or has no recalibration layer, or a block is
            unknown; the message has the nearest name.
    """
    known = {block_name(layer.name): layer.name for layer in recalibration_layers(model)}
    wanted = known if blocks is None else [block_name(block) for block in blocks]
    for block in wanted:
        if block not in known:
            hint = nearest(block, known) or f" (the blocks are: {', '.join(known)})"
            raise ValueError(f"`blocks` must be blocks with gates. Received: {block!r}{hint}")
    return {block: known[block] for block in wanted}


def last_blocks(model: keras.Model) -> list[str]:
    """Return the name of the last block of every stage, in network order.

    ``conv2_1`` and ``conv2_6`` are of one stage; a name without a number at its end is a stage of
    its own.

    Args:
        model: A functional model that contains ``Recalibration`` layers.

    Raises:
        ValueError: The model is not functional, or has no recalibration layer.
    """
    return list({_NUMBER.sub("", name): name for name in select_blocks(model)}.values())
