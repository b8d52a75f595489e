"""Which classes the configuration of a network may name: what only computes with tensors.

Keras makes an object of every mapping with a ``class_name`` in a configuration. Among its own
classes are some that run code or read files that the configuration names (``Lambda``,
``TFSMLayer``, ``StringLookup``, ...), so the names here are those that are allowed.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from srm_keras.models.surgery.functional import functional_class

_LAYERS = {
    "products": (
        *("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
        *("Dense", "EinsumDense", "Embedding", "Attention", "MultiHeadAttention"),
    ),
    "norms": (
        *("BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization"),
        *("RMSNormalization", "UnitNormalization", "SpectralNormalization"),
    ),
    "functions": ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Rescaling", "Softmax"),
    "pools": (
        *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
        *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
        *("MaxPooling1D", "MaxPooling2D", "MaxPooling3D"),
        *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"),
        *("UpSampling1D", "UpSampling2D", "UpSampling3D", "Resizing", "CenterCrop"),
    ),
    "shapes": (
        *("Cropping1D", "Cropping2D", "Cropping3D"),
        *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
        *("Flatten", "Permute", "RepeatVector", "Reshape"),
    ),
    "of several": (
        *("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"),
    ),
    "only in training": (
        *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        *("RandomBrightness", "RandomContrast", "RandomCrop", "RandomErasing", "RandomFlip"),
        *("RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomRotation"),
        *("RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom"),
    ),
    "others": ("Identity", "InputLayer"),
}
LAYERS = frozenset(name for names in _LAYERS.values() for name in names)
_PARTS = {
    "keras.constraints": keras.constraints.Constraint,
    "keras.initializers": keras.initializers.Initializer,
    "keras.regularizers": keras.regularizers.Regularizer,
}
_MODELS = {("keras", "Functional"), ("keras", "Sequential"), ("keras", "DTypePolicy")}
_OWN = ("srm_keras.layers.", "srm_keras.models.")
_SCALES = (
    (keras.applications.ConvNeXtTiny.__module__, "LayerScale"),
    (keras.applications.InceptionResNetV2.__module__, "CustomScaleLayer"),
)
_VALUES = ("__keras_tensor__", "__numpy__", "__tensor__")  # places in the graph, and constants


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that names any class but stock layers and those of this package.

    Args:
        config: What ``keras.saving.serialize_keras_object(model)`` returns, or the ``config.json``
            of a ``.keras`` file. Its own ``compile_config`` is not looked at: it must not be used.

    Raises:
        ValueError: It is no model, or names another class; all of them are listed.
    """
    if not _is_model(config):
        raise ValueError(f"`config` must be that of a functional or Sequential model{_of(config)}.")
    inner = {key: value for key, value in config.items() if key != "compile_config"}
    refused = sorted({_name(entry) for entry in _objects(inner) if not _is_allowed(entry)})
    if refused:
        raise ValueError(
            "`config` must name stock Keras layers and those of srm_keras alone: other classes may "
            f"run code. Received: {', '.join(refused)}"
        )


def _is_model(config: Any) -> bool:
    return isinstance(config, Mapping) and config.get("class_name") in ("Functional", "Sequential")


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in nested lists and mappings of which Keras would make an object."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            if "class_name" in item:
                yield item
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def _is_allowed(entry: Mapping[str, Any]) -> bool:
    name, module, registered = (entry.get(k) for k in ("class_name", "module", "registered_name"))
    if name in _VALUES:
        return True
    if not isinstance(name, str) or not isinstance(module, str):
        return False
    if (module, name) in _MODELS | _without_public_name():
        return registered in (None, name)
    if isinstance(registered, str) and ">" in registered:
        return _is_own(name, module, registered)
    if registered is not None:
        return False
    if module == "keras.layers":
        return name in LAYERS
    return module in _PARTS and _is_part(_PARTS[module], module, name)


@functools.cache
def _without_public_name() -> frozenset[tuple[str, str]]:
    """Module and name of functional models, of ``+ - * /``, and of what some networks use.

    That is two operations of AdaIN networks, and the layers that scale in ``keras.applications``.
    """
    functional = functional_class()
    x = keras.Input((1,))
    shaped = keras.ops.reshape(keras.ops.flip(x, axis=-1), (-1, 1))
    model = keras.Model(x, ((shaped + x) * x - x) / x)
    operations = model.get_config()["layers"][1:]
    found = {(entry["module"], entry["class_name"]) for entry in operations}
    return frozenset(found | {(functional.__module__, functional.__name__), *_SCALES})


def _is_own(name: str, module: str, registered: str) -> bool:
    """Whether it is a registered layer of this package, under its own name and module."""
    kind = keras.saving.get_registered_object(registered)
    return (
        isinstance(kind, type)
        and issubclass(kind, keras.layers.Layer)
        and registered == f"srm_keras>{kind.__name__}"
        and (name, module) == (kind.__name__, kind.__module__)
        and module.startswith(_OWN)
    )


def _is_part(base: type, module: str, name: str) -> bool:
    kind = getattr(getattr(keras, module.removeprefix("keras.")), name, None)
    return isinstance(kind, type) and issubclass(kind, base)


def _name(entry: Mapping[str, Any]) -> str:
    """How an error calls a class: as Keras would look it up."""
    registered, module = entry.get("registered_name"), entry.get("module")
    if isinstance(registered, str) and ">" in registered:
        return json.dumps(registered)
    prefix = f"{module}." if module else ""
    return json.dumps(f"{prefix}{entry['class_name']}")


def _of(config: Any) -> str:
    name = config.get("class_name") if isinstance(config, Mapping) else None
    return f". Received: a configuration of {name!r}" if name else ""
