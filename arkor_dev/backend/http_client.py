"""Sends one call over the network: limits, timeouts, and explained errors.

``client.py`` lists the calls. Every failure between two machines becomes an `ArkorError` that names the host
and the next step; no text that leaves this module contains a secret. Redirects are never followed, since that
would send the token to another host.

The proxy: ``HTTPS_PROXY`` (or the system's) is used for https, so that Studio works in a company's network;
loopback never goes through one. aiohttp's own ``trust_env`` stays off because it would also read ``~/.netrc``
and let it replace our token.
"""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from arkor_dev.contract.errors import BackendError, BadRequestError, TimedOutError
from arkor_dev.contract.placement import is_loopback
from arkor_dev.core.proxy import proxy_for

from .http_errors import bounded, in_words, origin_text, passed_on, refusal
from .silence import silence_at_most
from .unix_address import is_private, on_socket, socket_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

NOTICES_PER_HEADER: Final = 5
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. ``silence`` is the longest pause of an event stream, ``total`` the limit of one answer."""

    connect: float = 5
    first_byte: float = 15
    chat: float = 120
    silence: float = 60
    total: float = 120


@dataclass(frozen=True, slots=True)
class Response:
    """A backend's complete response. ``headers`` are those to pass on to the browser."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpClient:
    """One ``ClientSession`` and the rules for every call on it.

    A backend may listen on a Unix socket instead of a port (``unix_address.py``). ``own_ports`` are the ports
    of this daemon: a call to them would loop. ``on_notice`` is called once for each deprecation notice.
    """

    def __init__(self, session: aiohttp.ClientSession, timeouts: Timeouts | None = None) -> None:
        self._session = session
        self._on_socket: tuple[Path, aiohttp.ClientSession] | None = None
        self._notices: dict[tuple[str, str], set[str]] = {}
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
        patience: float | None = None,
    ) -> Response:
        """Return one complete response: at most ``limit`` bytes of JSON, or nothing.

        ``patience`` is the timeout of a slow call, in seconds. The response is checked, not parsed. Raises
        ArkorError for anything but a 2xx.
        """
        host = origin_text(url)
        try:
            async with (
                asyncio.timeout(patience or self.timeouts.total),
                self.stream(
                    method,
                    url,
                    headers=headers,
                    data=data,
                    secrets=secrets,
                    first_byte=patience,
                    pause=patience or self.timeouts.first_byte,
                ) as response,
            ):
                body = await bounded(response, limit)
                if len(body) > limit:
                    raise BackendError(
                        f"{host} sent more than {limit // MIB} MiB. Ask for less, or try later."
                    )
                if body and bytes(body[:64]).lstrip()[:1] not in (b"{", b"["):
                    raise BackendError(f"{host} did not answer with JSON. Check that it is the backend.")
                return Response(response.status, bytes(body), passed_on(response, secrets))
        except TimeoutError:
            raise TimedOutError(
                f"{host} did not finish its answer in {self.timeouts.total:g} s. Try again."
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
        silence: float | None = None,
        secrets: Iterable[str] = (),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield a 2xx response, to be read as it arrives; raise ArkorError for any other.

        ``first_byte`` limits the wait for the status line, ``pause`` the time between two reads. ``silence``
        limits that too, for streams of small pieces whose reader never stops reading. An error of the stream
        itself leaves the ``async with`` as an ArkorError; other exceptions of the reader pass unchanged.
        """
        self.check_address(url)
        host = origin_text(url)
        waiting = first_byte or self.timeouts.first_byte
        response = await self._head(method, url, host, headers, data, waiting, pause, silence)
        try:
            await self._check(response, host, tuple(secrets))
            with nullcontext() if silence is None else silence_at_most(silence, response.content):
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            if fault is not response.content.exception():
                raise
            raise in_words(fault, host, silence or pause or waiting) from None
        finally:
            # Not release(): the rest of a stream is unbounded, and the backend should notice now that we
            # leave.
            response.close()

    def check_address(self, url: URL) -> None:
        """Raise ArkorError where a token must not go: to another machine in clear text, or to ourselves."""
        if (socket := socket_of(url)) is not None:
            _check_socket(socket, url)
            return
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host)):
            raise BadRequestError(
                f"Studio does not call {origin_text(url)} over {url.scheme or 'no protocol'}, "
                "which would send your token in clear text. "
                "Set ARKOR_CLOUD_API_URL to an https:// address, or to http:// on this machine.",
            )
        if is_loopback(url.host) and url.port in self.own_ports:
            raise BadRequestError(
                f"The backend address {origin_text(url)} is this Studio itself. "
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
        silence: float | None,
    ) -> aiohttp.ClientResponse:
        socket = socket_of(url)
        session = self._session if socket is None else await self._session_on(socket)
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=self.timeouts.connect,
            sock_read=None if silence else max(pause or waiting, waiting),
        )
        try:
            async with asyncio.timeout(self.timeouts.connect + waiting):
                return await session.request(
                    method,
                    url if socket is None else on_socket(url),
                    headers=headers,
                    # aiohttp writes a bytes body in one piece, however large, and a file-like one in
                    # portions.
                    data=io.BytesIO(data) if data and len(data) > MIB else data,
                    timeout=timeout,
                    allow_redirects=False,
                    proxy=proxy_for(url),
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise in_words(fault, host, waiting) from None

    async def _session_on(self, socket: Path) -> aiohttp.ClientSession:
        """Return the session of a backend on a socket; a restarted backend has a new one."""
        if self._on_socket is None or self._on_socket[0] != socket:
            old, session = self._on_socket, _session(aiohttp.UnixConnector(str(socket), limit=0))
            self._on_socket = socket, session
            if old is not None:
                await old[1].close()
            return session
        return self._on_socket[1]

    async def close(self) -> None:
        """Close the session on a socket."""
        if self._on_socket is not None:
            (_, session), self._on_socket = self._on_socket, None
            await session.close()

    async def _check(self, response: aiohttp.ClientResponse, host: str, secrets: tuple[str, ...]) -> None:
        headers = passed_on(response, secrets)
        self._report_notices(host, headers)
        status = response.status
        if 200 <= status < 300:
            return
        if status < 400:
            target = _host_of(response.headers.get("Location", ""))
            error = BackendError(
                f"{host} redirects{f' to {target}' if target else ''} ({status}). Studio does not follow "
                "that with your token: set ARKOR_CLOUD_API_URL to the final address."
            )
            error.headers = headers
            raise error
        raise await refusal(response, host, headers, secrets, self.timeouts.first_byte)

    def _report_notices(self, host: str, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            reported = self._notices.setdefault((host, name), set())
            # A warning may contain the time of day and so be new at each call.
            if value not in reported and len(reported) < NOTICES_PER_HEADER:
                reported.add(value)
                if self.on_notice is not None:
                    self.on_notice(f"{host} says {name}: {value}")


@asynccontextmanager
async def open_http_client(timeouts: Timeouts | None = None) -> AsyncIterator[HttpClient]:
    """Open the session that everything shares: no cookies, and no limit that streams could exhaust."""
    async with _session(aiohttp.TCPConnector(limit=0, limit_per_host=0)) as session:
        http = HttpClient(session, timeouts)
        try:
            yield http
        finally:
            await http.close()


def _session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


def _check_socket(socket: Path, url: URL) -> None:
    try:
        private = is_private(socket)
    except OSError as error:
        raise in_words(error, origin_text(url), 0) from None
    if not private:
        raise BackendError(
            f"{socket} is not private to this user, so Studio does not use it. Start Studio again."
        )


def _host_of(location: str) -> str | None:
    try:
        return URL(location).host
    except ValueError:
        return None
