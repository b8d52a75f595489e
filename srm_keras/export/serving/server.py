"""A SavedModel behind HTTP: an application for uvicorn; needs the extra ``serving``."""

import asyncio
import json
import os
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from srm_keras.export.serving.requests import BadRequest, SavedModelService, check_saved_model

MAX_BYTES = 32 * 2**20
"""Of the body of a request."""

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
    larger than ``MAX_BYTES``. ``GET /v1/models/NAME`` tells that the model is ready.
    """

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
        if body is None:
            return JSONResponse({"error": f"The body is larger than {MAX_BYTES} bytes"}, 413)
        async with processors:  # Others wait, so that memory is enough for those that run.
            return await run_in_threadpool(answer, body)

    async def ready(request: Request) -> JSONResponse:
        state = {"version": "1", "state": "AVAILABLE"}
        return JSONResponse({"model_version_status": [state]})

    routes = [
        Route(f"/v1/models/{name}", ready, methods=["GET"]),
        Route(f"/v1/models/{name}:predict", predict, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={404: _error, 405: _error, 500: _error})


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it is known to be too large."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BYTES:
            return None
    return bytes(received)


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
