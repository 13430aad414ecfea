"""Receives the browser's redirect after a sign-in: a web server on 127.0.0.1 for a single request.

The page is sent only after the code has been exchanged for credentials, or after the exchange has failed, so
it always shows the real outcome.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from aiohttp import hdrs, web

from arkor_dev.contract.errors import SlowRequestError
from arkor_dev.identity.oauth import CALLBACK_PATH
from arkor_dev.server.security.guards import SECURITY_HEADERS
from arkor_dev.server.security.http_protocol import protocol_factory
from arkor_dev.server.security.listener import Listener
from arkor_dev.server.security.same_user import same_user_guard, strangers

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

PATIENCE: Final = 300.0
"""Seconds a person has to sign in."""
CONNECTIONS: Final = 16
"""Largest number of open connections. A browser opens several at a time; only one carries the answer."""
STYLE: Final = """\
:root { color-scheme: light dark; }
body {
  max-width: 34rem; margin: 18vh auto; padding: 0 24px; font: 16px/1.5 system-ui, sans-serif;
  color: light-dark(oklch(23% .015 255), oklch(94% .005 255));
  background: light-dark(oklch(98.6% .003 250), oklch(17% .008 255));
}
h1 { margin: 0 0 8px; font-size: 20px; font-weight: 650; }
p { margin: 0; overflow-wrap: anywhere; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.CONNECTION: "close",
}


class Callback:
    """An ``async with`` block during which ``sock``, bound to 127.0.0.1, waits for the browser.

    Only a request that ``is_expected`` accepts ends the wait: any program or page here can call the address.
    """

    def __init__(self, sock: socket.socket, is_expected: Callable[[Mapping[str, list[str]]], bool]) -> None:
        self._sock, self._is_expected = sock, is_expected
        self._host = f"127.0.0.1:{sock.getsockname()[1]}"
        self._query: asyncio.Future[Mapping[str, list[str]]] = asyncio.get_running_loop().create_future()
        self._page: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        self._sent = asyncio.Event()
        self._stack = AsyncExitStack()
        self._listener: Listener | None = None

    async def __aenter__(self) -> Self:
        """Start listening."""
        async with AsyncExitStack() as stack:
            stack.callback(self._stop_listening)
            is_stranger = stack.enter_context(strangers(allow_other_users=False))
            app = web.Application(middlewares=[same_user_guard], client_max_size=1024)
            app.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(app, shutdown_timeout=0.5)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            assert runner.server is not None
            self._listener = Listener(self._sock, protocol_factory(runner.server), is_stranger, CONNECTIONS)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, whatever happened."""
        self._page.cancel()
        await self._stack.aclose()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._sock.close()

    async def query(self, patience: float = PATIENCE) -> Mapping[str, list[str]]:
        """Return the query that the browser sent. Raises SlowRequestError after ``patience`` seconds."""
        try:
            async with asyncio.timeout(patience):
                return await asyncio.shield(self._query)
        except TimeoutError:
            raise SlowRequestError(
                f"The browser did not answer within {patience / 60:g} minutes. Run `arkor-dev login` "
                f"again, or add --no-browser to open the address yourself.",
            ) from None

    async def show(self, title: str, text: str) -> None:
        """Show the outcome in the browser; wait briefly until the page has been sent."""
        if not self._page.done():
            self._page.set_result((title, text))
        try:
            async with asyncio.timeout(2):
                await self._sent.wait()
        except TimeoutError:
            pass  # the tab was closed or is slow: the terminal says the same

    async def _answer(self, request: web.Request) -> web.Response:
        # Ignore foreign host names for this address (DNS rebinding) and requests that a page makes by itself
        # (images, frames, scripts). Browsers state the purpose in a header.
        if request.headers.getall(hdrs.HOST, []) != [self._host] or not request.raw_path.startswith("/"):
            return _refusal(403, f"This server answers only to {self._host}.")
        if request.path != CALLBACK_PATH:
            return _refusal(404, "Not found.")
        if request.method != hdrs.METH_GET or request.headers.get("Sec-Fetch-Dest", "document") != "document":
            return _refusal(403, "Only the browser that the sign-in page redirected is answered.")
        if self._query.done():
            return _refusal(410, "This sign-in is already complete. Return to the terminal.")
        query = {name: request.query.getall(name) for name in request.query}
        if not self._is_expected(query):
            return _refusal(403, "This tab belongs to another sign-in. Use the one opened last.")
        self._query.set_result(query)
        self._stop_listening()  # accept nothing else from here on
        try:
            title, text = await asyncio.shield(self._page)
            return web.Response(text=_html(title, text), content_type="text/html", headers=HEADERS)
        finally:
            asyncio.get_running_loop().call_soon(self._sent.set)


def _refusal(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=HEADERS)


def _html(title: str, text: str) -> str:
    title, text = html.escape(title), html.escape(text)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · Arkor Studio</title><style>{STYLE}</style><h1>{title}</h1><p>{text}</p></html>\n"
    )
