"""``arkor-dev ssh``: files that ``--ssh`` has put on another machine, its processes, and its adapters."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.cli.commands.export.run import run_export
from arkor_dev.cli.consent import confirm, require_trust
from arkor_dev.client.job_list import jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.connection.ssh.answers import read_host_use, read_nothing, read_stopped
from arkor_dev.connection.ssh.host import checked
from arkor_dev.connection.ssh.link import linked
from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.regular_files import is_safe_name
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.toml.compute import load_ssh, load_ssh_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.connection.ssh.answers import HostUse
    from arkor_dev.core.settings import Settings

ACTIONS: Final = ("status", "fetch", "stop", "remove")
FOLDER: Final = "fetched"


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
    if host is None:
        if (host := load_ssh(settings.project)) is None:
            raise BadRequestError(f"Name the machine: arkor-dev ssh {action} HOST.")
        require_trust(settings, host)
    if action == "fetch":
        return await _fetch_all(replace(settings, local=True, ssh=checked(host)), out)
    python = load_ssh_python(settings.project, host)
    async with linked(checked(host), python, lambda text: print(text, file=sys.stderr)) as link:  # noqa: T201
        use = await link.ask("status", read_host_use)
        if as_json and action == "status":
            print(json.dumps(_json_of(use), indent=2))  # noqa: T201
        else:
            print("\n".join(_lines(host, use)))  # noqa: T201
        if action == "stop":
            stopped = await link.ask("stop", read_stopped)
            print(f"Stopped: {stopped}. Paused jobs resume when you connect again.")  # noqa: T201
        elif action == "remove":
            question = f"All of that would be deleted on {host}, with its jobs, adapters and exports."
            if not confirm(question, "Delete it?", yes=yes):
                print("Nothing was deleted.")  # noqa: T201
                return 0
            await link.ask("remove", read_nothing)
            print(f"Nothing of arkor-dev is left on {host}, but for the models in its cache.")  # noqa: T201
    return 0


def _lines(host: str, use: HostUse) -> Iterator[str]:
    yield f"{host}: {format_bytes(use.size)} in {use.root}"
    for project in use.projects:
        if project.is_running:
            jobs = f"{project.active} jobs running or queued"
            yield f"  {project.name:<24} running, arkor-dev {project.version}, {jobs}"
        else:
            yield f"  {project.name:<24} not running"


def _json_of(use: HostUse) -> dict[str, object]:
    projects = [
        {
            "key": project.key, "name": project.name, "running": project.is_running,
            **({"version": project.version, "active": project.active} if project.is_running else {}),
        }
        for project in use.projects
    ]  # fmt: skip
    return {"projects": projects, "bytes": use.size, "root": use.root}


async def _fetch_all(settings: Settings, out: str | None) -> int:
    """Export the adapters of completed jobs that are not in ``out`` (None: ``fetched`` in the project) yet.

    Return the exit code: 1 if one of them is not the trained model. Raises ArkorError.
    """
    folder = settings.project / FOLDER if out is None else Path(out)
    async with joined(settings, lambda _: None) as backend:
        done = [str(job["id"]) for job in await jobs_of(backend) if job.get("status") == "completed"]
    if not all(is_safe_name(job) and "/" not in job for job in done):
        raise BackendError(f"{settings.ssh} answered with something unexpected. Try again.")
    missing = [job for job in done if not (folder / job).exists()]
    print(f"{len(missing)} of {len(done)} completed jobs to fetch")  # noqa: T201
    folder.mkdir(parents=True, exist_ok=True)
    options: dict[str, object] = {
        "format": "adapter",
        "checkpoint": "best",
        "quantization": None,
        "strength": 1.0,
    }
    options |= {"replace": False, "json": False}
    codes = [
        await run_export(settings, Namespace(job=job, out=str(folder / job), **options)) for job in missing
    ]
    return max(codes, default=0)
