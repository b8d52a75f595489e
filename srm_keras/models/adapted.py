"""Networks of others as classifiers: for these images and classes, with modules put in."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from srm_keras.layers import Spec
from srm_keras.layers.state import copy_state
from srm_keras.models.applications import application_classifier, is_application
from srm_keras.models.catalog import list_models
from srm_keras.models.flatten import flatten_named
from srm_keras.models.head import head_of, logits
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.residual import NestedSpec
from srm_keras.models.surgery.functional import copied, remade
from srm_keras.models.surgery.graph import read_graph
from srm_keras.models.surgery.insertion import SUFFIX, insert_recalibration, specs_of_places
from srm_keras.models.surgery.places import Place, find_places
from srm_keras.models.weights import Blueprint

FILE = ".keras"


def is_adaptable(name: str) -> bool:
    """Whether ``adapted`` takes this name, of which this package has no network itself."""
    return name not in list_models() and (name.endswith(FILE) or is_application(name))


def adapted(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    recalibration: NestedSpec = None,
    where: str | Iterable[str] | None = None,
    options: Mapping[str, Any] | None = None,
    blueprint: Blueprint | None = None,
) -> keras.Model:
    """Build a network of ``keras.applications`` or of a ``.keras`` file for other data.

    Its weights are random: of a file only the architecture is taken, and what a ``Normalization``
    was adapted to. Models inside of it are taken apart. A classifier for another number of classes
    is exchanged for one for ``classes``; where there is none, one comes behind the features.

    Args:
        name: Of a network of ``keras.applications``, or the path of a ``.keras`` file.
        input_shape: (H, W, C) of the images.
        classes: Their number.
        recalibration: What ``insert_recalibration`` takes; None: no modules are put in.
        where: As for ``insert_recalibration``; None: ``"block_ends"``. In a model inside of a file
            a layer may be called ``"inner/layer"``.
        options: Arguments of the constructor in ``keras.applications``; a file has none.
        blueprint: Of the trained network whose weights this one will get: it completes the specs,
            and modules that are new start neutral.

    Returns:
        A functional ``keras.Model`` of the global dtype policy, its last layer in float32; no
        layer is frozen.

    Raises:
        ValueError: There is no such network, it cannot read such images, does not end in a softmax
            or logits, or the options or the modules are refused.
    """
    names: Mapping[str, str] = {}
    if name.endswith(FILE):
        _check_no_options(options)
        model, names = flatten_named(read_keras_file(name))
        base = _made_anew(model, name, input_shape, classes)
    else:
        base = application_classifier(name, input_shape, classes, options)
    if head_of(base) is None:
        base = _with_head(base, classes)
    if recalibration is not None or where is not None:
        where = _places(where, names)
        if blueprint is not None:
            recalibration = _completed(recalibration, find_places(base, where), blueprint)
        base = insert_recalibration(base, recalibration, where)
    logits(base)
    return base


def architecture_digest(name: str) -> str | None:
    """Return what tells the architecture of a ``.keras`` file from another; None for other names.

    Raises:
        ValueError: There is no such file, or it is refused.
    """
    if not name.endswith(FILE):
        return None
    config = read_keras_file(name).get_config()
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def _places(where: str | Iterable[str] | None, names: Mapping[str, str]) -> str | list[str]:
    """``where`` with the names that layers have once inner models are taken apart."""
    if where is None:
        return "block_ends"
    return where if isinstance(where, str) else [names.get(name, name) for name in where]


def _completed(spec: NestedSpec, places: Sequence[Place], blueprint: Blueprint) -> list[Spec]:
    """A spec for the module of each place."""
    specs = specs_of_places(spec, [place.path for place in places])
    return [
        blueprint.completed(one, f"{place.layer.name}{SUFFIX}")
        for one, place in zip(specs, places, strict=True)
    ]


def _check_no_options(options: Mapping[str, Any] | None) -> None:
    if options:
        raise ValueError(
            f"`options` must be empty for a {FILE} file, which says all of its network. "
            f"Received: options={dict(options)}"
        )


def _made_anew(
    model: keras.Model, name: str, input_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """A copy of a flat network with random weights, for these images and classes."""
    shapes = [tuple(x.shape[1:]) for x in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 3 or len(model.outputs) != 1:
        raise ValueError(
            "`name` must be a network with one output that reads images, (H, W, C). Received: "
            f"{name!r} with inputs of the shapes {shapes} and {len(model.outputs)} outputs"
        )
    if shapes[0][-1] != input_shape[-1]:
        raise ValueError(
            f"Images must have the {shapes[0][-1]} channels that {name!r} reads. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    changes = _changes_for_classes(model, classes)
    ((last, _),) = read_graph(model).outputs

    def layer(source: Any) -> Any:
        if not isinstance(source, keras.layers.Layer):
            return remade(source, source.name)
        dtype = "float32" if source.name == last else keras.config.dtype_policy()
        changed = changes.get(source.name, {})
        return remade(source, source.name, **{"dtype": dtype, "trainable": True, **changed})

    image = keras.Input(input_shape, name="image")
    inputs = keras.tree.map_structure(lambda _: image, model.input)
    try:
        return copied(model, layer, inputs=inputs, state=_copy_if_adapted)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{name!r} cannot be for images {tuple(input_shape)}: {reason}") from None


def _copy_if_adapted(source: Any, copy: Any) -> None:
    """Copy what was not learned by training: the statistics of standardization in the network."""
    if isinstance(source, keras.layers.Normalization):
        copy_state(source, copy)


def _changes_for_classes(model: keras.Model, classes: int) -> dict[str, dict[str, Any]]:
    """What is another in the configuration of layers where a classifier is for other classes."""
    head, width = head_of(model), model.output_shape[-1]
    if head is None or width == classes:
        return {}
    is_dense = isinstance(model.get_layer(head), keras.layers.Dense)
    changes: dict[str, dict[str, Any]] = {head: {"units" if is_dense else "filters": classes}}
    behind = model.layers[model.layers.index(model.get_layer(head)) :]
    for layer in behind:
        if isinstance(layer, keras.layers.Reshape):
            changes[layer.name] = {"target_shape": (*layer.target_shape[:-1], classes)}
    return changes


def _with_head(features: keras.Model, classes: int) -> keras.Model:
    """``features`` and a classifier behind them."""
    x = features.output
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    if len(x.shape) != 2:
        raise ValueError(
            "`name` must be a network that ends in a classifier, in feature maps or in features, "
            f"(N, C). Received: {features.name!r} with outputs {features.output_shape}"
        )
    x = keras.layers.Dense(classes, "softmax", dtype="float32", name="predictions")(x)
    return keras.Model(features.input, x, name=features.name)
