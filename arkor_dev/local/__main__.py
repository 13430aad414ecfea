"""The backend's process: its arguments, its lock, its messages to the daemon, and its end.

    python -m arkor_dev.local --data DIR --project DIR --cache DIR [--idle|--on-demand] [--no-resume]
        [--at-once N] [--engine auto|exact|llama.cpp] [--rebuild]

Standard input's first line is ``{"token", "orgSlug", "projectSlug", "parent"}``; the end of standard input
means that the daemon is gone, and ends this process and every worker: a running job gets two seconds to
pause. It resumes at the next start, unless that has ``--no-resume``. Standard output begins with ``{"socket",
"projectId"}`` and continues with notices, one JSON object per line.

With ``--idle`` it starts no job: it was started by a command that only reads or cleans up, and ends soon.
A process that finds the data folder held by such a one waits a moment. With ``--on-demand`` it starts none
before a job is added or resumed or the queue is changed: ``arkor-dev serve`` starts it like that.

With ``--rebuild`` it rebuilds the list of jobs (``jobs.rebuild``), writes the result as JSON, and ends.

Exit status: 0 the daemon ended it, 2 wrong arguments or handshake, 73 no folder for its socket,
74 the database cannot be opened, 75 another process holds the data folder, 76 another version wrote the
database, 77 it is damaged, or empty beside folders of jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import IO, Any, Final

from aiohttp import web

from arkor_dev.contract.bodies import ENGINES
from arkor_dev.local.jobs.database import DATABASE, DamagedError, UnknownFormatError
from arkor_dev.local.server.app import create_app
from arkor_dev.local.server.requests import ORG, Setup
from arkor_dev.local.workers import daemon_messages as notices
from arkor_dev.local.workers.socket_folder import SocketFolder

EXIT_USAGE: Final = 2
EXIT_NO_SOCKET: Final = 73
EXIT_DATABASE: Final = 74
LEAST_BYTES: Final = 1_000_000
"""A disk with less free space counts as full: SQLite could not write beside its database."""
EXIT_LOCKED: Final = 75
EXIT_FORMAT: Final = 76
EXIT_DAMAGED: Final = 77
IDLE, ON_DEMAND, WORKING = "idle", "on-demand", "working"
"""What the holder of a data folder does, as recorded in its lock file."""
HOLDERS: Final = {
    IDLE: "Another arkor-dev command (process {pid}) is using {data}: wait until it has ended",
    ON_DEMAND: "`arkor-dev serve` (process {pid}) is using {data}: end it first, or train beside it with "
    "`arkor-dev start --local`",
    WORKING: "Another Studio or `arkor-dev start` (process {pid}) is using {data}: end it, or open another "
    "project",
}
IDLE_SECONDS: Final = 25.0
"""How long to wait for a command that only reads or measures: less than the daemon waits for us."""
SILENT_SECONDS: Final = 1.0
PARENT_SECONDS: Final = 1.0
END_SECONDS: Final = 4.5


def lock(data: Path, kind: str = WORKING) -> IO[str] | None:
    """Lock the data folder for this process; return None, and report it, if another process has it.

    The file says which process holds it, what that does (``kind``), and which process has started it: the one
    that a user can end.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (data / "lock").open("a+")
    began, reported = time.monotonic(), False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            file.seek(0)
            words = file.read().split()
            _, holds, pid = words if len(words) == 3 else ("", WORKING, "unknown")
            waited = time.monotonic() - began
            if holds == IDLE and waited < IDLE_SECONDS:
                if waited > SILENT_SECONDS and not reported:
                    reported = True
                    notices.message("info", f"Waiting for another arkor-dev command (process {pid}) to end")
                time.sleep(0.05)
                continue
            file.close()
            sys.stderr.write(HOLDERS.get(holds, HOLDERS[WORKING]).format(pid=pid, data=data) + "\n")
            return None
    file.truncate(0)
    file.write(f"{os.getpid()} {kind} {os.getppid()}\n")
    file.flush()
    return file


