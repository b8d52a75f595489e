"""The fields of a stylization recipe, and what may stand in them together.

``FIELDS`` is the whole list: ``default_recipe()`` is made from it, ``resolve()`` checks against it,
and docs/style_transfer.md describes it.
"""

import dataclasses
from typing import Any

from ml_collections import config_dict

from srm_keras.models.applications import PREPROCESSINGS
from srm_keras.models.stylization import NORMALIZATIONS
from srm_keras.training import fields as accepted
from srm_keras.training.fields import Field, Recipe, checked, defaults
from srm_keras.training.run_fields import RUN_FIELDS, run_problems

METHODS = ("feed_forward", "adain")


def _run_field(name: str, default: Any) -> Field:
    """A field of every training with a default of its own."""
    return dataclasses.replace(RUN_FIELDS[name], default=default)


FIELDS: dict[str, Field] = {
    **RUN_FIELDS,
    "batch_size": _run_field("batch_size", 4),
    "eval_batch_size": _run_field("eval_batch_size", 4),
    "learning_rate.base": _run_field("learning_rate.base", 1e-3),
    "method": Field("feed_forward", accepted.one_of(*METHODS), f"one of {METHODS}"),
    "normalization": Field(
        "instance", accepted.one_of(*NORMALIZATIONS), f"one of {NORMALIZATIONS}"
    ),
    "network.filters": Field(32, accepted.integer(1), "a positive integer"),
    "network.blocks": Field(5, accepted.integer(1), "a positive integer"),
    "content.name": Field("coco", accepted.is_name, "the name of a data set"),
    "content.options": Field(
        {}, accepted.is_mapping, "a mapping of arguments for `srm_keras.data.load`"
    ),
    "content.train_split": Field("train", accepted.is_name, "the name of a split"),
    "content.eval_split": Field("val", accepted.is_name, "the name of a split"),
    "content.eval_images": Field(64, accepted.integer(1), "a positive integer"),
    "content.image_size": Field(256, accepted.integer(8), "an integer of at least 8 (pixels)"),
    "content.resize": Field(
        None,
        accepted.optional(accepted.integer(8)),
        "None, or the shorter side in pixels before the crop",
    ),
    "content.flip": Field(False, accepted.is_bool, "True or False"),
    "content.cache": Field(
        False, accepted.is_bool, "True or False (decoded images are kept in memory)"
    ),
    "style.image": Field(None, accepted.optional(accepted.is_name), "None, or an image file"),
    "style.image_size": Field(
        0, accepted.integer(0), "the shorter side of the style image in pixels, or 0: as it is"
    ),
    "style.name": Field("image_files", accepted.is_name, "the name of a data set"),
    "style.options": Field(
        {}, accepted.is_mapping, "a mapping of arguments for `srm_keras.data.load`"
    ),
    "style.split": Field("all", accepted.is_name, "the name of a split"),
    "style.index": Field(0, accepted.integer(0), "the number of an example"),
    "features.network": Field(
        "vgg16", accepted.is_name, "a network of keras.applications, or a .keras file"
    ),
    "features.weights": Field(
        "imagenet",
        accepted.optional(accepted.is_name),
        "'imagenet', a weights file, or None: random (for tests)",
    ),
    "features.preprocessing": Field(
        None,
        accepted.optional(accepted.one_of(*PREPROCESSINGS)),
        f"None, or one of {tuple(PREPROCESSINGS)}, which a .keras file needs",
    ),
    "features.content_layer": Field("block2_conv2", accepted.is_name, "the name of a layer"),
    "features.style_layers": Field(
        ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"),
        accepted.are_some_names,
        "a tuple of names of layers",
    ),
    "loss.content": Field(1.0, accepted.is_at_least_0, "a number >= 0 (of the content loss)"),
    "loss.style": Field(1.0, accepted.is_at_least_0, "a number >= 0 (of the style loss)"),
    "loss.total_variation": Field(
        0.0, accepted.is_at_least_0, "a number >= 0 (of the total variation)"
    ),
    "samples": Field(4, accepted.integer(1), "a positive integer (images on a sample strip)"),
}


def default_recipe() -> config_dict.ConfigDict:
    """Returns a stylization recipe with every field at its default."""
    return defaults(FIELDS)


def resolve(recipe: Recipe) -> config_dict.ConfigDict:
    """Returns a checked copy of ``recipe`` in which every field stands.

    Args:
        recipe: A ``ConfigDict`` or a nested mapping with any of the fields in ``FIELDS``.

    Raises:
        ValueError: If a field is unknown, or its value is of the wrong type or out of range.
            The message names the field, the value and what would be right.
    """
    resolved = checked(recipe, FIELDS)
    problems = run_problems(resolved)
    if (
        resolved.content.resize is not None
        and resolved.content.resize < resolved.content.image_size
    ):
        problems.append(
            f"`content.resize` must be at least content.image_size={resolved.content.image_size}. "
            f"Received: content.resize={resolved.content.resize}"
        )
    if resolved.loss.content == resolved.loss.style == 0:
        problems.append("`loss.content` or `loss.style` must be positive. Received: both 0")
    if resolved.method == "adain":
        problems += _adain_problems(resolved)
    if problems:
        raise ValueError("; ".join(problems))
    return resolved


def _adain_problems(recipe: config_dict.ConfigDict) -> list[str]:
    """Fields that an AdaIN stylizer, which has neither modules nor one style, does not take."""
    unused = {
        "recalibration": recipe.recalibration,
        "style.image": recipe.style.image,
        "loss.total_variation": recipe.loss.total_variation or None,
    }
    return [
        f"`{name}` must be left out with method='adain'. Received: {name}={value!r}"
        for name, value in unused.items()
        if value is not None
    ]
