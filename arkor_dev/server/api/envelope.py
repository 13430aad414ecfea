"""Converts errors to responses, and reads request bodies with limits on size and time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectionResetError, hdrs, web

from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import (
    MAKE_ROOM,
    ArkorError,
    BadRequestError,
    InsufficientStorageError,
    SlowRequestError,
    TooLargeError,
    is_disk_full,
    status_of,
)
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.server.security.guards import is_api, is_endpoint, json_error, refusal

if TYPE_CHECKING:
    from arkor_dev.backend.client import Response
    from arkor_dev.contract.schema import Schema
    from arkor_dev.server.security.guards import Handler

log = logging.getLogger(__name__)

BODY_TIMEOUT = 30.0
BODY_LIMIT = 16 << 20


@web.middleware
async def error_envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond with ``{"error": …}`` to every error under ``/api/``; log a bug and hide its details."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 (the one place where faults become answers)
        if request.writer.output_size == 0:
            return _answer_to(error, request)
        # The headers are sent, so only a broken connection can still signal an incomplete response.
        _log_break(error, request)
        raise ConnectionResetError from None


def _answer_to(error: Exception, request: web.Request) -> web.Response:
    structured = is_api(request.path) or is_endpoint(request.path)
    match error:
        case ArkorError():
            return fault_answer(error)
        case web.HTTPException() if not structured or not isinstance(error, web.HTTPError):
            raise error
        case web.HTTPException():
            text = f"{request.method} {request.path}: {error.reason.lower()}."
            answer = refusal(request, error.status, text)
            if hdrs.ALLOW in error.headers:
                answer.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            return answer
    if is_disk_full(error):
        return fault_answer(InsufficientStorageError(f"The disk is full. {MAKE_ROOM}."))
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return refusal(request, 500, "Unexpected error in Studio. Its terminal has the details.")


def fault_answer(error: ArkorError) -> web.Response:
    """Format an expected error as ``{"error": …}``."""
    answer = json_error(status_of(error), error.text, error.extra)
    answer.headers.update(error.headers)
    return answer


def _log_break(error: Exception, request: web.Request) -> None:
    match error:
        case ClientConnectionResetError():
            pass  # the client has disconnected
        case ArkorError():
            log.warning("%s %s broke off: %s", request.method, request.path, error.text)
        case _:
            log.error("%s %s broke off", request.method, request.path, exc_info=error)


def answered(answer: Response) -> web.Response:
    """Forward a backend's response unchanged."""
    headers = {**answer.headers, hdrs.CONTENT_TYPE: "application/json; charset=utf-8"}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


async def read_body(request: web.Request) -> bytes:
    """Read the whole body. Raises TooLargeError, or SlowRequestError if it does not arrive in time."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise SlowRequestError("The request's body did not arrive in time.") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLargeError(f"The request's body is larger than {BODY_LIMIT >> 20} MiB.") from None


async def read_object(request: web.Request, schema: Schema, *, optional: bool = False) -> dict[str, Any]:
    """Read the body as a JSON object that ``schema`` allows. Raises BadRequestError otherwise."""
    body = await read_body(request)
    if optional and not body:
        return {}
    return parse_object(body, schema)


def parse_object(body: bytes, schema: Schema) -> dict[str, object]:
    """Parse ``body`` as a JSON object that ``schema`` allows. Raises BadRequestError otherwise."""
    name = "The request's body"
    try:
        return check(strict_json.parse(body), schema, name)
    except strict_json.StrictJSONError as fault:
        raise BadRequestError(f"{name} {fault}.") from None
    except SchemaError as fault:
        raise BadRequestError(f"{fault}.") from None
