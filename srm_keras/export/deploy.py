"""Networks in the form in which phones, servers and browsers run them best."""

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from srm_keras.export.deploy_forms import FORMS, NEEDS_SIZE
from srm_keras.export.folding import fold_with_plan
from srm_keras.export.layer_forms import LAYER_FORMS, has_layer_form
from srm_keras.export.runners import signature
from srm_keras.layers import Recalibration
from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.flatten import flatten
from srm_keras.models.surgery.functional import all_layers, copied, first_input, new_inputs, remade
from srm_keras.models.surgery.graph import freeze, read_graph

# In place of the floating dtypes in which networks compute.
_FLOAT32 = dict.fromkeys(("float16", "bfloat16", "float64"), "float32")


def deploy(model: keras.Model, gates: bool = False) -> keras.Model:
    """Return what the exporters write: ``model`` folded, in float32, its modules in deploy form.

    ``fold`` comes first. Then every recalibration layer is replaced by stock Keras layers that
    compute the same from four-dimensional tensors (``export.deploy_forms``): in SRM a depthwise
    convolution over ``[mean, std]`` is the channel-wise fully connected layer; the dense layers of
    SE and CBAM are 1×1 convolutions. Such a graph runs in LiteRT as one piece, and is quantized
    with a scale for each channel. Likewise reflection padding, instance normalization and
    nearest-neighbour enlargement to double size are written with operators that do not split the
    graph (``export.layer_forms``). A classifier of this package needs no ``srm_keras`` afterwards,
    unless its shortcuts are ``"identity"``.

    Such a layer stays as ``fold`` left it where it is ``channels_first``, called more than
    once, of a class without deploy form, or needs a height and width that are unknown.

    Args:
        model: A model that ``fold`` accepts. It is not changed, and shares no weights with the
            result.
        gates: Whether the result has, after the outputs of ``model``, the gates of each
            recalibration layer in order: (N, 1, 1, C) or (N, H, W, C), float32.

    Returns:
        An uncompiled functional model, ``trainable = False``, that computes in float32 what
        ``model`` computes at inference.

    Raises:
        ValueError: ``fold`` refuses the model, or ``gates`` is asked of a layer without deploy
            form.
    """
    folded, _ = fold_with_plan(model)
    formed = _with_form(folded)
    if gates:
        _check_gates(_without_form(folded, formed))
    return _expand(folded, formed, gates)[0]


class Deployed:
    """A network as it is written, from one tensor to one, and what is told of it.

    Args:
        network: For inference.
        gates: Those of its recalibration layers, symbolic tensors by the layers' names.
        batch_norm_kept: For each batch norm left in it, why it could not be merged.
        without_form: The recalibration layers that have no deploy form, and no gates here.
    """

    def __init__(
        self,
        network: keras.Model,
        gates: Mapping[str, Any] = MappingProxyType({}),
        batch_norm_kept: Mapping[str, str] = MappingProxyType({}),
        without_form: Sequence[keras.layers.Layer] = (),
    ):
        self.network, self.batch_norm_kept = network, dict(batch_norm_kept)
        self._gates, self._without_form = gates, without_form
        self._saved_models: dict[int | None, str] = {}

    def gates(self) -> dict[str, Any]:
        """Return the gates of every recalibration layer.

        Raises:
            ValueError: One has no deploy form.
        """
        _check_gates(self._without_form)
        return dict(self._gates)

    def saved_model(self, batch_size: int | None = None) -> str:
        """Return the folder of a SavedModel of the network alone, which lasts as long as this.

        Every TFLite file of a batch size is converted from the same one.
        """
        if batch_size not in self._saved_models:
            folder = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            spec = signature(self.network)
            spec = tf.TensorSpec((batch_size, *spec.shape[1:]), spec.dtype, name=spec.name)
            self.network.export(folder, input_signature=[spec], verbose=False)
            self._saved_models[batch_size] = folder
        return self._saved_models[batch_size]


def deployed(model: keras.Model) -> Deployed:
    """``deploy(model)`` from one tensor to one, its gates and what ``fold`` left.

    Args:
        model: That ``fold`` accepts, with one input and one output; not changed.

    Raises:
        ValueError: ``fold`` refuses the model.
    """
    folded, plan = fold_with_plan(model)
    formed = _with_form(folded)
    whole, names = _expand(folded, formed, with_gates=True)
    output, *gates = whole.outputs
    network = keras.Model(whole.inputs[0], output, name=whole.name)
    freeze(network)
    named = dict(zip(names, gates, strict=True))
    return Deployed(network, named, plan.kept, _without_form(folded, formed))


