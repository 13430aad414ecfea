"""Finds the commands that upgrade and remove this installation, by its environment's owner and its origin."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass

from arkor_dev.contract.extras import tool_install
from arkor_dev.contract.origin import PACKAGE, Tool, extras_here, origin, owner


@dataclass(frozen=True, slots=True)
class Installation:
    """How this package was installed: commands, each a list of arguments, to upgrade and to remove it.

    ``may_run`` says that they change nothing but this installation: those of a clone are for the user to run.
    With a ``note``, that is to be changed in ``upgrade`` first, so a user has to run it.
    """

    upgrade: tuple[tuple[str, ...], ...]
    remove: tuple[str, ...]
    may_run: bool = True
    note: str | None = None


def installation() -> Installation:
    """Return how this package was installed."""
    where, tool = origin(), owner()
    extras = () if where.kind == "editable" else extras_here()
    again, remove = _again(tool, where.requirement(extras)), _remove(tool)
    by_call = tool in {Tool.UVX, Tool.PIPX_RUN}
    if tool is Tool.CONDA and where.kind == "index":
        update = ("conda", "update", "--prefix", sys.prefix, PACKAGE)
        return Installation((update,), remove, may_run=False)
    match where.kind:
        case "editable":
            return Installation((_pull(where.address),), remove, may_run=False)
        case "folder":
            return Installation((_pull(where.address), again), remove, may_run=False)
        case "file":  # of one version
            return Installation((again,), remove, not by_call, note="name the newer file in its place")
        case "index" if tool is Tool.UVX:
            latest = ("uvx", "--from", f"{where.requirement(extras)}@latest", PACKAGE)
            return Installation((latest,), remove, may_run=False)
    if tool in {Tool.UV_TOOL, Tool.PIPX}:
        return Installation(((*tool.value.split(), "upgrade", PACKAGE),), remove)
    return Installation((again,), remove, may_run=not by_call)


def upgrade_command() -> str:
    """Return the command that upgrades this installation, quoted for a shell; a note is a comment in it."""
    found = installation()
    command = " && ".join(map(shlex.join, found.upgrade))
    return f"{command}  # {found.note}" if found.note else command


def _again(tool: Tool, requirement: str) -> tuple[str, ...]:
    """Return the command that installs ``requirement`` in place of this copy."""
    match tool:
        case Tool.UV_TOOL:
            return (*tool_install(), "--reinstall-package", PACKAGE, requirement)
        case Tool.PIPX:
            return ("pipx", "install", "--force", requirement)
        case Tool.UVX:
            return ("uvx", "--refresh-package", PACKAGE, "--from", requirement, PACKAGE)
        case Tool.PIPX_RUN:
            return ("pipx", "run", "--no-cache", "--spec", requirement, PACKAGE)
        case Tool.UV:
            return ("uv", "pip", "install", "--python", sys.executable, "--upgrade", requirement)
    return (sys.executable, "-m", "pip", "install", "--upgrade", requirement)


def _remove(tool: Tool) -> tuple[str, ...]:
    match tool:
        case Tool.UV_TOOL | Tool.PIPX:
            return (*tool.value.split(), "uninstall", PACKAGE)
        case Tool.UVX:
            return ("uv", "cache", "clean", PACKAGE)
        case Tool.PIPX_RUN:
            return ("rm", "-r", sys.prefix)
        case Tool.UV:
            return ("uv", "pip", "uninstall", "--python", sys.executable, PACKAGE)
        case Tool.CONDA:
            return ("conda", "remove", "--prefix", sys.prefix, PACKAGE)
    return (sys.executable, "-m", "pip", "uninstall", "--yes", PACKAGE)


def _pull(clone: str) -> tuple[str, ...]:
    return ("git", "-C", clone, "pull")
