"""A SavedModel behind HTTP: an application for uvicorn; needs the extra ``serving``."""

import asyncio
import json
import os
import socket
import zlib
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from srm_keras.export.serving.requests import BadRequest, SavedModelService, check_saved_model

MAX_BYTES = 32 * 2**20
"""Of the body of a request, as it comes and, where it is compressed, as it is then."""

VERSION = "1"
"""Of the model; there is one."""

MAX_CONNECTIONS = 64
"""At the same time; further ones are answered with 503."""


def serve(saved_model: str | os.PathLike, name: str, host: str, port: int) -> None:
    """Serve a SavedModel until SIGINT or SIGTERM, which let running requests end.

    Args:
        saved_model: path of the SavedModel.
        name: of the model in the address ``/v1/models/NAME``.
        host: address to listen on.
        port: to listen on.

    Raises:
        ValueError: there is no SavedModel, or nothing can listen on ``host`` and ``port``.
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
