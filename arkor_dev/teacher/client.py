"""The teacher: any server with OpenAI's API; ``making`` has another, the backend's own chat.

A teacher makes one attempt per call. What to do about a failed one (wait, and for how long), and what it may
have cost, is in the error.
"""

from __future__ import annotations

import ipaddress
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
from yarl import URL

from arkor_dev import __version__
from arkor_dev.contract.errors import ArkorError, BadRequestError
from arkor_dev.contract.placement import is_loopback
from arkor_dev.core.plain_text import one_line
from arkor_dev.core.proxy import proxy_for
from arkor_dev.core.web_url import web_url

from .answer import Decoder, Reply, TooLongError, delay_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .request import TeacherRequest

CONNECT: Final = 10.0
SECONDS: Final = 600.0
"""How long an answer may take: a model on a laptop writes some ten tokens a second."""
LARGEST: Final = 8 * 2**20
"""Maximum number of bytes of an answer."""
TOO_LONG: Final = "the answer is longer than was asked for"
AT_ONCE: Final = 4
"""Requests under way at the same time."""


class TeacherError(ArkorError):
    """The teacher cannot answer, and waiting does not help."""


class AttemptError(Exception):
    """One attempt failed, and another may succeed after ``wait`` seconds; None for the usual pause.

    ``cost``: the teacher may have computed (and charged for) an answer that never arrived. ``at_once``: the
    request is sent again in another form, since the teacher does not know the first.
    """

    def __init__(
        self, why: str, wait: float | None = None, *, cost: bool = False, at_once: bool = False
    ) -> None:
        super().__init__(why)
        self.why, self.wait, self.cost, self.at_once = why, wait, cost, at_once


class Teacher(Protocol):
    """A source of answers. ``address`` identifies it, without a secret; ``host`` is for the user."""

    address: str
    host: str
    at_once: int

    async def ask(self, request: TeacherRequest) -> Reply:
        """Make one attempt. Raises AttemptError and TeacherError."""


class HttpTeacher:
    """A server with OpenAI's API. The key is sent to it, and appears nowhere else."""

    at_once = AT_ONCE

    def __init__(
        self, session: aiohttp.ClientSession, address: str, key: str | None, seconds: float = SECONDS
    ) -> None:
        self.address = clean_address(address, with_key=key is not None)
        self._session, self._key, self._decoder = session, key, Decoder(key)
        self._seconds = seconds
        self._url = URL(self.address) / "chat/completions"
        self.host = self._url.authority
        self._structured = True
        """Whether the server takes a response_format; found out by trying."""
        self._temperature = True
        self._limit = "max_tokens"

    async def ask(self, request: TeacherRequest) -> Reply:
        """See ``Teacher.ask``."""
        body: dict[str, object] = {
            "model": request.model,
            "messages": list(request.messages),
            self._limit: request.max_tokens,
            "stream": False,
        }
        if self._temperature:
            body["temperature"] = request.temperature
        if self._structured:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "rows", "strict": True, "schema": dict(request.schema)},
            }
        headers = {"Accept": "application/json", "User-Agent": f"arkor-dev/{__version__}"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            async with self._session.post(
                self._url, json=body, headers=headers, allow_redirects=False, proxy=proxy_for(self._url),
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT),
            ) as response:  # fmt: skip
                data = await response.content.read(LARGEST)
                while len(data) < LARGEST and (more := await response.content.read(LARGEST - len(data))):
                    data += more
                return self._reply(response, data, body, request.max_tokens)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as fault:
            raise AttemptError(f"{self.host} cannot be reached ({reason_of(fault)})") from None
        except TimeoutError:
            raise AttemptError(f"{self.host} did not answer within {self._seconds:g} s", cost=True) from None
        except (aiohttp.ClientError, OSError):
            raise AttemptError(f"{self.host} broke off its answer", cost=True) from None

    def _reply(
        self, response: aiohttp.ClientResponse, data: bytes, body: Mapping[str, object], max_tokens: int
    ) -> Reply:
        status = response.status
        try:
            reply = self._decoder.decode(data, max_tokens)
        except TooLongError:
            raise AttemptError(f"{self.host}: {TOO_LONG}", cost=True) from None
        if status == 200 and reply.is_object:
            return reply
        why = reply.message
        if status in (400, 422, 501) and (changed := self._simpler(why, body)):
            raise AttemptError(f"{self.host} does not take {changed}", at_once=True)
        delay = delay_of(response.headers.get("Retry-After"))
        if status == 429 and "insufficient_quota" not in why:
            raise AttemptError(f"{self.host} asks to wait (429)", delay)
        if status in (408, 503):
            raise AttemptError(f"{self.host} is busy ({status})", delay)
        if status >= 500 or status == 200:
            problem = f"failed ({status})" if status >= 500 else "sent an answer that is not JSON"
            raise AttemptError(f"{self.host} {problem}", cost=True)
        key = " Check the key's environment variable." if status in (401, 403) else ""
        raise TeacherError(f"{self.host} refuses the request ({status}{f': {why}' if why else ''}).{key}")

    def _simpler(self, why: str, body: Mapping[str, object]) -> str | None:
        """Omit from further requests the parameter that the server seems not to support; return its name."""
        if self._limit in body and "max_completion_tokens" in why and self._limit == "max_tokens":
            self._limit = "max_completion_tokens"
            return "max_tokens"
        if "temperature" in body and "temperature" in why:
            self._temperature = False
            return "temperature"
        if "response_format" in body:
            self._structured = False
            return "response_format"
        return None


@asynccontextmanager
async def open_teacher_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a separate session for the teacher: the backend's token is not accessible there."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session:
        yield session


def clean_address(address: str, *, with_key: bool) -> str:
    """Return a teacher's address without trailing slashes. Raises BadRequestError.

    A key goes in clear text to this machine and to addresses of a private network only.
    """
    text = address.strip().rstrip("/").removesuffix("/chat/completions")
    url = web_url(text)
    if url is None:
        raise BadRequestError(
            f"{one_line(address, 200) or 'Nothing'} is not a teacher's address. Give one such as "
            "http://localhost:1234/v1, or base for the model of the trainer."
        )
    if url.user is not None or url.password is not None or url.query_string or url.fragment:
        raise BadRequestError("The teacher's address must have no user name, no ?query and no #fragment.")
    if with_key and url.scheme == "http" and not _is_near(url.host):
        raise BadRequestError(f"http:// to {url.host} would send the key in clear text. Use https://.")
    return text


def reason_of(fault: aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError) -> str:
    """Return why there is no connection, such as ``connection refused``."""
    match fault:
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {CONNECT:g} s"
        case aiohttp.ClientConnectorDNSError():
            return "unknown host name"
        case aiohttp.ClientSSLError():
            return "no secure connection: its certificate is not valid, or it expects http://"
    return os.strerror(fault.errno).lower() if fault.errno else "no connection"


def _is_near(host: str | None) -> bool:
    if is_loopback(host):
        return True
    try:
        return ipaddress.ip_address(host or "").is_private
    except ValueError:
        return False
