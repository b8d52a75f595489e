"""texture_shapes: shapes filled with textures, drawn by a seeded generator; no download.

An object (one of ten shapes, at a random place, size and rotation) is filled with one procedural
texture and stands on a background of another. Colours, contrast, illumination and noise vary. An
image has two labels, its object's shape and its object's texture, and there are four splits:

- ``train`` and ``test``: ten texture families; ``cue_correlation`` is the probability that the
texture
  gives the shape away (shape k has texture k), by default chance.
- ``test_unseen_style``: four texture families that the other splits never show.
- ``cue_conflict`` (after Geirhos et al. 2019, section 2.2): the texture is always that of another
  shape.
"""

from srm_keras.data.texture_shapes.drawing import SHAPE_NAMES
from srm_keras.data.texture_shapes.generator import (
    CHANCE,
    GENERATOR_VERSION,
    SPLITS,
    Example,
    Examples,
    example,
    examples,
)
from srm_keras.data.texture_shapes.source import contact_sheet, load_examples, write_contact_sheets
from srm_keras.data.texture_shapes.textures import SEEN_TEXTURE_NAMES, TEXTURE_NAMES

__all__ = [
    "CHANCE",
    "GENERATOR_VERSION",
    "SEEN_TEXTURE_NAMES",
    "SHAPE_NAMES",
    "SPLITS",
    "TEXTURE_NAMES",
    "Example",
    "Examples",
    "contact_sheet",
    "example",
    "examples",
    "load_examples",
    "write_contact_sheets",
]
