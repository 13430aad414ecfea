"""Makes project calls: credentials, scope, one renewal, and the parts of a request.

Each call takes one snapshot of the credentials for the scope check and the request itself, so that the
identity cannot change in between. ``client.py`` lists the calls.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from yarl import URL

from arkor_dev import __version__
from arkor_dev.contract.errors import BackendError, NotFoundError, UnauthorizedError
from arkor_dev.contract.shapes import CLIENT_HEADER

from .http_client import MIB, HttpClient, Response
from .interfaces import refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp import ClientResponse

    from .interfaces import Credentials, IdentitySource, Scope, ScopeSource

Need = Literal["none", "read", "write"]
_T = TypeVar("_T")

EVENT_STREAM: Final = "text/event-stream"
# A compressed stream would arrive in the compressor's chunks instead of the model's.
STREAMED: Final = {"Accept": f"{EVENT_STREAM}, application/json", "Accept-Encoding": "identity"}
CLIENT: Final = f"arkor-dev/{__version__}"
ANONYMOUS_ENDS: Final = {
    "anonymous_token_single_device": (
        "An anonymous identity is for one machine, and another one has used it since."
    ),
    "anonymous_account_not_found": "The backend has removed this anonymous account.",
}
"""Why an anonymous identity is refused, by the managed backend's code."""


class ScopedCalls:
    """Calls on one project, with its identity's credentials.

    ``ends_with_launch``: the backend was started for this launch, so its running jobs end with it.
    """

    def __init__(
        self,
        http: HttpClient,
        identity: IdentitySource,
        scopes: ScopeSource,
        *,
        ends_with_launch: bool = False,
    ) -> None:
        self.http = http
        self.identity = identity
        self.scopes = scopes
        self.ends_with_launch = ends_with_launch

    async def _call(
        self,
        method: str,
        *path: str,
        need: Need = "read",
        without: Response | None = None,
        data: bytes | None = None,
        limit: int = 8 * MIB,
        parameters: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> Response:
        credentials = await self.identity.credentials()
        for _ in range(2):
            try:
                query = await self._query(credentials, need)
                if query is None:
                    return without or _nothing_here()
                return await self.http.call(
                    method,
                    url_of(credentials.base_url, *path, query={**(parameters or {}), **query}),
                    headers=headers_for(credentials),
                    data=data,
                    limit=limit,
                    secrets=[credentials.token],
                    patience=patience,
                )
            except UnauthorizedError as refusal:
                if refusal.answered is None:  # not the backend's refusal: another token would not help
                    raise
                credentials = await self._renewed(credentials, refusal)
        raise refused(credentials)

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        *path: str,
        need: Need = "read",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        first_byte: float | None = None,
        pause: float | None = None,
        silence: float | None = None,
    ) -> AsyncIterator[ClientResponse]:
        async with AsyncExitStack() as stack:
            credentials = await self.identity.credentials()
            response: ClientResponse | None = None
            for _ in range(2):
                try:
                    query = await self._query(credentials, need)
                    if query is None:
                        _nothing_here()
                    attempt = self.http.stream(
                        method,
                        url_of(credentials.base_url, *path, query=query),
                        headers={**headers_for(credentials), **STREAMED, **(headers or {})},
                        data=data,
                        first_byte=first_byte,
                        pause=pause,
                        silence=silence,
                        secrets=[credentials.token],
                    )
                    response = await stack.enter_async_context(attempt)
                    break
                except UnauthorizedError as refusal:
                    if refusal.answered is None:
                        raise
                    credentials = await self._renewed(credentials, refusal)
            if response is None:
                raise refused(credentials)
            if path[-2:] == ("events", "stream") and response.content_type != EVENT_STREAM:
                raise BackendError(
                    "The backend answered with no event stream. Check its address, or try again later."
                )
            yield response

    async def _renewed(self, credentials: Credentials, refusal: UnauthorizedError) -> Credentials:
        try:
            return await self.identity.renew(credentials)
        except UnauthorizedError as error:
            if (why := ANONYMOUS_ENDS.get(str(refusal.extra.get("code")))) is None:
                raise
            raise error.reworded(f"{why} {error.text}") from None

    async def _query(self, credentials: Credentials, need: Need) -> dict[str, str] | None:
        """Return the scope as a query; None if a read has no usable scope."""
        if need == "none":
            return {}
        scope: Scope | None
        if need == "write":
            scope = await self.scopes.for_write(credentials)
        else:
            scope = await self.scopes.for_read(credentials)
        return None if scope is None else {"orgSlug": scope.org_slug, "projectSlug": scope.project_slug}


def _nothing_here() -> NoReturn:
    raise NotFoundError(
        "This project has no scope that you can use yet, so there is nothing here. Start a job first."
    )


def json_bytes(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def objects_in(listed: list[_T] | None) -> list[_T]:
    """Return the objects of a list in an answer, which may be or have anything; empty if it is none."""
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def object_of(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BackendError(
            "The backend's answer is not a JSON object. Check the backend address, or try again later."
        )
    return value


def headers_for(credentials: Credentials | None) -> dict[str, str]:
    headers = {CLIENT_HEADER: CLIENT, "Accept": "application/json", "Content-Type": "application/json"}
    if credentials is not None:
        headers["Authorization"] = f"Bearer {credentials.token}"
    return headers


def url_of(base_url: str, *path: str, query: Mapping[str, str] | None = None) -> URL:
    """Return a URL below ``/v1``. Segments are data: none can leave or end the path."""
    if not all(path) or "." in path or ".." in path:
        raise NotFoundError("Nothing has this name.")
    url = "/".join([base_url, "v1", *(quote(segment, safe="") for segment in path)])
    return URL(f"{url}?{urlencode(query)}" if query else url, encoded=True)
