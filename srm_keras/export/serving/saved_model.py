"""SavedModel, the format of TensorFlow Serving and of every TensorFlow program without Keras."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.export.bounds import GREY_LEVELS, exact_bound
from srm_keras.export.deploy import Deployed
from srm_keras.export.parity import Parity
from srm_keras.export.pipeline import Exportable, Format, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import SIGNATURE, saved_model_runner, signature
from srm_keras.export.serving.signatures import (
    check_image_output,
    image_signature_parities,
    image_signatures,
    serving_signatures,
    signature_parities,
)
from srm_keras.models.surgery.functional import all_layers
from srm_keras.support.files import plain_path, write_json
from srm_keras.support.validation import boolean, class_names

PREPROCESSING = "preprocessing.json"
CLASSES = "classes.json"


def to_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    samples: np.ndarray,
    fold: bool = True,
    tolerance: float | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
    image_output: bool = False,
) -> ExportReport:
    """Export ``model`` as a SavedModel that computes the same, with a report beside it.

    It needs TensorFlow and no Keras: ``tf.saved_model.load(path).signatures[name](image=images)``.
    Signatures, all for batches of any size:

    - ``serving_default`` takes float images, prepared as for training, by the name of the input of
      ``model`` (``image`` in the networks of this package), and returns ``output_0``. Height and
      width are free where they are in ``model``.
    - ``serve_uint8``, with ``preprocessing``, takes raw images ``image``, uint8 (N, H, W, channels)
      of any H and W.
    - ``serve_jpeg``, with ``preprocessing``, takes ``image_bytes``, (N,) strings, each a whole JPEG
      or PNG file of a size of its own. A broken one is an ``InvalidArgumentError`` that names its
      position.

    The latter two prepare images as ``Preprocessing.evaluation`` does, refuse those without a pixel
    and those more than 50 times as long as they are wide or the reverse, and with ``classes`` also
    return ``class_name``, the name of the largest score, (N,) strings. ``preprocessing.json`` and
    ``classes.json`` lie in the SavedModel's folder ``assets``.

    With ``image_output`` the latter two need no ``preprocessing`` and return images:
    ``serve_uint8`` takes uint8 images (N, H, W, 3) as they are and returns the network's, rounded
    and clipped to 0 to 255, as uint8; ``serve_jpeg`` returns (N,) strings, PNG files, each of its
    image's size.

    The folder is published only after the outputs of all signatures were compared with those of
    ``model``. A SavedModel that lies at ``path`` is replaced then, and left alone where the export
    fails.

    Args:
        model: A functional model with one input and one output; not changed.
        path: The folder to write. ``report.json`` and ``report.md`` beside it hold the reports on
            all exports to the same place.
        samples: Real inputs, prepared as for training: floating, of the input's shape.
        fold: Whether to merge batch norm into the layers before it (``srm_keras.export.fold``).
        tolerance: Largest difference from the outputs of ``model``: absolute for outputs up to 1,
            relative to the largest output beyond; None: 10⁻⁵, or of pictures (``Kind.PICTURES``) a
            quarter of a grey level.
        preprocessing: How images were prepared for training; None: float images only.
        classes: Names of the classes, one for each score; None: scores only.
        image_output: Whether ``model`` turns RGB images, 0 to 255, into such images, as
            ``StylizationNet`` does; then without ``preprocessing`` and ``classes``.

    Raises:
        ValueError: An argument is not one of the above; nothing was written.
        ExportError: The outputs differ by more than ``tolerance``; nothing was written.
    """
    source = Exportable(model, samples)
    file_format = saved_model_format(source, tolerance, preprocessing, classes, image_output)
    return export(source, Path(path), file_format, fold)


def saved_model_format(
    source: Exportable,
    tolerance: float | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
    image_output: bool = False,
) -> Format:
    """What ``to_saved_model`` writes; see there."""
    check_preprocessing(preprocessing, source.model)
    check_classes(classes, source.model)
    if boolean("image_output", image_output):
        check_image_output(source.model)
        _check_bare(preprocessing, classes)
    bound = exact_bound(tolerance)

    def write(written: Deployed, path: Path) -> None:
        write_saved_model(written.network, path, preprocessing, classes, image_output)

    def signatures(path: Path, name: str) -> dict[str, Parity]:
        if image_output:
            levels = GREY_LEVELS if tolerance is None else 255 * tolerance
            return image_signature_parities(path, name, source, levels)
        if preprocessing is None:
            return {}
        return signature_parities(path, name, source, preprocessing, bound)

    return Format(
        name="SavedModel",
        write=write,
        load=saved_model_runner,
        bound=bound,
        check_path=check_saved_model_path,
        signatures=signatures,
        named=classes is not None,
    )


def write_saved_model(
    network: keras.Model,
    path: str | os.PathLike,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
    image_output: bool = False,
) -> None:
    """Write the inference of ``network``, its signatures and assets; see ``to_saved_model``."""
    spec = signature(network)
    signatures = {
        SIGNATURE: tf.function(
            lambda images: network(images, training=False), input_signature=[spec], autograph=False
        )
    }
    if preprocessing is not None:
        signatures |= serving_signatures(network, preprocessing, classes)
    if image_output:
        signatures |= image_signatures(network)
    module = tf.Module()
    module.weights = network.variables  # What is saved beside the functions that use it.
    module.tables = [x.lookup_table for x in all_layers(network) if hasattr(x, "lookup_table")]
    with tempfile.TemporaryDirectory() as folder:
        module.assets = _assets(Path(folder), preprocessing, classes)
        Path(path).mkdir(exist_ok=True)
        with plain_path(path) as plain:
            tf.saved_model.save(module, plain, signatures=signatures)


def _check_bare(preprocessing: Preprocessing | None, classes: Sequence[str] | None) -> None:
    if preprocessing is not None or classes is not None:
        raise ValueError(
            "`image_output` must be False for a network with preprocessing or classes. Received: "
            f"image_output=True, preprocessing={preprocessing!r}, classes={classes!r}"
        )


def check_saved_model_path(path: Path) -> None:
    """Raise ``ValueError`` unless ``path`` is free or holds a SavedModel."""
    if path.is_file() or (
        path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file()
    ):
        raise ValueError(
            "`path` must be a new or empty folder, or a SavedModel to replace. "
            f"Received: path={str(path)!r}"
        )


def _assets(
    folder: Path, preprocessing: Preprocessing | None, classes: Sequence[str] | None
) -> list[Any]:
    """The files that a SavedModel carries, written to ``folder`` to be copied from there."""
    contents = {
        PREPROCESSING: preprocessing and preprocessing.to_dict(),
        CLASSES: classes and list(classes),
    }
    present = {name: content for name, content in contents.items() if content is not None}
    for name, content in present.items():
        write_json(folder / name, content)
    return [tf.saved_model.Asset(os.fspath(folder / name)) for name in present]


def check_preprocessing(preprocessing: Any, model: keras.Model) -> None:
    """Raise ``ValueError`` unless this is None or makes what ``model`` reads."""
    if preprocessing is None:
        return
    if not isinstance(preprocessing, Preprocessing):
        raise ValueError(
            "`preprocessing` must be a srm_keras.data.Preprocessing or None. "
            f"Received: preprocessing={preprocessing!r}"
        )
    dtype = model.inputs[0].dtype
    if "int" in dtype:
        raise ValueError(
            f"`preprocessing` must be None for a model that reads {dtype}: it makes fractions. "
            f"Received: preprocessing={preprocessing!r}"
        )
    size = preprocessing.image_size
    made, read = (None, size, size, preprocessing.channels), model.inputs[0].shape
    if not tf.TensorShape(read).is_compatible_with(made):
        raise ValueError(
            f"`preprocessing` must make what the model reads, {tuple(read)}. "
            f"Received: one that makes {made}"
        )


def check_classes(classes: Any, model: keras.Model) -> None:
    """Raise ``ValueError`` unless this is None or holds one name for each score of ``model``."""
    if classes is None:
        return
    names = isinstance(classes, Sequence) and not isinstance(classes, str)
    if not names or not all(isinstance(name, str) and name for name in classes):
        raise ValueError(
            f"`classes` must be a list of names or None. Received: classes={classes!r}"
        )
    class_names("classes", classes)
    if tuple(model.outputs[0].shape[1:]) != (len(classes),):
        raise ValueError(
            "`classes` must hold one name for each score of the model, whose output is "
            f"{tuple(model.outputs[0].shape)}. Received: {len(classes)} names"
        )