def in_float32(model: keras.Model) -> keras.Model:
    """Return ``model`` if it computes in float32, else a copy of it that does.

    In mixed precision weights are float32 already, so the copy is the more exact one.

    Raises:
        ValueError: A copy is needed and ``model`` is not functional.
    """
    if not computes_otherwise(model):
        return model
    flat = flatten(model)
    with dtype_policy("float32"):
        return copied(flat, _in_float32, inputs=new_inputs(flat, _FLOAT32))


def computes_otherwise(model: keras.Model) -> list[str]:
    """The floating dtypes other than float32 in which layers of ``model`` compute, sorted."""
    return sorted({layer.compute_dtype for layer in all_layers(model)}.intersection(_FLOAT32))


def _with_form(model: keras.Model) -> dict[str, keras.layers.Layer]:
    return {layer.name: layer for layer in model.layers if _has_form(layer, model)}


def _without_form(
    model: keras.Model, formed: Mapping[str, keras.layers.Layer]
) -> list[Recalibration]:
    return [x for x in model.layers if isinstance(x, Recalibration) and x.name not in formed]


def _has_form(layer: keras.layers.Layer, model: keras.Model) -> bool:
    if type(layer) not in FORMS and not has_layer_form(layer):
        return False
    if layer.data_format != "channels_last":
        return False
    calls = read_graph(model).calls[layer.name]
    if len(calls) > 1 or not calls[0].plain:
        return False
    if None not in calls[0].shapes[0][1:3]:
        return True
    return type(layer) not in NEEDS_SIZE or not NEEDS_SIZE[type(layer)](layer)


def _expand(
    model: keras.Model, formed: Mapping[str, keras.layers.Layer], with_gates: bool
) -> tuple[keras.Model, list[str]]:
    """The deploy form, and the layers whose gates it has after the outputs of ``model``."""
    gates: dict[str, Any] = {}

    def call(layer, *args, **kwargs):
        if layer.name not in formed:
            return layer(*args, **kwargs)
        x = first_input(layer, args, kwargs)
        output = _form(formed[layer.name], x.shape)(x)
        if isinstance(layer, Recalibration):
            output, gates[layer.name] = output
        return output

    with dtype_policy("float32"):
        clone = copied(model, _in_float32, call, new_inputs(model, _FLOAT32))
        if with_gates:
            clone = keras.Model(clone.input, [*clone.outputs, *gates.values()], name=model.name)
        flat = flatten(clone)
    freeze(flat)
    return flat, list(gates)


def _form(layer: keras.layers.Layer, shape: tuple[int | None, ...]) -> keras.Model:
    """The deploy form as a model of its own, in which no name can meet another of the network."""
    x = keras.Input(batch_shape=shape)
    form = (FORMS | LAYER_FORMS)[type(layer)]
    return keras.Model(x, form(layer, x), name=f"{layer.name}_form")


def _in_float32(layer: Any) -> Any:
    # An operation of keras.ops has no dtype, and a lookup computes in another kind of them.
    otherwise = getattr(layer, "compute_dtype", None) in _FLOAT32
    return remade(layer, layer.name, **({"dtype": "float32"} if otherwise else {}))


def _check_gates(without_form: Sequence[keras.layers.Layer]) -> None:
    for layer in without_form[:1]:
        raise ValueError(
            "`gates` must be False for a model with a recalibration layer that has no deploy "
            f"form. Received: gates=True and {layer.name!r}, a {type(layer).__name__} "
            f"({layer.data_format}) with input {tuple(layer.input.shape)}"
        )


def with_input_shape(model: keras.Model, input_shape: Sequence[int]) -> keras.Model:
    """Return a copy of ``model`` that reads images of one size.

    Args:
        model: A functional model with one input, (H, W, C), sides of which may be unknown; not
            changed.
        input_shape: The sides and channels that the copy reads.

    Raises:
        ValueError: ``input_shape`` does not fit what ``model`` reads, or is too small for it.
    """
    shape = check_input_shape(input_shape, model)
    flat = flatten(model)
    (old,) = flat.inputs
    image = keras.Input(shape, dtype=old.dtype, name=old.name)
    try:
        return copied(flat, inputs=keras.tree.map_structure(lambda _: image, flat.input))
    except ValueError as error:
        raise ValueError(
            f"`input_shape` must be one that {model.name!r} can read ({error}). "
            f"Received: input_shape={shape}"
        ) from error


def check_input_shape(input_shape: Any, model: keras.Model) -> tuple[int, ...]:
    """Return ``input_shape`` as a tuple; ``ValueError`` unless ``model`` reads such images."""
    expected = tuple(model.inputs[0].shape)[1:]
    shape = tuple(input_shape) if isinstance(input_shape, list | tuple) else ()
    fits = len(shape) == len(expected) and all(
        isinstance(side, int) and side > 0 and known in (None, side)
        for side, known in zip(shape, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"`input_shape` must be positive integers that fit what the model reads, {expected}. "
            f"Received: input_shape={input_shape!r}"
        )
    return shape
