"""Access control for requests: host, origin, token and expectation, and the response headers.

The guards are structural: middlewares wrap every route, including the bundle, 404 and 405, and headers are
added in ``on_response_prepare``, which streams and errors pass, too. SECURITY.md lists each check's response.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, hdrs, web

from arkor_dev.contract.deployments import error_body
from arkor_dev.contract.shapes import STUDIO_TOKEN_HEADER, STUDIO_TOKEN_QUERY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# ASCII only, or U+017F (long s) would match s.
_HOST = re.compile(r"(localhost|127\.0\.0\.1)(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(r"(https?)://([^/@:]+)(?::([0-9]{1,5}))?")
# The only route that accepts the token in its query: EventSource cannot send headers.
_EVENTS_PATH = re.compile(r"/api/jobs/[^/]+/events")
# ``none``: initiated by the person, such as a typed address.
_OWN_SITES = frozenset({"same-origin", "none"})

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "arkor-dev",
}

EXPECT = web.RequestKey("expect", str)
"""The request's ``Expect`` header, which ``http_protocol.py`` withholds until the guards have passed."""


def is_api(path: str) -> bool:
    """Return whether a decoded path belongs to the API, which responds with JSON and needs the token."""
    return path == "/api" or path.startswith("/api/")


def is_endpoint(path: str) -> bool:
    """Return whether a decoded path belongs to a deployment, whose callers use OpenAI's API."""
    return path == "/e" or path.startswith("/e/")


def is_agent(path: str) -> bool:
    """Return whether a decoded path is for coding assistants, which send a secret of their own."""
    return path == "/agent" or path.startswith("/agent/")


def refusal(request: web.Request, status: int, text: str) -> web.Response:
    """Format a refusal for its reader: ``{"error"}`` under /api/, OpenAI's format under /e/, else text."""
    if is_api(request.path):
        return web.json_response({"error": text}, status=status)
    if is_endpoint(request.path):
        return web.json_response(error_body(status, text), status=status)
    return web.Response(status=status, text=text + "\n")


def split_host(value: str) -> tuple[str, int] | None:
    """Parse a loopback ``Host`` value to ``(host, port)``, in lower case; None for anything else.

    A missing port is 80, as in HTTP. Any port is accepted, since an ssh tunnel may listen anywhere.
    """
    match = _HOST.fullmatch(value)
    if match is None:
        return None
    port = int(match[2]) if match[2] else 80
    return (match[1].lower(), port) if 1 <= port <= 65535 else None


def _same_origin(origin: str, host: tuple[str, int]) -> bool:
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    port = int(match[3]) if match[3] else (443 if match[1] == "https" else 80)
    return (match[2].lower(), port) == host


@web.middleware
async def host_guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Accept only ``localhost`` and ``127.0.0.1``, by the raw header and the request target.

    This stops DNS rebinding: a hostile page's requests reach the port, but under its own name. An
    absolute-form target would override ``request.host`` and is refused, as are ``*`` and CONNECT.
    """
    hosts = request.headers.getall(hdrs.HOST, [])
    host = split_host(hosts[0]) if len(hosts) == 1 else None
    if host is None or not request.raw_path.startswith("/") or request.method == hdrs.METH_CONNECT:
        return refusal(request, 403, "Studio answers only to localhost and 127.0.0.1.")
    if is_api(request.path) or is_endpoint(request.path) or is_agent(request.path):
        origins = request.headers.getall(hdrs.ORIGIN, [])
        sites = request.headers.getall("Sec-Fetch-Site", [])
        if not (_OWN_SITES.issuperset(sites) and all(_same_origin(origin, host) for origin in origins)):
            return refusal(
                request,
                403,
                "Studio's API answers only to its own page."
                if not is_endpoint(request.path)
                else "Only Studio's own page may call an endpoint from a browser.",
            )
    return await handler(request)


def token_guard(token: str) -> Middleware:
    """Return a middleware that requires this launch's token on ``/api``, compared in constant time."""
    expected = token.encode()

    def matches(value: str | None) -> bool:
        # compare_digest raises for non-ASCII str, so compare bytes.
        return value is not None and hmac.compare_digest(value.encode("utf-8", "surrogatepass"), expected)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_api(request.path) and not matches(request.headers.get(STUDIO_TOKEN_HEADER)):
            by_query = request.method == hdrs.METH_GET and _EVENTS_PATH.fullmatch(request.path)
            if not (by_query and matches(request.query.get(STUDIO_TOKEN_QUERY))):
                return refusal(request, 403, "Missing or invalid studio token")
        return await handler(request)

    return guard


@web.middleware
async def expectation_guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send 100 Continue for a body that awaits it; any other expectation is 417 (RFC 9110 §10.1.1)."""
    expected = request.get(EXPECT)
    if expected is not None and request.version >= HttpVersion11:
        if expected.lower() != "100-continue":
            return refusal(request, 417, "Studio supports no expectation except 100-continue.")
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response has not begun
    return await handler(request)


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """``on_response_prepare``: set security headers on every response, and ``no-store`` except for assets."""
    response.headers.update(SECURITY_HEADERS)
    if is_api(request.path) or is_endpoint(request.path) or hdrs.CACHE_CONTROL not in response.headers:
        response.headers[hdrs.CACHE_CONTROL] = "no-store"


def json_error(status: int, text: str, extra: dict[str, object] | None = None) -> web.Response:
    """Build the API's error response."""
    return web.Response(
        status=status, text=json.dumps({"error": text, **(extra or {})}), content_type="application/json"
    )
