"""``arkor-dev`` without a command: serves Studio until a signal ends it.

The page comes first. Code that only the terminal or the shutdown needs is imported after the first request.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import signal
from typing import TYPE_CHECKING

from arkor_dev.cli.banner import banner
from arkor_dev.cli.interrupt import InterruptHandler, InterruptMessages
from arkor_dev.connection.connect import connected
from arkor_dev.contract.errors import ArkorError, InternalError
from arkor_dev.core.plain_text import one_line
from arkor_dev.core.process import raise_limit
from arkor_dev.server.app import create_app
from arkor_dev.server.app_keys import BACKEND
from arkor_dev.server.open_studios import OpenElsewhere, StudioEntry, claimed, project_on
from arkor_dev.server.serve import bind, serving, token_file

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterable

    from aiohttp.web import Application

    from arkor_dev.backend.client import Backend
    from arkor_dev.cli.console import Terminal
    from arkor_dev.connection.connect import Connect
    from arkor_dev.core.settings import Settings


def run_studio(settings: Settings, *, yes: bool) -> int:
    """Serve until a signal comes; return the exit code. Raises ArkorError if it cannot start.

    If a Studio is open on this project already, shows its address instead.
    """
    try:
        with claimed(settings) as entry:
            # A Ctrl-C during the loop's creation would print a traceback: delay it until the loop is ready.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                return asyncio.run(_studio(settings, entry, mask, yes=yes))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    except OpenElsewhere as elsewhere:
        return asyncio.run(_show(settings, elsewhere.port))


async def _show(settings: Settings, port: int) -> int:
    """Show the address of the running Studio, and open its page if requested."""
    terminal = _terminal()
    location = f"Studio is already open on this project: http://localhost:{port}"
    if settings.port is not None and settings.port != port:
        location += f" (not on port {settings.port}: to move it, stop that one with Ctrl-C first)"
    terminal.line(location)
    if settings.open_browser:
        await _open(terminal, port)
    terminal.close()
    return 0


async def _open(terminal: Terminal, port: int) -> None:
    from arkor_dev.cli.browser import open_browser

    if not await open_browser(f"http://localhost:{port}"):
        terminal.line("Couldn't open a browser. Open the address above in one.")


def _bind(settings: Settings) -> socket.socket:
    try:
        return bind(settings.port)
    except InternalError as fault:
        project = None if settings.port is None else project_on(settings, settings.port)
        if project is None:
            raise
        raise InternalError(
            f"Port {settings.port} is used by the Studio that is open on {one_line(project, 300)}. "
            "Choose another with --port, or leave --port out."
        ) from fault


async def _studio(settings: Settings, entry: StudioEntry, mask: Iterable[int], *, yes: bool) -> int:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    raise_limit()
    pending: list[dict[str, object]] = []
    show = pending.append
    async with contextlib.AsyncExitStack() as stack:
        connect = await stack.enter_async_context(_connecting(settings, yes=yes))
        sock = _bind(settings)
        port = sock.getsockname()[1]
        make = functools.partial(create_app, connect=connect)
        serve = serving(settings, sock, lambda notice: show(notice), make)
        app = await stack.enter_async_context(serve)
        session = entry.publish(port, settings.agent_secret if settings.agent else None)
        gc.freeze()
        gc.enable()
        words = InterruptMessages(
            "Stopping Studio.", "Studio was stopped immediately.", "Studio keeps running."
        )
        ending = InterruptHandler(words, lambda: _lost(app[BACKEND]), lambda _: None, ask=False)
        ending.watch((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        with token_file(settings):
            banner(settings, port)
            # Serve whoever waited for the port first: importing the terminal's parts would delay that.
            await asyncio.sleep(0.02)
            terminal = await asyncio.to_thread(_terminal)
            terminal.use_for_logs(settings.log_level)
            show = terminal.notice
            ending.say, ending.ask = terminal.line, terminal.can_ask and not yes
            for notice in pending:
                terminal.notice(notice)
            if settings.agent:
                terminal.line(
                    f"Session file for coding assistants: {entry.path}"
                    if session
                    else f"{entry.path} cannot be written: coding assistants will not find this Studio."
                )
            if settings.open_browser:
                await _open(terminal, port)
            say_who = asyncio.create_task(_say_who(app, terminal))
            try:
                await ending.wait()
            finally:
                say_who.cancel()
                with contextlib.suppress(OSError):
                    terminal.close()
    with contextlib.suppress(OSError):  # the terminal may be gone, too
        remote_note = f" The backend on {settings.ssh} keeps running." if settings.ssh else ""
        terminal.line(f"Studio has stopped.{remote_note}")
    return 0


@contextlib.asynccontextmanager
async def _connecting(settings: Settings, *, yes: bool) -> AsyncIterator[Connect]:
    """Connect Studio to its backend; over ssh before the page opens, since that may be slow or ask."""
    if settings.ssh is None:
        yield functools.partial(connected, awaits_engine=True)  # the page offers to install it
        return
    from arkor_dev.cli.consent import SEND, confirm
    from arkor_dev.connection.ssh.backend import SshBackend

    terminal = _terminal()
    terminal.line(f"Connecting to {settings.ssh}")
    try:
        async with SshBackend(settings, terminal.notice, lambda stake: confirm(stake, SEND, yes=yes)) as ssh:
            yield functools.partial(connected, opened=ssh)
    finally:
        terminal.close()


def _terminal() -> Terminal:
    from arkor_dev.cli import lost_jobs  # noqa: F401 (at hand for a Ctrl-C that finds no descriptor left)
    from arkor_dev.cli.console import Terminal

    return Terminal()


async def _lost(backend: Backend) -> list[str]:
    from arkor_dev.cli.lost_jobs import lost_with_studio

    return await lost_with_studio(backend)


async def _say_who(app: Application, terminal: Terminal) -> None:
    from arkor_dev.identity.views import header_line

    backend = app[BACKEND]
    try:
        credentials = await backend.identity.credentials()
        terminal.identity(header_line(credentials, await backend.scopes.for_read(credentials)))
    except ArkorError as error:
        terminal.error(error.text)
