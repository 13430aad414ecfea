"""Keeps a local backend running on this machine, also without a connection to it.

    python -m arkor_dev.connection.ssh.keeper PROJECT --code DIGEST --data DIR [--at-once N] [--engine NAME]
        [--no-resume]

``far_side`` starts it. It holds the lock beside the project's folder, with a record of itself in it, and ends
its backend when it is terminated: running jobs pause and resume at the next start.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from arkor_dev import __version__
from arkor_dev.contract.errors import ArkorError
from arkor_dev.core.settings import Settings
from arkor_dev.identity.local_backend import LocalBackend

if TYPE_CHECKING:
    from arkor_dev.identity.local_backend import Notice

LOCK: Final = "keeper.lock"
LOCK_SECONDS: Final = 2.0
"""How long to wait for a process that checks whether the lock is free."""


def main(argv: list[str] | None = None) -> int:
    """Run until a signal ends it; return the exit status, 1 if the backend cannot start."""
    parser = argparse.ArgumentParser(prog="arkor_dev.connection.ssh.keeper")
    parser.add_argument("project", type=Path)
    parser.add_argument("--code", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--at-once", type=int)
    parser.add_argument("--engine")
    parser.add_argument("--no-resume", dest="resume", action="store_false")
    args = parser.parse_args(argv)
    logging.basicConfig(level="WARNING", format="%(levelname)s %(message)s", stream=sys.stderr)
    settings = Settings.from_environment(
        os.environ, args.project, local=True, resume=args.resume, at_once=args.at_once, engine=args.engine
    )
    settings = replace(settings, data=args.data)
    lock = _lock(settings, args.code)
    if lock is None:
        print("Another process keeps this project's backend.", file=sys.stderr)  # noqa: T201
        return 1
    with lock:
        return asyncio.run(_keep(settings))


def _lock(settings: Settings, code: str) -> IO[str] | None:
    path = settings.project.parent / LOCK
    file = path.open("a+")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                return None
            time.sleep(0.02)
    record = {"pid": os.getpid(), "code": code, "version": __version__, "lock": str(path)}
    record["handoff"] = str(settings.local_data / "backend.json")
    file.truncate(0)
    file.write(json.dumps(record))
    file.flush()
    return file


async def _keep(settings: Settings) -> int:
    stopped, failed = asyncio.Event(), list[str]()

    def on_notice(notice: Notice) -> None:
        if notice.get("level") == "error":  # it can't be started again
            failed.append(str(notice.get("text")))
            stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with LocalBackend(settings, on_notice) as backend:
        try:
            await backend.credentials()
        except ArkorError as fault:
            print(fault.text, file=sys.stderr)  # noqa: T201
            return 1
        await stopped.wait()
    print("\n".join(failed), file=sys.stderr)  # noqa: T201
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
