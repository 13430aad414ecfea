"""``arkor-dev ssh``: one session with the machine, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.consent import confirm
from arkor_dev.connection.ssh.backend import size
from arkor_dev.connection.ssh.host import checked
from arkor_dev.connection.ssh.link import linked
from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.toml.compute import load_ssh, load_ssh_python

from .fetch import fetch_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.core.settings import Settings

ACTIONS: Final = ("status", "fetch", "stop", "remove")


async def run_ssh(
    settings: Settings,
    action: str | None,
    host: str | None,
    *,
    out: str | None = None,
    as_json: bool = False,
    yes: bool = False,
) -> int:
    """Do ``action`` (None: ``status``) on ``host`` (None: that of ``arkor.toml``); return the exit code.

    Raises BadRequestError for a wrong argument, and ArkorError if the machine cannot be reached.
    """
    action = action or ACTIONS[0]
    if action not in ACTIONS:
        raise BadRequestError(f"unknown action {one_line(action, 100)}. Choose one of {', '.join(ACTIONS)}.")
    if (host := host or load_ssh(settings.project)) is None:
        raise BadRequestError(f"Name the machine: arkor-dev ssh {action} HOST.")
    if action == "fetch":
        return await fetch_all(replace(settings, local=True, ssh=checked(host)), out)
    python = load_ssh_python(settings.project, host)
    async with linked(checked(host), python) as link:
        there = await link.ask("status")
        if as_json and action == "status":
            print(json.dumps(there, indent=2))  # noqa: T201
        else:
            print("\n".join(_lines(host, there)))  # noqa: T201
        if action == "stop":
            stopped = one_line((await link.ask("stop"))["stopped"], 20)
            print(f"Stopped: {stopped}. Paused jobs resume when you connect again.")  # noqa: T201
        elif action == "remove":
            what = f"All of that would be deleted on {host}, with its jobs, adapters and exports."
            if not confirm(what, "Delete it?", yes=yes):
                print("Nothing was deleted.")  # noqa: T201
                return 0
            await link.ask("remove")
            print(f"Nothing of arkor-dev is left on {host}, but for the models in its cache.")  # noqa: T201
    return 0


def _lines(host: str, there: Any) -> Iterator[str]:
    try:
        yield f"{host}: {size(int(there['bytes']))} in {one_line(there['root'], 300)}"
        for project in there["projects"]:
            name = one_line(project["name"], 60)
            if project["running"]:
                jobs = f"{int(project['active'])} jobs running or queued"
                yield f"  {name:<24} running, arkor-dev {one_line(project['version'], 20)}, {jobs}"
            else:
                yield f"  {name:<24} not running"
    except (KeyError, TypeError, ValueError):
        raise BackendError(f"{host} answered with something unexpected. Try again.") from None
