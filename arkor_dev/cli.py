"""The ``arkor-dev`` command: arguments to Settings, then one of the few things it can do.

Exit codes: 0 done or stopped, 1 failed (``start``: the job, ``doctor``: a check), 2 wrong usage or cannot
start, 3 ``start``: the job was cancelled, 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .errors import StudioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.web import Application

    from .settings import Settings
    from .terminal import Terminal

EPILOG = """\
commands (each has its own --help):
  arkor-dev                open Studio on the project in this folder
  arkor-dev init           write a commented arkor.toml and a small data set
  arkor-dev start          run a trainer and follow it in this terminal
  arkor-dev doctor         check what Studio needs, each fault with its next step

exit codes: 0 done or stopped, 1 failed, 2 wrong usage or cannot start, 3 job cancelled, 130 interrupted
"""


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError
    return port


_port.__name__ = "port number (1 to 65535)"


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--project", metavar="DIR", type=Path, default=argparse.SUPPRESS,
        help="the project's folder (default: the current one)",
    )  # fmt: skip
    shared.add_argument(
        "--local", action="store_true", default=argparse.SUPPRESS,
        help="train and chat on this machine: no account, no network needed",
    )  # fmt: skip
    shared.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default=argparse.SUPPRESS,
        help="how much to log (default: warning)",
    )  # fmt: skip
    parser = argparse.ArgumentParser(
        prog="arkor-dev", parents=[shared], epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Arkor Studio: fine-tune a language model from a local web page, watch the loss fall, "
        "and talk to the result.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"arkor-dev {__version__}")
    parser.add_argument(
        "--port", metavar="N", type=_port,
        help="the port to listen on (default: 4000, or the next free one of ten)",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--allow-other-users", action="store_true",
        help="serve other accounts of this machine too (the page holds the launch's token)",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="")
    start = commands.add_parser(
        "start", parents=[shared], description="Run a trainer of arkor.toml and follow its job."
    )
    start.add_argument("--trainer", metavar="NAME", help="which trainer (default: the first one)")
    start.add_argument("--dry-run", action="store_true", help="few rows and steps: does every stage work?")
    doctor = commands.add_parser(
        "doctor", parents=[shared], description="Check what Studio needs, a line each. Nothing is changed."
    )
    doctor.add_argument(
        "--port", metavar="N", type=_port, default=argparse.SUPPRESS, help="the port to look at"
    )
    doctor.add_argument(
        "--json", action="store_true", help="print {ok, checks: [{name, status, text, next}]}"
    )
    init = commands.add_parser("init", description="Write a commented arkor.toml and a small data set.")
    init.add_argument(
        "folder", nargs="?", type=Path, default=Path(), help="where (default: the current folder)"
    )
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    from .settings import Settings

    project = Path(getattr(arguments, "project", Path()))
    if not project.is_dir():
        raise StudioError(400, f"{project} is not a folder. Name the project's folder with --project.")
    return Settings.from_environment(
        os.environ,
        project,
        local=getattr(arguments, "local", False),
        port=getattr(arguments, "port", None),
        open_browser=getattr(arguments, "open", False),
        allow_other_users=getattr(arguments, "allow_other_users", False),
        log_level=getattr(arguments, "log_level", "warning"),
    )


def _require_local_extra(settings: Settings) -> None:
    if settings.local:
        from .embedded import missing_extra

        if (text := missing_extra()) is not None:
            raise StudioError(400, text)


async def _studio(settings: Settings) -> int:
    gc.disable()  # modules are no garbage: looking for some among them is a twentieth of the start
    from .descriptors import raise_limit
    from .serve import bind, serving, stop_event, token_file

    raise_limit()
    sock = bind(settings.port)
    port = sock.getsockname()[1]
    pending: list[dict[str, object]] = []
    show = pending.append
    async with serving(settings, sock, lambda notice: show(notice)) as app:
        gc.freeze()
        gc.enable()
        stop = stop_event()
        with token_file(settings):
            # The page is served, and goes on being served: what only the terminal needs comes after it.
            terminal = (await asyncio.to_thread(importlib.import_module, "arkor_dev.terminal")).Terminal()
            terminal.use_for_logs(settings.log_level)
            show = terminal.notice
            for notice in pending:
                terminal.notice(notice)
            terminal.banner(settings, port)
            if settings.open_browser:
                import webbrowser

                await asyncio.to_thread(webbrowser.open, f"http://localhost:{port}")
            say_who = asyncio.create_task(_say_who(app, terminal))
            try:
                await stop.wait()
            finally:
                say_who.cancel()
                terminal.close()
    return 0


async def _say_who(app: Application, terminal: Terminal) -> None:
    from .identity import header_line
    from .keys import BACKEND

    backend = app[BACKEND]
    try:
        credentials = await backend.identity.credentials()
        terminal.identity(header_line(credentials, await backend.scopes.for_read(credentials)))
    except StudioError as error:
        terminal.error(error.text)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "init":
        from .initialize import run_init

        return run_init(arguments.folder)
    settings = _settings(arguments)
    if arguments.command == "doctor":
        from .doctor import run_doctor

        return asyncio.run(run_doctor(settings, as_json=arguments.json))
    _require_local_extra(settings)
    if arguments.command == "start":
        from .start import run_start

        return asyncio.run(run_start(settings, trainer=arguments.trainer, dry_run=arguments.dry_run))
    return asyncio.run(_studio(settings))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Expected faults are one line and exit code 2; anything else is a traceback."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except StudioError as error:
        print(f"arkor-dev: {error.text}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
