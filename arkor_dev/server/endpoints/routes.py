"""``/e/<slug>/v1``: guarded and limited here, answered by the backend (docs/contract.md#serving)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import ClientConnectionResetError, hdrs, web

from arkor_dev.backend.http_errors import bounded
from arkor_dev.contract.deployments import (
    ENDPOINT_PATH,
    IGNORED_HEADER,
    RATE_LIMITED,
    UNAUTHORIZED,
    WRONG_KEY,
    error_body,
    messages_error_body,
)
from arkor_dev.contract.errors import ArkorError, BackendError, SlowRequestError, TooLargeError, status_of
from arkor_dev.server.api.envelope import BODY_TIMEOUT
from arkor_dev.server.app_keys import BACKEND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_LIMIT: Final = 1 << 20
ANSWER_LIMIT: Final = 16 << 20
READ_SECONDS: Final = 60.0
"""How long a caller may take to read a piece of its answer."""
EVENT_STREAM: Final = "text/event-stream"
_KEY: Final = re.compile(r"Bearer +([\x21-\x7e]{1,200})", re.IGNORECASE | re.ASCII)
_NAMES: Final = re.compile(r"[a-z_]{1,40}(, [a-z_]{1,40}){0,15}")
KEY_HEADER: Final = "X-Api-Key"
MESSAGES: Final = "messages"
"""Anthropic's call, and the start of the path of its others; the rest are OpenAI's."""
NO_KEY: Final = "-"
"""Forwarded instead of a credential that cannot be a key; as wrong as any other."""
EMPTY_KEY: Final = "The API key is empty: set ARKOR_API_KEY to a key of this endpoint."
NOT_NOW: Final = "This endpoint cannot answer now: try again later."
WORDS: Final = {
    403: "This request is not allowed here.",
    404: "This endpoint does not exist.",
    413: f"The request's body is larger than {BODY_LIMIT >> 20} MiB.",
    429: "Too many requests: try again in a moment.",
}
"""Messages for errors that were not written for callers: the originals may reveal this machine."""


class _UnreadableError(ArkorError):
    """A request that OpenAI clients do not send, with its own status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text, code="unsupported_media_type")
        self.answered = status


def call(*path: str) -> Handler:
    """Return the handler of one path below a deployment's base URL."""

    async def handler(request: web.Request) -> web.StreamResponse:
        parts = [request.match_info.get(part, part) for part in path]
        try:
            body = await _body(request) if request.method == hdrs.METH_POST else None
            return await _passed(request, parts, body)
        except ArkorError as fault:
            if fault.extra.get("code") == WRONG_KEY and _has_empty_key(request):
                fault = fault.reworded(EMPTY_KEY, **fault.extra)
            return fault_answer(fault, anthropic=path[0] == MESSAGES)

    return handler


async def _passed(request: web.Request, path: list[str], body: bytes | None) -> web.StreamResponse:
    backend = request.app[BACKEND]
    async with backend.serve(request.match_info["slug"], path, _key(request), body) as upstream:
        if upstream.content_type == EVENT_STREAM:
            return await _streamed(request, upstream)
        try:
            answer = await bounded(upstream, ANSWER_LIMIT)
        except (aiohttp.ClientError, TimeoutError):
            raise BackendError(NOT_NOW) from None
        if len(answer) > ANSWER_LIMIT:
            raise BackendError(NOT_NOW)
        return web.Response(
            status=upstream.status, body=bytes(answer), content_type="application/json",
            headers=_ignored(upstream),
        )  # fmt: skip


