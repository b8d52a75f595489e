"""The standard metadata of a TFLite file as a FlatBuffer.

Tables and positions are those of `metadata_schema.fbs` (identifier M001) in TFLite Support and
MediaPipe. Only what an image network needs is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import flatbuffers

IDENTIFIER = b"M001"

_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2  # union ContentProperties
_NORMALIZATION_OPTIONS = 1  # union ProcessUnitOptions
_TENSOR_AXIS_LABELS = 2  # enum AssociatedFileType
_COLOR_SPACES = {3: 1, 1: 2}  # RGB and GRAYSCALE by channels
_PARSER = "1.0.0"  # the first version of the schema; no later field is used


@dataclass(frozen=True)
class ImageInput:
    """What the standard says of an image input.

    Attributes:
        name: of the tensor.
        size: (height, width).
        channels: 1 or 3.
        mean: for `(value - mean) / std` of values in [0, 255], one a channel.
        std: likewise; readers refuse lengths that differ.
    """

    name: str
    size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Output:
    """An output tensor, and the associated file with the names along its last axis, if any."""

    name: str
    labels: str | None = None


def metadata_buffer(
    name: str,
    image: ImageInput | None,
    input_names: Sequence[str],
    outputs: Sequence[Output],
    files: Sequence[str],
) -> bytes:
    """Return the metadata of a model with one subgraph.

    Args:
        name: of the model.
        image: the input that is an image; None where nothing is known of it.
        input_names: names of all inputs, in the order of the subgraph.
        outputs: all outputs, in that order.
        files: names of the associated files that belong to no tensor.
    """
    builder = flatbuffers.Builder(1024)
    inputs = [
        _image_tensor(builder, image)
        if image is not None and image.name == input_name
        else _table(builder, 7, {0: builder.CreateString(input_name)})
        for input_name in input_names
    ]
    results = [_output_tensor(builder, output) for output in outputs]
    subgraph = _table(
        builder, 10, {2: _references(builder, inputs), 3: _references(builder, results)}
    )
    associated = [_table(builder, 5, {0: builder.CreateString(file)}) for file in files]
    strings = {0: builder.CreateString(name), 7: builder.CreateString(_PARSER)}
    references = {3: _references(builder, [subgraph]), 6: _references(builder, associated)}
    builder.Finish(_table(builder, 8, {**strings, **references}), IDENTIFIER)
    return bytes(builder.Output())


def _image_tensor(builder: flatbuffers.Builder, image: ImageInput) -> int:
    sides = {0: image.size[1], 1: image.size[0]}
    size = _table(builder, 2, sides, builder.PrependUint32Slot)
    color_space = _COLOR_SPACES[image.channels]
    properties = _table(
        builder, 2, {1: size}, then=lambda: builder.PrependInt8Slot(0, color_space, 0)
    )
    content = _union(builder, _IMAGE_PROPERTIES, properties)
    normalization = _table(
        builder, 2, {0: _floats(builder, image.mean), 1: _floats(builder, image.std)}
    )
    units = _references(builder, [_union(builder, _NORMALIZATION_OPTIONS, normalization)])
    pairs = list(zip(image.mean, image.std, strict=True))
    largest = _floats(builder, [(255 - mean) / std for mean, std in pairs])
    smallest = _floats(builder, [-mean / std for mean, std in pairs])
    stats = _table(builder, 2, {0: largest, 1: smallest})
    name = builder.CreateString(image.name)
    return _table(builder, 7, {0: name, 3: content, 4: units, 5: stats})


def _output_tensor(builder: flatbuffers.Builder, output: Output) -> int:
    content = _union(builder, _FEATURE_PROPERTIES, _table(builder, 0, {}))
    fields = {0: builder.CreateString(output.name), 3: content}
    if output.labels is not None:
        file = _table(
            builder,
            5,
            {0: builder.CreateString(output.labels)},
            then=lambda: builder.PrependInt8Slot(2, _TENSOR_AXIS_LABELS, 0),
        )
        fields[6] = _references(builder, [file])
    return _table(builder, 7, fields)


def _union(builder: flatbuffers.Builder, kind: int, value: int) -> int:
    """A table whose first field is a union: its kind at position 0, its value at 1."""
    return _table(builder, 3, {1: value}, then=lambda: builder.PrependUint8Slot(0, kind, 0))


def _table(
    builder: flatbuffers.Builder,
    fields: int,
    values: dict[int, int],
    prepend: Callable[[int, int, int], None] | None = None,
    then: Callable[[], None] = lambda: None,
) -> int:
    """A table with ``values`` by position, offsets unless ``prepend`` says otherwise."""
    prepend = prepend or builder.PrependUOffsetTRelativeSlot
    builder.StartObject(fields)
    for position, value in values.items():
        prepend(position, value, 0)
    then()
    return builder.EndObject()


def _references(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
