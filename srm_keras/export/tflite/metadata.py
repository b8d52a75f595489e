"""Class names and preprocessing inside of a TFLite file, as Android and MediaPipe expect them."""

import io
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from srm_keras.data import Preprocessing
from srm_keras.export.foreign import first_line
from srm_keras.export.tflite.metadata_buffer import ImageInput, Output, metadata_buffer
from srm_keras.files import write_atomically
from srm_keras.validation import class_names

LABELS = "labels.txt"
PREPROCESSING = "preprocessing.json"

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
        path: of a TFLite file without metadata, whose image input, the first, is
            (N, image_size, image_size, channels) if there is ``preprocessing``.
        preprocessing: of the network, or None.
        classes: names of the classes in the order of the scores, or None.
        name: of the model.

    Raises:
        ValueError: the file is none, has metadata, or does not fit ``preprocessing`` or
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


def read_metadata(
    path: str | os.PathLike,
) -> tuple[Preprocessing | None, tuple[str, ...] | None]:
    """Return preprocessing and class names in a TFLite file, None for what is not there.

    Class names are also read from files that others made: from the only text file in the archive
    at the end. Preprocessing is read where ``add_metadata`` wrote it.

    Raises:
        ValueError: the file is missing, or what it holds cannot be read.
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
            names = [name for name in archive.namelist() if _is_read(name)]
            return {name: archive.read(name).decode("utf-8") for name in names}
    except Exception as error:  # zipfile raises one of many for a damaged archive.
        raise ValueError(
            "`path` must be a TFLite file whose archive of labels and preprocessing can be read "
            f"({first_line(error)}). Received: path={str(path)!r}"
        ) from error


def _is_read(name: str) -> bool:
    return name == PREPROCESSING or name.endswith(".txt")


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
            # A fixed date: the same network gives the same file.
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()
