"""Networks in the form in which phones, servers and browsers run them best."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from srm_keras.export.deploy_forms import FORMS
from srm_keras.export.folding import fold
from srm_keras.export.graph import read_graph
from srm_keras.layers import SRM, GatherExcite, Recalibration


def deploy(model: keras.Model, gates: bool = False) -> keras.Model:
    """Return what the exporters write: ``model`` folded, in float32, its modules in deploy form.

    ``fold`` comes first. Then every recalibration layer is replaced by stock Keras layers that
    compute the same from four-dimensional tensors (``export.deploy_forms``): in SRM a depthwise
    convolution over ``[mean, std]`` is the channel-wise fully connected layer; the dense layers of
    SE and CBAM are 1×1 convolutions. Such a graph runs in LiteRT as one piece, and is quantized
    with a scale for each channel. A network of this package needs no ``srm_keras`` afterwards,
    unless its shortcuts are ``"identity"``.

    A recalibration layer stays as ``fold`` left it where it is ``channels_first``, called more than
    once, of a class without deploy form, or needs a height and width that are unknown.

    Args:
        model: a model that ``fold`` accepts. It is not changed, and shares no weights with the
            result.
        gates: whether the result has, after the outputs of ``model``, the gates of each
            recalibration layer in order: (N, 1, 1, C) or (N, H, W, C), float32.

    Returns:
        An uncompiled functional model, ``trainable = False``, that computes in float32 what
        ``model`` computes at inference.

    Raises:
        ValueError: ``fold`` refuses the model, or ``gates`` is asked of a layer without deploy
            form.
    """
    folded = fold(model)
    formed = [layer for layer in folded.layers if _has_form(layer, folded)]
    if gates:
        _check_gates(folded, formed)
    with _float32():
        return _expand(folded, {layer.name: layer for layer in formed}, gates)


def _has_form(layer: keras.layers.Layer, model: keras.Model) -> bool:
    if type(layer) not in FORMS or layer.data_format != "channels_last":
        return False
    calls = read_graph(model).calls[layer.name]
    if len(calls) > 1 or not calls[0].plain:
        return False
    return None not in calls[0].shapes[0][1:3] or not _needs_size(layer)


def _needs_size(layer: Recalibration) -> bool:
    """Whether the form of this layer depends on height and width."""
    if isinstance(layer, GatherExcite):
        return layer.extent > 0
    return isinstance(layer, SRM) and layer.unbiased


def _expand(model: keras.Model, formed: dict[str, Recalibration], with_gates: bool) -> keras.Model:
    gates: dict[str, Any] = {}

    def call(layer, *args, **kwargs):
        if layer.name not in formed:
            return layer(*args, **kwargs)
        source = formed[layer.name]
        output, gates[layer.name] = FORMS[type(source)](source, args[0])
        return output

    clone = keras.models.clone_model(model, clone_function=_in_float32, call_function=call)
    if with_gates:
        clone = keras.Model(clone.input, [*clone.outputs, *gates.values()], name=model.name)
    for layer in model.layers:
        if layer.name not in formed:
            clone.get_layer(layer.name).set_weights(layer.get_weights())
    clone.trainable = False
    return clone


def _in_float32(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})


def _check_gates(model: keras.Model, formed: list[Recalibration]) -> None:
    for layer in model.layers:
        if isinstance(layer, Recalibration) and layer not in formed:
            raise ValueError(
                "`gates` must be False for a model with a recalibration layer that has no deploy "
                f"form. Received: gates=True and {layer.name!r}, a {type(layer).__name__} "
                f"({layer.data_format}) with input {tuple(layer.input.shape)}"
            )


@contextlib.contextmanager
def _float32() -> Iterator[None]:
    """New layers compute in float32, whatever Keras' global policy is."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