def handshake(line: bytes) -> dict[str, Any] | None:
    """Return the daemon's first line, or None, and report it, if the line is invalid."""
    try:
        hello = json.loads(line)
        good = all(isinstance(hello[key], str) and hello[key] for key in ("token", "orgSlug", "projectSlug"))
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        sys.stderr.write(
            "arkor_dev.local is started by arkor-dev --local; the first line of standard input is invalid\n"
        )
        return None
    return dict(hello)


async def parent_gone(parent: object) -> None:
    """Return when standard input ends, or when ``parent`` is no longer this process's parent."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    watched = os.getppid() == parent
    reading = asyncio.ensure_future(reader.read(1))
    while not reading.done():
        await asyncio.wait({reading}, timeout=PARENT_SECONDS)
        if watched and os.getppid() != parent:
            return
        if reading.done() and reading.result():
            reading = asyncio.ensure_future(reader.read(1))


async def serve(setup: Setup, parent: object, folder: SocketFolder) -> None:
    """Serve until the daemon is gone or a signal comes; the socket is closed first."""
    app = create_app(setup)
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=0.1, handle_signals=False, handler_cancellation=True
    )
    await runner.setup()
    # A full backlog refuses at once here; with TCP the caller would wait.
    await web.UnixSite(runner, folder.socket, backlog=1024).start()
    over = asyncio.create_task(parent_gone(parent))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, over.cancel)
    # Sent last: the daemon may end this process as soon as it gets this, and then the socket must be removed.
    notices.say(socket=str(folder.socket), projectId=setup.store.project_id)
    with contextlib.suppress(asyncio.CancelledError):
        await over
    folder.remove()
    # Workers end with their pipes anyway; a hanging clean-up must not keep this process alive.
    loop.call_later(END_SECONDS, os._exit, 0)
    await runner.cleanup()


def main(argv: list[str] | None = None) -> int:
    """Run the process; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="arkor_dev.local", description="The local backend of arkor-dev --local"
    )
    for name in ("data", "project", "cache"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--on-demand", action="store_true")
    parser.add_argument("--no-resume", dest="resume", action="store_false")
    parser.add_argument("--at-once", type=int)
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--log-level", default="warning")
    args = parser.parse_args(argv)
    logging.basicConfig(
        level=args.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    lock_file = lock(args.data, IDLE if args.idle else ON_DEMAND if args.on_demand else WORKING)
    if lock_file is None:
        return EXIT_LOCKED
    if args.rebuild:
        return _rebuild(args.data)
    hello = handshake(_first_line())
    if hello is None:
        return EXIT_USAGE
    try:
        options = {
            "idle": args.idle,
            "on_demand": args.on_demand,
            "resume": args.resume,
            "at_once": args.at_once,
        }
        setup = Setup.open(args.data, args.project, args.cache, hello, engine=args.engine, **options)
    except UnknownFormatError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FORMAT
    except DamagedError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_DAMAGED
    except (sqlite3.Error, OSError) as error:
        sys.stderr.write(f"{_not_opened(args.data, error)}\n")
        return EXIT_DATABASE
    try:
        folder = SocketFolder.make()
    except OSError as error:
        sys.stderr.write(f"The local backend cannot create its socket: {error}\n")
        return EXIT_NO_SOCKET
    try:
        asyncio.run(serve(setup, hello.get("parent"), folder))
    finally:
        folder.remove()
        setup.store.close()
        lock_file.close()
    return 0


def _not_opened(data: Path, error: Exception) -> str:
    """Say that the database cannot be opened. On a full disk SQLite only calls it an I/O error."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(data).free < LEAST_BYTES:
            return f"The disk of {data} is full: delete other files on it, then run arkor-dev local gc"
    return f"{data / DATABASE} cannot be opened: {error}"


def _rebuild(data: Path) -> int:
    from arkor_dev.local.jobs.rebuild import rebuild

    try:
        rebuilt = rebuild(data, ORG["id"])
    except UnknownFormatError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FORMAT
    except (sqlite3.Error, OSError) as error:
        sys.stderr.write(f"The list of jobs could not be rebuilt: {error}. Nothing was changed\n")
        return EXIT_DATABASE
    print(json.dumps(rebuilt._asdict()))  # noqa: T201
    return 0


def _first_line() -> bytes:
    """Read exactly to the end of the first line: the rest belongs to the event loop."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