async def _streamed(request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(
        status=upstream.status, headers={hdrs.CONTENT_TYPE: EVENT_STREAM, **_ignored(upstream)}
    )
    await response.prepare(request)
    size = 0
    try:
        async for piece in upstream.content.iter_any():
            size += len(piece)
            async with asyncio.timeout(READ_SECONDS):
                await response.write(piece)
            if size > ANSWER_LIMIT:
                raise TimeoutError  # longer than any answer
        await response.write_eof()
    except ClientConnectionResetError:
        pass  # the caller has disconnected
    except (aiohttp.ClientError, TimeoutError):
        # The backend broke off, or the caller does not read: a truncated answer must not look complete.
        if request.transport is not None:
            request.transport.abort()
    return response


def _ignored(upstream: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the header that names options without effect, if the backend sent a valid one."""
    value = upstream.headers.get(IGNORED_HEADER, "")
    return {IGNORED_HEADER: value} if _NAMES.fullmatch(value) else {}


async def _body(request: web.Request) -> bytes:
    """Return the body if it is JSON, within the size limit, and arrives in time.

    Web pages can send other content types cross-origin without a preflight, so those are refused.
    """
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
        raise _UnreadableError(415, "Send JSON: Content-Type must be application/json.")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise _UnreadableError(415, "Send the body unencoded, without Content-Encoding.")
    if (request.content_length or 0) > BODY_LIMIT:
        raise TooLargeError(WORDS[413], code="request_too_large")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise TooLargeError(WORDS[413], code="request_too_large")
    except TimeoutError:
        raise SlowRequestError("The request's body did not arrive in time.", code="request_timeout") from None
    return bytes(body)


def _key(request: web.Request) -> str | None:
    """Return the caller's key from a bearer token, or from Anthropic's header; None without either."""
    headers = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not headers:
        headers = [f"Bearer {key}" for key in request.headers.getall(KEY_HEADER, [])]
    if not headers:
        return None
    match = _KEY.fullmatch(headers[0]) if len(headers) == 1 else None
    return match[1] if match else NO_KEY


def _has_empty_key(request: web.Request) -> bool:
    """Return whether only the key is missing, as in a shell without the variable that should hold it."""
    return request.headers.get(hdrs.AUTHORIZATION, "").strip().lower() == "bearer"


def fault_answer(error: ArkorError, *, anthropic: bool = False) -> web.Response:
    """Format an error like OpenAI, or Anthropic; replace its text if it was not written for callers."""
    status, code = status_of(error), error.extra.get("code")
    text = error.text if code else WORDS.get(status, NOT_NOW)
    headers = {}
    if code == WRONG_KEY:
        status = UNAUTHORIZED
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    elif status == UNAUTHORIZED:  # our own authentication at the backend: no key of the caller's would help
        status, text = 502, NOT_NOW
    retry_after = error.extra.get("retryAfter")
    if status == RATE_LIMITED:
        headers[hdrs.RETRY_AFTER] = str(retry_after if isinstance(retry_after, int) else 1)
    body = error_body(status, text, code, error.extra.get("param"))
    if anthropic:
        body = messages_error_body(status, text)
    return web.json_response(body, status=status, headers=headers)


ROUTES: Final = [
    web.get(f"{ENDPOINT_PATH}/models", call("models"), allow_head=False),
    web.get(f"{ENDPOINT_PATH}/models/{{model}}", call("models", "model"), allow_head=False),
    web.post(f"{ENDPOINT_PATH}/chat/completions", call("chat", "completions")),
    web.post(f"{ENDPOINT_PATH}/completions", call("completions")),
    web.post(f"{ENDPOINT_PATH}/responses", call("responses")),
    web.post(f"{ENDPOINT_PATH}/responses/input_tokens", call("responses", "input_tokens")),
    web.post(f"{ENDPOINT_PATH}/{MESSAGES}", call(MESSAGES)),
    web.post(f"{ENDPOINT_PATH}/{MESSAGES}/count_tokens", call(MESSAGES, "count_tokens")),
    web.post(f"{ENDPOINT_PATH}/classify", call("classify")),
    web.post(f"{ENDPOINT_PATH}/embeddings", call("embeddings")),
    web.post(f"{ENDPOINT_PATH}/rerank", call("rerank")),
]
