"""Trained networks by name: the one place that says what a name means.

``build(name, weights=…)``, the ``init`` of recipes, ``--model`` of every command and
``load_predictor`` come here. ``models.weights`` learns of it when this module is imported.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from srm_keras.data import Preprocessing
from srm_keras.data.sources.imagenet import CLASS_NAMES
from srm_keras.interop import cards, hub
from srm_keras.interop.conversion import IMAGENET_MEAN, IMAGENET_STD, torch_network
from srm_keras.interop.keras_applications import IMAGENET_NETWORKS, read_imagenet
from srm_keras.interop.presets import is_preset_name, load_preset, read_card
from srm_keras.interop.pytorch import describe, list_timm, read_arrays
from srm_keras.interop.pytorch.files import PICKLED, SAFETENSORS
from srm_keras.models.applications import application_names, is_application
from srm_keras.models.catalog import build, list_models, without_module
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.weights import WEIGHTS_SUFFIX, Trained, register_library
from srm_keras.support.files import check_no_lfs_pointer, read_json, sha256_of
from srm_keras.support.validation import class_names, nearest

IMAGENET = "imagenet"
BEST = "best.keras"
PREPROCESSING = "preprocessing.json"
CLASSES = "classes.json"
ZOO = Path(__file__).parents[1] / "zoo"
"""The trained networks that come with the package: presets, ``NETWORK.WEIGHTS.zip``."""
NETWORKS = ZOO / "networks.csv"
"""What every network of the catalogue takes; ``tools.studies.network_costs`` counted it."""

_FILES_OF_OTHERS = ("tflite", "onnx", "h5")
FORMS = (
    "'imagenet', the name of a network in the package, 'timm/MODEL.TAG', 'hf://USER/REPOSITORY', "
    "a preset (folder or .zip), a run folder, or a .keras, .weights.h5, .safetensors or .pth file"
)

Companions = tuple[Preprocessing | None, tuple[str, ...] | None]
"""What a file says of its images and classes, None for what it does not say."""


def trained_kind(name: str | os.PathLike) -> str | None:
    """Return what a name is the name of; nothing is read but what lies there.

    Returns:
        ``"preset"``; ``"run"``, a folder with ``best.keras``; ``"keras"`` or ``"torch"``, a file;
        ``"named"``: ``timm/…``, or ``NETWORK.WEIGHTS`` with a network of the catalogue or of
        ``keras.applications``; or None.
    """
    name = os.fspath(name)
    path = Path(name)
    if is_preset_name(name):
        return "preset"
    if (path / BEST).is_file():
        return "run"
    if path.suffix == ".keras":
        return "keras"
    if path.suffix in (SAFETENSORS, *PICKLED):
        return "torch"
    return "named" if _is_by_name(name) and not path.exists() else None


def _is_by_name(name: str) -> bool:
    network, _, weights = name.partition(".")
    if weights in ("", *_FILES_OF_OTHERS):
        return False
    known = network in list_models() or (weights == IMAGENET and is_application(network))
    return known or name.startswith(hub.TIMM)


def read_trained(
    name: str | os.PathLike,
    network: str | None = None,
    field: str = "weights",
    options: Mapping[str, Any] | None = None,
) -> Trained:
    """Read a trained network by its name. Nothing that it holds is run.

    Args:
        name: ``"timm/seresnet50.ra2_in1k"``, ``"hf://USER/REPOSITORY@REVISION"``; a preset's folder
            or ``.zip`` file; a run folder (its best weights); a ``.keras`` file, or one of
            ``.safetensors``, ``.pth``, ``.pt`` with a ResNet's state dict;
            ``"resnet50.imagenet"``, a network and its weights as ``list_weights()`` has them.
        network: Of the catalogue; then the part behind the point is enough: ``"imagenet"``.
        field: What errors call ``name``.
        options: Of the network, where it is one of ``keras.applications``: ``{"alpha": 0.75}``.

    Returns:
        The network, with its preprocessing and class names where they are known.

    Raises:
        ValueError: There is none, or it cannot be had; one line says what was looked for, where,
            and what is known.
        ImportError: A package that reads it is not installed.
    """
    name = os.fspath(name)
    kind = trained_kind(name)
    if kind in _READERS:
        return _READERS[kind](name)
    if name.startswith(hub.TIMM):
        return hub.read_timm(name)
    if kind == "named":
        network, _, name = name.partition(".")
        trained = _named(network, name, field, options)
        if trained.name != f"{network}.{name}":  # the weights are of the network without modules
            shapes = {"input_shape": trained.model.input_shape[1:], "weights": name}
            model = build(network, classes=trained.model.output_shape[-1], **shapes)
            return dataclasses.replace(trained, model=model)
        return trained
    if network is not None and Path(name).name == name and not Path(name).exists():
        return _named(network, name, field, options)
    raise ValueError(_unknown(name, field))


def list_trained() -> list[str]:
    """Return the names of trained networks that are known without asking anybody."""
    in_package = [path.stem for path in ZOO.glob("*.zip")]
    of_keras = [f"{network}.{IMAGENET}" for network in (*IMAGENET_NETWORKS, *_applications())]
    return sorted([*in_package, *of_keras, *hub.list_timm_weights()])


def _applications() -> list[str]:
    """Those networks of ``keras.applications`` that are not of this package too."""
    return [name for name in application_names() if name.lower() not in IMAGENET_NETWORKS]


def card_of(name: str) -> Mapping[str, Any]:
    """Return the card of a network that comes with the package; of others nothing is known here.

    Its weights are not read.
    """
    file = ZOO / f"{name}.zip"
    return read_card(file) if file.is_file() else {}


def _named(
    network: str, weights: str, field: str, options: Mapping[str, Any] | None = None
) -> Trained:
    """The weights of a network of the catalogue or of ``keras.applications``, by their name."""
    name = f"{network}.{weights}"
    file = ZOO / f"{name}.zip"
    if file.is_file():
        return dataclasses.replace(_of_preset(str(file)), name=name)
    plain = without_module(network) if network in list_models() else network
    if weights == IMAGENET and (plain in IMAGENET_NETWORKS or is_application(plain)):
        return read_imagenet(plain, options)
    known = [one for one in list_trained() if one.split("/")[-1].split(".")[0] in (network, plain)]
    raise ValueError(
        f"`{field}` {weights!r} of {network!r} cannot be had: looked for in {ZOO} and in "
        f"keras.applications; known of it: {', '.join(known) or 'none'}"
        f"{nearest(weights, [one.split('.', 1)[1] for one in known])}. A preset, a run folder or "
        "a file is taken too"
    )


def _unknown(name: str, field: str) -> str:
    path = Path(name)
    if name.endswith(WEIGHTS_SUFFIX):
        reason = "whose network is not known: build(NETWORK, weights=FILE) takes it"
    elif path.is_dir():
        reason = f"a folder without {BEST} and without the manifest of a preset"
    else:
        reason = "a file of another kind" if path.exists() else "which does not exist"
    return f"`{field}` must be {FORMS}. Received: {name!r}, {reason}"


def _of_preset(name: str) -> Trained:
    found = load_preset(name)
    return Trained(found.model, name, found.sha256, found.preprocessing, found.classes, found.card)


def _of_keras_file(name: str) -> Trained:
    file = Path(name)
    if file.is_file():
        check_no_lfs_pointer("path", file)
    model = read_keras_file(file)
    return Trained(model, name, sha256_of(file), *companions_beside(file), _card_beside(file))


def _of_run(name: str) -> Trained:
    return dataclasses.replace(_of_keras_file(str(Path(name) / BEST)), name=name)


def _of_state_dict(name: str) -> Trained:
    """A file for PyTorch, with timm's ``config.json`` beside it or without."""
    file = Path(name)
    config = file.with_name("config.json")
    network = read_json(config).get("architecture") if config.is_file() else None
    if network in list_timm():
        return hub.timm_network(network, file, config, name)
    arrays = read_arrays(file)
    model = torch_network(arrays, describe(arrays))
    preprocessing, classes = companions_beside(file)
    if model.output_shape[-1] == len(CLASS_NAMES):
        preprocessing = preprocessing or Preprocessing.from_dict(
            cards.preprocessing(IMAGENET_MEAN, IMAGENET_STD, model.input_shape[1:])
        )
        classes = classes or CLASS_NAMES
    return Trained(model, name, sha256_of(file), preprocessing, classes)


