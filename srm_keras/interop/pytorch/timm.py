"""Networks of timm, by timm's own names, with the weights of a file."""

import fnmatch
import os
from collections.abc import Mapping
from typing import Any

import keras

from srm_keras.interop.pytorch.architecture import describe
from srm_keras.interop.pytorch.files import read_arrays
from srm_keras.interop.pytorch.state_dict import from_torch_state_dict
from srm_keras.models.resnet import ResNet
from srm_keras.models.variants import NAMES, OTHERS, variant
from srm_keras.support.validation import one_of, positive_int


def list_timm() -> list[str]:
    """Return the names of timm's networks that ``from_timm`` builds, sorted, without tags."""
    return sorted(NAMES)


def from_timm(
    name: str,
    state_dict: Mapping[str, Any] | str | os.PathLike,
    classes: int | None = None,
    **options: Any,
) -> keras.Model:
    """Build the network that timm has under ``name``, with the weights of ``state_dict``.

    The name decides: networks of different function (``resnet50``, ``resnetaa50``) may have
    weights of the same names and shapes.

    Args:
        name: Of timm's network without the tag, one of ``list_timm()``: ``"seresnet50"``, not
            ``"seresnet50.ra2_in1k"``.
        state_dict: As for ``from_torch_state_dict``; a ``.safetensors`` file is read without
            PyTorch.
        classes: Number of classes, by default that of the weights; another number makes a new
            classifier.
        **options: More arguments of the network's builder, as for ``ResNet50``: ``input_shape``,
            ``include_top``, ``pooling``, ``classifier_activation``, ``data_format``. Images are
            standardized by the caller with timm's mean and std of these weights.

    Returns:
        A functional ``keras.Model`` named ``name``.

    Raises:
        ValueError: An unknown name (the message has the nearest), one of timm's that cannot be
            built here (it has the reason), weights of another network than the name says, or as
            ``from_torch_state_dict``.
    """
    network, recalibration = variant(_known(name))
    arrays = read_arrays(state_dict)
    found = describe(arrays)
    if (found.network, found.recalibration) != (network.strided, recalibration):
        raise ValueError(f"`state_dict` must be of timm's {name!r}. Received: weights of {found}")
    count = found.classes if classes is None else positive_int("classes", classes)
    settings = {"include_top": count is not None, "name": name, **network.settings, **options}
    model = ResNet(classes=count or 1000, recalibration=recalibration, **settings)
    return from_torch_state_dict(model, arrays, head=count == found.classes)


def _known(name: str) -> str:
    for pattern, reason in OTHERS.items():
        if fnmatch.fnmatch(str(name), pattern):
            raise ValueError(
                f"`name` must be one of `list_timm()`; timm's {name!r} is not built here: {reason}"
            )
    return one_of("name", name, NAMES)
