"""Explains network errors: which host, why, what to do.

No text made here contains a secret: a backend's message is shortened, and cleared of the tokens that the call
carried, since some backends echo the request in their errors.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.client_exceptions import UnixClientConnectorError

from arkor_dev import __version__
from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import (
    STATUS,
    ArkorError,
    BackendError,
    BadRequestError,
    TimedOutError,
    TooOldError,
    fault_of,
)
from arkor_dev.core.plain_text import one_line, sentence

from .unix_address import socket_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yarl import URL

PASSED_ON: Final = ("Deprecation", "Sunset", "Warning")
TEXT_LIMIT: Final = 2_000
BODY_LIMIT: Final = 64 * 1024


async def bounded(response: aiohttp.ClientResponse, limit: int) -> bytearray:
    """Read little more than ``limit`` bytes, so that the caller can detect a body that is too long."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            break
    return body


async def refusal(
    response: aiohttp.ClientResponse,
    host: str,
    headers: Mapping[str, str],
    secrets: tuple[str, ...],
    patience: float,
) -> ArkorError:
    """Return the backend's own message, shortened and without our tokens, whatever its form.

    The status alone decides what happens next, so a body that breaks off or takes longer than ``patience``
    seconds costs only the message.
    """
    raw = b""
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with asyncio.timeout(patience):
            raw = bytes(await bounded(response, BODY_LIMIT))
    text, extra = _message_of(raw, response.content_type)
    text = without(text, secrets)[:TEXT_LIMIT]
    if response.status == STATUS[TooOldError]:
        text = _outdated(text, extra or {}, host, secrets)
    elif not text:
        text = f"{host} answered {response.status} {response.reason or ''}".rstrip() + ". Try again later."
    elif extra is None:
        text = f"{host} answered {response.status}: {text}"
    error = fault_of(response.status, text, headers)
    if extra and not holds(extra, secrets):
        error.extra.update(extra)
    return error


def _outdated(message: str, extra: Mapping[str, object], host: str, secrets: tuple[str, ...]) -> str:
    """Explain that the backend refuses this version; its body has a sentence or only a code."""
    supported, current = extra.get("supportedRange"), extra.get("currentVersion")
    if " " in message and not supported:
        text = sentence(message)
    else:
        version = current if isinstance(current, str) and current else __version__
        text = f"{host} does not work with arkor-dev {one_line(version, 60)}"
        text += f": it supports {one_line(supported, 60)}." if isinstance(supported, str) else "."
    return f"{without(text, secrets)} To upgrade this Studio, run `{_upgrade_command()}`."


@functools.cache
def _upgrade_command() -> str:
    """Return the command, found once: that reads every installed package for a quarter of a second."""
    from arkor_dev.core.upgrade import upgrade_command  # reads files: not before it is needed

    return upgrade_command()


def _message_of(raw: bytes, content_type: str) -> tuple[str, dict[str, object] | None]:
    """Return the text of an error body, and the other fields of a JSON object (None if it is not one)."""
    try:
        answer = strict_json.parse(raw)  # its other fields go to the page, which cannot read NaN
    except strict_json.StrictJSONError:
        text = raw.decode(errors="replace")
        # A proxy's HTML page says less than its status does.
        readable = "html" not in content_type and not text.lstrip().startswith("<")
        return (" ".join(text.split()) if readable and text.replace("\n", " ").isprintable() else ""), None
    if not isinstance(answer, dict):
        return "", None
    error = answer.pop("error", None)
    if isinstance(error, dict):
        error = error.get("message")
    return (error, answer) if isinstance(error, str) and error else ("", None)


def without(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with every secret removed."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return text


def holds(document: object, secrets: Iterable[str]) -> bool:
    """Return whether a text in the JSON ``document`` contains a secret, even with quotes or backslashes."""
    text = json.dumps(document, ensure_ascii=False)
    return any(json.dumps(secret, ensure_ascii=False)[1:-1] in text for secret in secrets)


def passed_on(response: aiohttp.ClientResponse, secrets: Iterable[str] = ()) -> dict[str, str]:
    """Return the headers for the browser, without ``secrets`` or the call's own bearer token."""
    token = response.request_info.headers.get("Authorization", "").removeprefix("Bearer ")
    secrets = (*secrets, token)
    headers = {
        name: ", ".join(response.headers.getall(name)) for name in PASSED_ON if name in response.headers
    }
    return {name: without(value, secrets)[:TEXT_LIMIT] for name, value in headers.items()}


def origin_text(url: URL) -> str:
    """Return host and port for the user; never the userinfo or the query."""
    if socket_of(url) is not None:
        return "The local backend"
    if not url.host:
        return "the backend address"
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.is_default_port() else f"{host}:{url.port}"


def in_words(error: Exception, host: str, waited: float) -> ArkorError:
    """Explain a call to ``host`` that got no response; ``waited`` is in seconds."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOutError(
                f"{host} did not accept a connection in time. Check your network and try again."
            )
        case TimeoutError():
            return TimedOutError(f"{host} sent nothing for {waited:g} s. Try again later.")
        case aiohttp.ClientConnectorDNSError():
            return BackendError(f"The host {host} was not found. Check the address and your network.")
        case aiohttp.ClientSSLError():
            return BackendError(
                f"No trusted TLS connection to {host}. Check the address and this machine's certificates.",
            )
        case aiohttp.ClientProxyConnectionError():
            return BackendError(f"Cannot reach the proxy for {host}. Check HTTPS_PROXY and NO_PROXY.")
        case aiohttp.ClientHttpProxyError():
            return BackendError(f"The proxy refused {host} ({error.status}). Check HTTPS_PROXY and NO_PROXY.")
        case UnixClientConnectorError() | FileNotFoundError():
            return BackendError(f"{host} does not answer. Start Studio again if it does not come back.")
        case aiohttp.ClientConnectorError():
            # asyncio puts its own text into strerror: "Connect call failed ('127.0.0.1', 4000)".
            reason = os.strerror(error.os_error.errno) if error.os_error.errno else "connection failed"
            return BackendError(f"Cannot reach {host} ({reason}). Check that it is running and try again.")
        case aiohttp.InvalidURL():
            return BadRequestError(f"The backend address {host} is not usable. Check ARKOR_CLOUD_API_URL.")
        case _:
            return BackendError(f"{host} closed the connection ({type(error).__name__}). Try again.")