_READERS: dict[str | None, Callable[[str], Trained]] = {
    "preset": _of_preset,
    "run": _of_run,
    "keras": _of_keras_file,
    "torch": _of_state_dict,
}


def companions_beside(file: Path) -> Companions:
    """Preprocessing and class names beside a file, None for what is not there.

    They are in ``preprocessing.json`` and ``classes.json``, or in the card of ``convert``.
    """
    preprocessing, classes = companions_in(file.parent)
    card = _card_beside(file)
    if preprocessing is None and card.get("preprocessing"):
        preprocessing = as_preprocessing(card["preprocessing"], file)
    contents = card.get("contents", {})
    if classes is None and contents.get("classifier") == "of the source":
        classes = CLASS_NAMES if contents.get("classes") == len(CLASS_NAMES) else None
    return preprocessing, classes


def companions_in(folder: Path) -> Companions:
    """Preprocessing and class names in a folder, None for what is not there."""
    preprocessing, classes = folder / PREPROCESSING, folder / CLASSES
    return (
        read_preprocessing(preprocessing) if preprocessing.is_file() else None,
        as_classes(read_description(classes), classes) if classes.is_file() else None,
    )


def _card_beside(file: Path) -> Mapping[str, Any]:
    card = file.with_name(file.name + cards.JSON_SUFFIX)
    found = read_description(card) if card.is_file() else {}
    return found if isinstance(found, Mapping) else {}


def read_preprocessing(path: str | os.PathLike) -> Preprocessing:
    """Return the preprocessing in a JSON file; raises ``ValueError`` for any other file."""
    return as_preprocessing(read_description(path), path)


def read_description(path: str | os.PathLike) -> Any:
    """Return what a JSON file holds; raises ``ValueError`` for any other file."""
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error})") from None


def as_preprocessing(attributes: Any, path: str | os.PathLike) -> Preprocessing:
    """Return the preprocessing that ``path`` describes by its attributes, else ``ValueError``."""
    try:
        return Preprocessing.from_dict(attributes)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} holds no preprocessing ({error})") from None


def as_classes(names: Any, path: str | os.PathLike) -> tuple[str, ...]:
    """Return the class names that ``path`` holds as a list, else ``ValueError``."""
    if not isinstance(names, list):
        raise ValueError(f"{str(path)!r} holds no list of class names. Received: {names!r}")
    try:
        return class_names("classes", names)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} holds no list of class names: {error}") from None


register_library(lambda: sys.modules[__name__])
