"""Files of weights into ``.keras`` files with a card, and back."""

import fnmatch
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from srm_keras.interop import cards
from srm_keras.interop.keras_applications import (
    NAMES,
    RGB_MEAN,
    RGB_STD,
    from_keras_applications,
)
from srm_keras.interop.pytorch import (
    TorchResNet,
    describe,
    from_torch_state_dict,
    read_arrays,
    save_torch_state_dict,
)
from srm_keras.interop.pytorch.files import check_target
from srm_keras.models.catalog import list_models, settings_of
from srm_keras.models.head import image_shape
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.resnet import DEPTHS, Architecture, ResNet
from srm_keras.support.files import writable_file, write_atomically
from srm_keras.support.timing import versions
from srm_keras.support.validation import one_of, positive_int

KERAS_APPLICATIONS = "keras_applications"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_TORCH_NOTE = (
    "RGB images, (value / 255 - mean) / std. Assumed: these are the values of torchvision and of "
    "the SRM authors. Of timm's weights, `pretrained_cfg` has mean, std, size and crop."
)
_KERAS_NOTE = (
    "RGB images, (value / 255 - mean) / std: what keras.applications' `preprocess_input` makes, "
    "but in RGB order, for which the first convolution was turned round."
)


def convert(
    weights: str | os.PathLike,
    model: str,
    out: str | os.PathLike,
    classes: int | None = None,
    pretrained: str | None = "imagenet",
    ema: bool | None = None,
) -> dict[str, Any]:
    """Write weights from elsewhere as a ``.keras`` file, with a card beside it.

    Args:
        weights: File of a PyTorch ResNet as for ``from_torch_state_dict``, or
            ``"keras_applications"``.
        model: Name of the network as ``build`` knows it, ``"srm_resnet50"``. Of a PyTorch file it
            must be the network that the file is of; of ``keras_applications`` the modules are new.
        out: The ``.keras`` file; ``OUT.card.json`` and ``OUT.card.md`` come beside it.
        classes: Number of classes, by default that of the weights; another number makes a new
            classifier.
        pretrained: The ``weights`` argument of ``keras.applications``.
        ema: Which weights of a PyTorch file are taken: as for ``from_torch_state_dict``.

    Returns:
        The card.

    Raises:
        ValueError: An argument or file does not fit; nothing was written.
        ImportError: A package that reads the file is not installed.
    """
    out = _keras_file("out", Path(out))
    network, module = _parts(model)
    if classes is not None:
        classes = positive_int("classes", classes)
    writable_file("out", out)
    if weights == KERAS_APPLICATIONS:
        if ema is not None:
            raise ValueError(f"`ema` is for PyTorch files. Received: ema={ema}, {weights=}")
        result, facts = _of_keras_applications(network, module, model, classes, pretrained)
    else:
        result, facts = _of_torch(Path(weights), network, module, model, classes, ema)
    write_atomically(out, result.save)
    facts = {"network": cards.network_facts(result), **facts, "versions": versions(cards.PACKAGES)}
    cards.write_card(out, facts)
    return facts


def convert_to_torch(
    weights: str | os.PathLike, out: str | os.PathLike, layout: str = "torchvision"
) -> dict[str, Any]:
    """Write the weights of a ``.keras`` file for PyTorch, with a card beside it.

    Args:
        weights: ``.keras`` file of a ResNet of this package.
        out: ``.safetensors``, ``.pth`` or ``.pt`` file.
        layout: As for ``to_torch_state_dict``.

    Returns:
        The card.

    Raises:
        ValueError: An argument or file does not fit; nothing was written.
        ImportError: A package that writes the file is not installed.
    """
    out = check_target(out)
    path = _keras_file("weights", Path(weights))
    if not path.is_file():
        raise ValueError(f"`weights` must be a file that exists. Received: weights={str(path)!r}")
    writable_file("out", out)
    model = read_keras_file(path)
    save_torch_state_dict(model, out, layout)
    facts = {
        "network": cards.network_facts(model),
        "source": {**cards.file_facts(path), "layout": "keras"},
        "written": {**cards.file_facts(out), "layout": layout},
        "versions": versions(cards.PACKAGES),
    }
    cards.write_card(out, facts)
    return facts


