"""Class names and preprocessing inside of a TFLite file, as Android and MediaPipe expect them.

Tables and positions are those of ``metadata_schema.fbs`` (identifier M001) in TFLite Support and
MediaPipe. Only what an image network needs is written.
"""

import io
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from srm_keras.data import Preprocessing
from srm_keras.support.files import write_atomically
from srm_keras.support.foreign import first_line
from srm_keras.support.validation import class_names

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
        name: Of the tensor.
        size: (height, width).
        channels: 1 or 3.
        mean: For ``(value - mean) / std`` of values in [0, 255], one a channel.
        std: Likewise; readers refuse lengths that differ.
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
        name: Of the model.
        image: The input that is an image; None where nothing is known of it.
        input_names: Names of all inputs, in the order of the subgraph.
        outputs: All outputs, in that order.
        files: Names of the associated files that belong to no tensor.
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


LABELS = "labels.txt"
PREPROCESSING = "preprocessing.json"

Described = tuple[Preprocessing | None, tuple[str, ...] | None]
_ENTRY = "TFLITE_METADATA"
_IDENTIFIER = b"TFL3"


def add_metadata(
    path: str | os.PathLike,
    preprocessing: Preprocessing | None,
    classes: Sequence[str] | None,
    name: str = "",
) -> None:
    """Write class names and preprocessing into a TFLite file, in place.

    They stand there in the two ways of the standard (tensorflow.org/lite/models/convert/metadata):
    a FlatBuffer within the model, which says size, colours and normalization of the image and to
    which output the labels belong; and files in a ZIP archive at the end, ``labels.txt``, one name
    a line, and this package's own ``preprocessing.json``. ``unzip model.tflite`` takes them out,
    and every runtime executes the file as before. The normalization is for values in [0, 255]:
    255 times ``mean`` and ``std``.

    Args:
        path: Of a TFLite file without metadata, whose image input, the first, is
            (N, image_size, image_size, channels) if there is ``preprocessing``.
        preprocessing: Of the network, or None.
        classes: Names of the classes in the order of the scores, or None.
        name: Of the model.

    Raises:
        ValueError: The file is none, has metadata, or does not fit ``preprocessing`` or
            ``classes``; it is left as it was.
    """
    path = Path(path)
    model = _model(path)
    if any(entry.name == _ENTRY.encode() for entry in model.metadata or []):
        raise ValueError(f"`path` must have no metadata yet. Received: path={str(path)!r}")
    files = _files(preprocessing, classes)
    (graph, *_) = model.subgraphs
    inputs, outputs = ([graph.tensors[i] for i in ids] for ids in (graph.inputs, graph.outputs))
    metadata = metadata_buffer(
        name,
        None if preprocessing is None else _image_input(inputs[0], preprocessing),
        [_name(tensor) for tensor in inputs],
        _outputs(outputs, classes),
        [file for file in files if file != LABELS],
    )
    content = _with_files(_with_entry(model, metadata), files)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def read_metadata(path: str | os.PathLike) -> Described:
    """Return preprocessing and class names in a TFLite file, None for what is not there.

    Class names are also read from files that others made: from the only text file in the archive
    at the end. Preprocessing is read where ``add_metadata`` wrote it.

    Raises:
        ValueError: The file is missing, or what it holds cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"`path` must be a TFLite file. Received: path={str(path)!r}")
    if not zipfile.is_zipfile(path):
        return None, None
    files = _texts(path)
    try:
        preprocessing = (
            Preprocessing.from_dict(json.loads(files[PREPROCESSING]))
            if PREPROCESSING in files
            else None
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"`path` must hold a {PREPROCESSING} of this package. Received: path={str(path)!r}, "
            f"where it says: {error}"
        ) from None
    texts = [text for name, text in files.items() if name != PREPROCESSING]
    labels = files.get(LABELS, texts[0] if len(texts) == 1 else None)
    return preprocessing, None if labels is None else names_in(labels)


def _texts(path: Path) -> dict[str, str]:
    """What this package reads of the archive at the end of a file, by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name: archive.read(name).decode("utf-8")
                for name in archive.namelist()
                if name == PREPROCESSING or name.endswith(".txt")
            }
    except Exception as error:  # zipfile raises one of many for a damaged archive.
        raise ValueError(
            "`path` must be a TFLite file whose archive of labels and preprocessing can be read "
            f"({first_line(error)}). Received: path={str(path)!r}"
        ) from error


