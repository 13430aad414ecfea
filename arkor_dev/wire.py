"""How one call goes over the network: limits, timeouts, and faults turned into words.

``backend.py`` says what is called, this module how. Everything that can go wrong between two machines
ends here as a :class:`StudioError` that names the host and the next step; no text that leaves this module
holds a secret. Redirects are never followed, since that would hand the token to whoever is named.

The proxy: ``HTTPS_PROXY`` (or the system's) is honoured for https, so that Studio works in a company's
network; loopback never goes through one. aiohttp's own ``trust_env`` stays off because it would also read
``~/.netrc`` and let it replace our token.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from .errors import StudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

PASSED_ON: Final = ("Deprecation", "Sunset", "Warning")
ERROR_TEXT_LIMIT: Final = 2_000
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``silence`` is the longest pause of an event stream, ``whole`` that of one bounded answer."""

    connect: float = 5
    first_byte: float = 15
    chat: float = 120
    silence: float = 60
    whole: float = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """A backend's whole answer. ``headers`` are the ones to pass on to the browser."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class UpstreamError(StudioError):
    """The backend answered with an error; ``headers`` are the ones to pass on to the browser."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.headers: Mapping[str, str] = headers or {}


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` (without port or brackets) can only be this machine."""
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Wire:
    """One ``ClientSession`` and the rules that every call on it obeys.

    ``own_ports`` are the ports this daemon listens on: a call to them would go round in circles.
    ``on_notice`` is called once for each different deprecation notice that a backend sends.
    """

    def __init__(self, session: aiohttp.ClientSession, timeouts: Timeouts | None = None) -> None:
        self._session = session
        self._told: set[tuple[str, str, str]] = set()
        self.timeouts = timeouts or Timeouts()
        self.own_ports: set[int] = set()
        self.on_notice: Callable[[str], None] | None = None

    async def call(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: bytes | None = None,
        limit: int = 8 * MIB,
        secrets: Iterable[str] = (),
    ) -> Answer:
        """One whole answer of at most ``limit`` bytes; raises ``StudioError`` for anything but a 2xx."""
        host = _place(url)
        try:
            async with (
                asyncio.timeout(self.timeouts.whole),
                self.stream(
                    method, url, headers=headers, data=data, pause=self.timeouts.first_byte, secrets=secrets
                ) as response,
            ):
                body = await _bounded(response, limit)
                if len(body) > limit:
                    raise StudioError(
                        502, f"{host} sent more than {limit // MIB} MiB. Ask for less, or try later."
                    )
                return Answer(response.status, bytes(body), _passed_on(response, secrets))
        except TimeoutError:
            raise StudioError(
                504, f"{host} did not finish its answer in {self.timeouts.whole:g} s. Try again."
            ) from None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: bytes | None = None,
        first_byte: float | None = None,
        pause: float | None = None,
        secrets: Iterable[str] = (),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A 2xx answer to read as it comes; raises ``StudioError`` for any other.

        ``first_byte`` bounds the wait for the status line, ``pause`` the silence between two reads. A fault
        of the stream itself that the reader runs into leaves the ``async with`` as a ``StudioError`` too;
        whatever else the reader raises passes unchanged.
        """
        self.check_address(url)
        host = _place(url)
        waiting = first_byte or self.timeouts.first_byte
        response = await self._head(method, url, host, headers, data, waiting, pause)
        try:
            await self._check(response, host, tuple(secrets))
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            if fault is not response.content.exception():
                raise
            raise _in_words(fault, host, pause or waiting) from None
        finally:
            # Not release(): the rest of a stream is unbounded, and the backend should see us leave now.
            response.close()

    def check_address(self, url: URL) -> None:
        """Raise ``StudioError`` 400 where a token must not go: clear text off this machine, or ourselves."""
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host)):
            raise StudioError(
                400,
                f"Studio does not call {_place(url)} over {url.scheme or 'no protocol'}, "
                "which would send your token in clear text. "
                "Set ARKOR_CLOUD_API_URL to an https:// address, or to http:// on this machine.",
            )
        if is_loopback(url.host) and url.port in self.own_ports:
            raise StudioError(
                400,
                f"The backend address {_place(url)} is this Studio itself. "
                "Set ARKOR_CLOUD_API_URL to the backend's address, or unset it.",
            )

    async def _head(
        self,
        method: str,
        url: URL,
        host: str,
        headers: Mapping[str, str],
        data: bytes | None,
        waiting: float,
        pause: float | None,
    ) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(
            total=None, connect=self.timeouts.connect, sock_read=max(pause or waiting, waiting)
        )
        try:
            async with asyncio.timeout(self.timeouts.connect + waiting):
                return await self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=data,
                    timeout=timeout,
                    allow_redirects=False,
                    proxy=_proxy_for(url),
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
            raise _in_words(fault, host, waiting) from None

    async def _check(self, response: aiohttp.ClientResponse, host: str, secrets: tuple[str, ...]) -> None:
        headers = _passed_on(response, secrets)
        self._tell(host, headers)
        status = response.status
        if 200 <= status < 300:
            return
        if status < 400:
            target = URL(response.headers.get("Location", "")).host
            raise UpstreamError(
                502,
                f"{host} redirects{f' to {target}' if target else ''} ({status}). Studio does not follow "
                "that with your token: set ARKOR_CLOUD_API_URL to the final address.",
                headers,
            )
        raise await _refusal(response, host, headers, secrets)

    def _tell(self, host: str, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            key = (host, name, value)
            if key not in self._told and len(self._told) < 1_000:
                self._told.add(key)
                if self.on_notice is not None:
                    self.on_notice(f"{host} says {name}: {value}")


@asynccontextmanager
async def open_wire(timeouts: Timeouts | None = None) -> AsyncIterator[Wire]:
    """The session that everything shares: no cookies, and no limit that streams could use up."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    ) as session:
        yield Wire(session, timeouts)


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytearray:
    """At most a little more than ``limit`` bytes, so that the caller can tell a body that is too long."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            break
    return body


async def _refusal(
    response: aiohttp.ClientResponse, host: str, headers: Mapping[str, str], secrets: tuple[str, ...]
) -> UpstreamError:
    """The backend's own words, bounded and without our token, whatever form they came in."""
    raw = bytes(await _bounded(response, 64 * 1024))
    extra: dict[str, object] = {}
    text = ""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        if response.content_type == "text/plain":
            text = raw.decode(errors="replace").strip()
    else:
        if isinstance(answer, dict) and isinstance(answer.get("error"), str):
            text = answer.pop("error")
            extra = answer
    text = _without(text, secrets)[:ERROR_TEXT_LIMIT]
    if not text:
        text = f"{host} answered {response.status} {response.reason or ''}".strip() + ". Try again later."
    if response.status == 426:
        text += " This version of arkor-dev is too old: pip install --upgrade arkor-dev"
    error = UpstreamError(response.status, text, headers)
    if extra and not any(secret in json.dumps(extra) for secret in secrets):
        error.extra.update(extra)
    return error


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return text


def _passed_on(response: aiohttp.ClientResponse, secrets: Iterable[str]) -> dict[str, str]:
    found = {name: ", ".join(response.headers.getall(name)) for name in PASSED_ON if name in response.headers}
    return {name: _without(value, secrets)[:ERROR_TEXT_LIMIT] for name, value in found.items()}


def _proxy_for(url: URL) -> URL | None:
    if url.scheme != "https" or not url.host or is_loopback(url.host):
        return None
    proxy = urllib.request.getproxies().get("https")
    return URL(proxy) if proxy and not urllib.request.proxy_bypass(url.host) else None


def _place(url: URL) -> str:
    """Host and port as a person knows them; never the userinfo or the query."""
    if not url.host:
        return "the backend address"
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.is_default_port() else f"{host}:{url.port}"


def _in_words(fault: Exception, host: str, waited: float) -> StudioError:
    match fault:
        case aiohttp.ConnectionTimeoutError():
            return StudioError(
                504, f"{host} did not accept a connection in time. Check your network and try again."
            )
        case TimeoutError():
            return StudioError(504, f"{host} sent nothing for {waited:g} s. Try again later.")
        case aiohttp.ClientConnectorDNSError():
            return StudioError(502, f"The host {host} was not found. Check the address and your network.")
        case aiohttp.ClientSSLError():
            return StudioError(
                502,
                f"No trusted TLS connection to {host}. Check the address and this machine's certificates.",
            )
        case aiohttp.ClientConnectorError():
            why = fault.os_error.strerror or "connection failed"
            return StudioError(502, f"Cannot reach {host} ({why}). Check that it is running and try again.")
        case aiohttp.InvalidURL():
            return StudioError(400, f"The backend address {host} is not usable. Check ARKOR_CLOUD_API_URL.")
        case _:
            return StudioError(502, f"{host} broke off the connection ({type(fault).__name__}). Try again.")