def _keras_file(name: str, path: Path) -> Path:
    if path.suffix != ".keras":
        raise ValueError(f"`{name}` must be a .keras file. Received: {name}={str(path)!r}")
    return path


def _parts(name: str) -> tuple[Architecture, Any]:
    """Network and recalibration spec of a catalogue name."""
    _, settings = settings_of(one_of("model", name, _known()))
    recalibration = settings.pop("recalibration", None)
    return Architecture(**settings), recalibration


def _known() -> list[str]:
    return [name for name in list_models() if not fnmatch.fnmatch(name, "*cifar*")]


def _of_keras_applications(
    network: Architecture, module: Any, name: str, classes: int | None, pretrained: str | None
) -> tuple[keras.Model, dict[str, Any]]:
    sources = {Architecture(*DEPTHS[int(source[6:])]): source for source in NAMES}
    if network not in sources:
        raise ValueError(
            "`model` must be a ResNet-50, 101 or 152 as keras.applications has it, "
            f"with or without a module. Received: model={name!r}"
        )
    source = sources[network]
    result = from_keras_applications(
        source, module, classes, weights=pretrained, channel_order="rgb", name=name
    )
    new_head = classes not in (None, 1000)
    return result, {
        "source": {"file": f"keras.applications.{source}", "weights": str(pretrained)},
        "contents": _contents(module, module is not None, result.output_shape[-1], new_head, "1x1"),
        "preprocessing": cards.preprocessing(RGB_MEAN, RGB_STD, result.input_shape[1:]),
        "notes": _KERAS_NOTE,
    }


def _of_torch(
    path: Path,
    network: Architecture,
    module: Any,
    name: str,
    classes: int | None,
    ema: bool | None,
) -> tuple[keras.Model, dict[str, Any]]:
    arrays = read_arrays(path, ema)
    found = describe(arrays)
    _check_name(found, network, module, name)
    result = torch_network(arrays, found, classes, name)
    count = result.output_shape[-1]
    return result, {
        "source": {**cards.file_facts(path), "layout": found.layout},
        "contents": _contents(found.recalibration, False, count, count != found.classes, "3x3"),
        "preprocessing": cards.preprocessing(IMAGENET_MEAN, IMAGENET_STD, result.input_shape[1:]),
        "notes": _TORCH_NOTE,
    }


def torch_network(
    arrays: Mapping[str, Any],
    found: TorchResNet,
    classes: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Build the network that a state dict is of, with its weights.

    Args:
        arrays: The state dict, as ``read_arrays`` gives it.
        found: What ``describe`` makes of it.
        classes: By default that of the weights; another number makes a new classifier.
        name: Of the network.

    Raises:
        ValueError: It has other than four stages, or no classifier and ``classes`` is None.
    """
    count = classes or found.classes
    if count is None:
        raise ValueError("`classes` is required for weights without a classifier.")
    network = ResNet(
        **found.network.settings,
        classes=count,
        recalibration=found.recalibration,
        input_shape=image_shape(found.image_size or 224),
        name=name,
    )
    return from_torch_state_dict(network, arrays, head=count == found.classes)


def _check_name(found: TorchResNet, network: Architecture, module: Any, name: str) -> None:
    theirs = (found.network, _module_name(found.recalibration))
    if theirs == (network.strided, _module_name(module)):
        return
    parts = {name: _parts(name) for name in _known()}
    right = [
        name for name, (one, spec) in parts.items() if (one.strided, _module_name(spec)) == theirs
    ]
    if not right:
        raise ValueError(f"`weights` must be of a network of `list_models()`. Received: {found}")
    raise ValueError(
        f"`model` must be {' or '.join(map(repr, right))} for these weights, which are of {found}. "
        f"Received: model={name!r}"
    )


def _module_name(spec: Any) -> str | None:
    spec = spec[0] if isinstance(spec, list) else spec
    return spec["name"] if isinstance(spec, Mapping) else spec


def _contents(
    recalibration: Any, new_modules: bool, classes: int, new_head: bool, stride_in: str
) -> dict[str, Any]:
    trained = "new, not trained" if new_modules else "of the source"
    return {
        "recalibration": recalibration,
        "modules": "none" if recalibration is None else trained,
        "classes": classes,
        "classifier": "new, not trained" if new_head else "of the source",
        "stride_in": stride_in,
    }
