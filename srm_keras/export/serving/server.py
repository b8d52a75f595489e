"""A SavedModel behind HTTP, with the requests of TensorFlow Serving's REST interface."""

import asyncio
import base64
import binascii
import json
import os
import re
import socket
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import uvicorn
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tensorflow.core.protobuf import saved_model_pb2

from srm_keras.export.runners import SIGNATURE, load_saved_model
from srm_keras.support.foreign import first_line

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
        path: The SavedModel; each of its signatures has one input.

    Raises:
        ValueError: There is no SavedModel, or it is damaged.
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
            BadRequest: The signature does not exist, or the instances are not what it takes.
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


MAX_BYTES = 32 * 2**20
"""Of the body of a request, as it comes and, where it is compressed, as it is then."""

VERSION = "1"
"""Of the model; there is one."""

MAX_CONNECTIONS = 64
"""At the same time; further ones are answered with 503."""


def serve(saved_model: str | os.PathLike, name: str, host: str, port: int) -> None:
    """Serve a SavedModel until SIGINT or SIGTERM, which let running requests end.

    Args:
        saved_model: Path of the SavedModel.
        name: Of the model in the address ``/v1/models/NAME``.
        host: Address to listen on.
        port: To listen on.

    Raises:
        ValueError: There is no SavedModel, or nothing can listen on ``host`` and ``port``.
    """
    check_saved_model(saved_model)
    check_address(host, port)
    app = application(SavedModelService(saved_model), name)
    uvicorn.run(app, host=host, port=port, limit_concurrency=MAX_CONNECTIONS, access_log=False)


def check_address(host: str, port: int) -> None:
    """Raise ``ValueError`` unless it is possible to listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise ValueError(
            f"`host` and `port` must be an address to listen on ({error.strerror}). "
            f"Received: host={host!r}, port={port}"
        ) from None


def application(service: SavedModelService, name: str) -> Starlette:
    """The part of TensorFlow Serving's REST interface that ``service`` answers.

    ``POST /v1/models/NAME:predict`` is answered by ``service`` with status 200, or with 400 and
    ``{"error": …}`` where it raises ``BadRequest`` or the body is no JSON object, 413 where that is
    larger than ``MAX_BYTES``, 415 where it is compressed otherwise than by gzip. ``GET
    /v1/models/NAME`` tells that the model is ready, ``…/metadata`` what its signatures take. All
    have the same addresses with ``/versions/N`` behind the name too, where N is ``VERSION``.
    """
    metadata = {
        "model_spec": {"name": name, "signature_name": "", "version": VERSION},
        "metadata": {"signature_def": {"signature_def": service.signatures()}},
    }
    processors = asyncio.Semaphore(os.cpu_count() or 1)

    def answer(body: bytes) -> JSONResponse:
        try:
            return JSONResponse(service.answer(_parsed(body)))
        except BadRequest as error:
            return JSONResponse({"error": str(error)}, 400)

    async def predict(request: Request) -> JSONResponse:
        try:
            body = await _body(request)
        except ClientDisconnect:
            return JSONResponse({"error": "The body is not complete"}, 400)
        except _Refused as error:
            return JSONResponse({"error": str(error)}, error.status)
        async with processors:  # Others wait, so that memory is enough for those that run.
            return await run_in_threadpool(answer, body)

    async def ready(request: Request) -> JSONResponse:
        status = {"error_code": "OK", "error_message": ""}
        state = {"version": VERSION, "state": "AVAILABLE", "status": status}
        return JSONResponse({"model_version_status": [state]})

    async def described(request: Request) -> JSONResponse:
        return JSONResponse(metadata)

    routes = []
    for address in (f"/v1/models/{name}", f"/v1/models/{name}/versions/{VERSION}"):
        routes += [
            Route(address, ready, methods=["GET"]),
            Route(f"{address}/metadata", described, methods=["GET"]),
            Route(f"{address}:predict", predict, methods=["POST"]),
        ]
    return Starlette(routes=routes, exception_handlers={404: _error, 405: _error, 500: _error})


class _Refused(Exception):  # noqa: N818 - an answer, not an error of the server
    """A body that is not read to its end."""

    def __init__(self, reason: str, status: int):
        super().__init__(reason)
        self.status = status


async def _body(request: Request) -> bytes:
    """The body, decompressed; refused as soon as it is known to be too large."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise _Refused(f"The body must be plain or gzip. Received: {encoding}", 415)
    unzip = _Unzip() if encoding == "gzip" else None
    received, taken = bytearray(), 0
    async for chunk in request.stream():
        taken += len(chunk)
        received += unzip(chunk, MAX_BYTES + 1 - len(received)) if unzip else chunk
        if max(taken, len(received)) > MAX_BYTES:
            raise _Refused(f"The body is larger than {MAX_BYTES} bytes", 413)
    if unzip and not unzip.ended:
        raise _Refused("The body must be whole gzip data. Received: the beginning of some", 400)
    return bytes(received)


class _Unzip:
    """Decompresses gzip data that come in pieces: one member after another, as RFC 1952 has it."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    @property
    def ended(self) -> bool:
        """Whether nothing is missing."""
        return self._begun and self._member.eof

    def __call__(self, piece: bytes, limit: int) -> bytes:
        """What ``piece`` adds, of which at most ``limit`` bytes are made."""
        found = bytearray()
        while piece and len(found) < limit:
            if self._member.eof:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._begun = True
            try:
                found += self._member.decompress(piece, limit - len(found))
            except zlib.error as error:
                raise _Refused(f"The body must be gzip data. Received: {error}", 400) from None
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return bytes(found)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body must be JSON. Received: {error}") from None
    if not isinstance(request, dict):
        raise BadRequest(f"The body must be a JSON object. Received: {type(request).__name__}")
    return request


async def _error(request: Request, error: Exception) -> JSONResponse:
    status = getattr(error, "status_code", 500)
    detail = getattr(error, "detail", "Internal server error")
    return JSONResponse({"error": f"{detail}: {request.method} {request.url.path}"}, status)