def names_in(text: str) -> tuple[str, ...]:
    """Class names in a text, one a line; a line break at the end begins no further name."""
    return tuple(text.replace("\r\n", "\n").removesuffix("\n").split("\n"))


def _model(path: Path) -> schema.ModelT:
    content = path.read_bytes() if path.is_file() else b""
    if content[4:8] != _IDENTIFIER:
        raise ValueError(f"`path` must be a TFLite file. Received: path={str(path)!r}")
    return schema.ModelT.InitFromPackedBuf(content, 0)


def _files(preprocessing: Preprocessing | None, classes: Sequence[str] | None) -> dict[str, str]:
    """The associated files by name."""
    files = {}
    if classes is not None:
        names = class_names("classes", classes) if classes else ()
        if not names or any("\n" in name or "\r" in name for name in names):
            raise ValueError(
                "`classes` must be names without line breaks, at least one. "
                f"Received: classes={classes!r}"
            )
        files[LABELS] = "".join(f"{name}\n" for name in names)
    if preprocessing is not None:
        files[PREPROCESSING] = json.dumps(preprocessing.to_dict(), indent=2) + "\n"
    return files


def _image_input(tensor: schema.TensorT, preprocessing: Preprocessing) -> ImageInput:
    size, channels = preprocessing.image_size, preprocessing.channels
    shape = tuple(int(side) for side in tensor.shape)
    dynamic = shape if tensor.shapeSignature is None else tuple(tensor.shapeSignature)
    wanted = (size, size, channels)
    fits = len(shape) == 4 and all(
        side in (-1, expected) for side, expected in zip(dynamic[1:], wanted, strict=True)
    )
    if not fits:
        raise ValueError(
            f"`preprocessing` must make images of the shape that the network reads, {shape[1:]}. "
            f"Received: image_size={size}, channels={channels}"
        )
    mean, std = (
        tuple(255 * value for value in (values * channels if len(values) == 1 else values))
        for values in (preprocessing.mean, preprocessing.std)
    )
    return ImageInput(_name(tensor), (size, size), channels, mean, std)


def _outputs(tensors: list[schema.TensorT], classes: Sequence[str] | None) -> list[Output]:
    """All outputs; the first with as many scores as there are classes has the labels."""
    if classes is None:
        return [Output(_name(tensor)) for tensor in tensors]
    scores = [i for i, tensor in enumerate(tensors) if list(tensor.shape[1:]) == [len(classes)]]
    if not scores:
        shapes = [tuple(map(int, tensor.shape)) for tensor in tensors]
        raise ValueError(
            f"`classes` must be as many as the network has scores. Received: {len(classes)} "
            f"names for outputs of shape {', '.join(map(str, shapes))}"
        )
    return [
        Output(_name(tensor), LABELS if i == scores[0] else None)
        for i, tensor in enumerate(tensors)
    ]


def _name(tensor: schema.TensorT) -> str:
    return tensor.name.decode()


def _with_entry(model: schema.ModelT, metadata: bytes) -> bytes:
    """The packed model with one more metadata buffer."""
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = metadata
    entry.name, entry.buffer = _ENTRY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _with_files(model: bytes, files: dict[str, str]) -> bytes:
    """The model with a ZIP archive behind it, not compressed as the standard wants it."""
    if not files:
        return model
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # with a fixed date: the same file
    return buffer.getvalue()
