"""Answers of a SavedModel to requests in the form of TensorFlow Serving's REST interface."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.protobuf import saved_model_pb2

from srm_keras.export.foreign import first_line
from srm_keras.export.runners import SIGNATURE, load_saved_model

MAX_IMAGES = 128
"""In one request."""


class BadRequest(ValueError):  # noqa: N818 - the name of the HTTP status
    """A request that cannot be answered, for a reason that its sender can mend."""


class SavedModelService:
    """A loaded SavedModel that answers prediction requests.

    The requests and answers are those of TensorFlow Serving's ``POST …:predict`` in row form:
    ``{"signature_name": "serve_jpeg", "instances": [{"b64": "…"}, …]}`` is answered by
    ``{"predictions": […]}``.

    Args:
        path: the SavedModel; each of its signatures has one input.

    Raises:
        ValueError: there is no SavedModel, or it is damaged.
    """

    def __init__(self, path: str | os.PathLike):
        check_saved_model(path)
        self._path = Path(path)
        try:
            self._loaded = load_saved_model(path)
        except Exception as error:  # TensorFlow's and protobuf's have no class in common.
            raise ValueError(
                f"`saved_model` must be one that can be loaded ({first_line(error)}). "
                f"Received: saved_model={os.fspath(path)!r}"
            ) from None

    def answer(self, request: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return one prediction for each instance of the request.

        Args:
            request: ``instances``, a list of 1 to ``MAX_IMAGES`` images: nested lists of numbers or
                ``{"b64": …}`` with the base64 of an encoded image; also as ``{input name: …}``.
                ``signature_name``: the signature to run, ``serving_default`` without it.

        Returns:
            ``{"predictions": […]}``: for a signature with one output its values, else a mapping
            from the names of the outputs to their values.

        Raises:
            BadRequest: the signature does not exist, or the instances are not what it takes.
        """
        function = self._signature(request.get("signature_name", SIGNATURE))
        (spec,) = function.structured_input_signature[1].values()
        images = _tensor(_instances(request, spec.name), spec)
        try:
            outputs = function(**{spec.name: images})
        except tf.errors.InvalidArgumentError as error:
            raise BadRequest(_reason(error)) from None
        return {"predictions": _rows({name: value.numpy() for name, value in outputs.items()})}

    def signatures(self) -> dict[str, Any]:
        """Return inputs and outputs of each signature, as the SavedModel's file describes them."""
        saved = saved_model_pb2.SavedModel.FromString((self._path / "saved_model.pb").read_bytes())
        described = MessageToDict(
            saved.meta_graphs[0],
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )["signature_def"]
        return {name: described[name] for name in sorted(self._loaded.signatures)}

    def _signature(self, name: Any) -> Any:
        known = sorted(self._loaded.signatures)
        if name not in known:
            raise BadRequest(
                f"`signature_name` must be one of {known}. Received: signature_name={name!r}"
            )
        return self._loaded.signatures[name]


def check_saved_model(path: str | os.PathLike) -> None:
    """Raise ``ValueError`` unless there is a SavedModel with the signature ``serving_default``."""
    if not tf.saved_model.contains_saved_model(os.fspath(path)):
        raise ValueError(f"`path` must be a SavedModel. Received: path={os.fspath(path)!r}")


def _instances(request: Mapping[str, Any], name: str) -> list[Any]:
    instances = request.get("instances")
    if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_IMAGES:
        count = len(instances) if isinstance(instances, list) else type(instances).__name__
        raise BadRequest(
            f"`instances` must be a list of 1 to {MAX_IMAGES} images. Received: {count}"
        )
    return [
        instance[name] if isinstance(instance, dict) and set(instance) == {name} else instance
        for instance in instances
    ]


def _tensor(instances: list[Any], spec: tf.TensorSpec) -> tf.Tensor:
    if spec.dtype == tf.string:
        return tf.constant([_decoded(value, place) for place, value in enumerate(instances)])
    return tf.constant(_numbers(instances, spec))


def _decoded(instance: Any, position: int) -> bytes:
    """The bytes of one ``{"b64": …}``."""
    try:
        if set(instance) != {"b64"}:
            raise TypeError
        return base64.b64decode(instance["b64"], validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise BadRequest(
            '`instances` must hold encoded images as {"b64": "…"}, in base64. '
            f"Received: something else at position {position}, counted from 0"
        ) from None


def _numbers(instances: list[Any], spec: tf.TensorSpec) -> np.ndarray:
    """The instances as an array of the shape and dtype of ``spec``."""
    wanted = f"{spec.dtype.name} images of shape {_text(spec.shape[1:])}"
    try:
        values = np.array(instances)
    except ValueError:
        raise BadRequest(
            f"`instances` must hold {wanted}. Received: lists of unequal lengths"
        ) from None
    if values.dtype.kind not in "iuf" or not spec.shape.is_compatible_with(values.shape):
        received = "something else" if values.dtype.kind not in "iuf" else _text(values.shape[1:])
        raise BadRequest(f"`instances` must hold {wanted}. Received: {received}")
    limits = np.iinfo if spec.dtype.is_integer else np.finfo
    limit = limits(spec.dtype.as_numpy_dtype)
    whole = values.dtype.kind in "iu" or not spec.dtype.is_integer
    # Written so that NaN is out of range.
    if not whole or not ((values >= limit.min) & (values <= limit.max)).all():
        kind = f"integers from {limit.min} to {limit.max}" if spec.dtype.is_integer else "finite"
        raise BadRequest(f"`instances` must hold {wanted}, all values {kind}. Received: others")
    return values.astype(spec.dtype.as_numpy_dtype)


def _text(shape: Any) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"


def _reason(error: tf.errors.OpError) -> str:
    """What a check in the graph said, without the names of nodes around it."""
    said = re.search(r"assertion failed: \[(.*?)\]\s*$", error.message, re.MULTILINE)
    return said[1] if said else "The signature cannot be run on these instances"


def _rows(outputs: dict[str, np.ndarray]) -> list[Any]:
    """One row for each image; JSON has no NaN, so that is the sender's fault too."""
    for name, values in outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise BadRequest(
                f"The network's {name} is not finite on these instances: their values are far from "
                "what it was trained on"
            )
    columns = {name: _listed(values) for name, values in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _listed(values: np.ndarray) -> list[Any]:
    return [v.decode() for v in values] if values.dtype.kind in "OS" else values.tolist()
