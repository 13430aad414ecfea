"""Finds the commands that upgrade and remove this installation, from the installer's metadata.

pipx and ``uv tool`` own whole environments; pip, uv and conda name themselves in ``INSTALLER``, and a package
that did not come from an index has its origin in ``direct_url.json`` (PEP 610).
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

PACKAGE: Final = "arkor-dev"
OWNERS: Final = {"uv-receipt.toml": ("uv", "tool"), "pipx_metadata.json": ("pipx",)}
"""Files that only these tools put at the root of an environment, and how their commands begin."""
PASSING: Final = ("archive-v0", "environments-v2")
"""Folders of uv's cache with environments of ``uvx``, which are made for one call."""


@dataclass(frozen=True, slots=True)
class Installation:
    """How this package was installed: commands, each a list of arguments, to upgrade and to remove it.

    ``may_run`` says that they change nothing but this installation: those of a clone are for the user to run.
    """

    upgrade: tuple[tuple[str, ...], ...]
    remove: tuple[str, ...]
    may_run: bool = True


def installation() -> Installation:
    """Return how this package was installed."""
    for mark, tool in OWNERS.items():
        if (Path(sys.prefix) / mark).is_file():
            return Installation(((*tool, "upgrade", PACKAGE),), (*tool, "uninstall", PACKAGE))
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:  # run from a clone that was never installed
        clone = Path(__file__).parents[2]
        return Installation((_pull(clone),), ("rm", "-r", str(clone)), may_run=False)
    installer = (installed.read_text("INSTALLER") or "").strip()
    if installer == "conda":
        prefix = ("--prefix", sys.prefix, PACKAGE)
        return Installation((("conda", "update", *prefix),), ("conda", "remove", *prefix), may_run=False)
    if installer == "uv" and any(name in Path(sys.prefix).parts for name in PASSING):
        reinstall = ("uvx", f"{PACKAGE}@latest")
        return Installation((reinstall,), ("uv", "cache", "clean", PACKAGE), may_run=False)
    if installer == "uv":
        add: tuple[str, ...] = ("uv", "pip", "install", "--python", sys.executable, "--upgrade")
        remove: tuple[str, ...] = ("uv", "pip", "uninstall", "--python", sys.executable, PACKAGE)
    else:
        add = (sys.executable, "-m", "pip", "install", "--upgrade")
        remove = (sys.executable, "-m", "pip", "uninstall", "--yes", PACKAGE)
    match _origin(installed):
        case {"dir_info": {"editable": True}, "url": str(url)}:
            return Installation((_pull(_path(url)),), remove, may_run=False)
        case {"dir_info": _, "url": str(url)}:
            clone = _path(url)
            return Installation((_pull(clone), (*add, str(clone))), remove, may_run=False)
        case {"vcs_info": {"vcs": str(vcs)}, "url": str(url)}:
            return Installation(((*add, f"{vcs}+{url}"),), remove)
    return Installation(((*add, PACKAGE),), remove)


def upgrade_command() -> str:
    """Return the command that upgrades this installation, quoted for a shell."""
    return " && ".join(map(shlex.join, installation().upgrade))


def _origin(installed: Distribution) -> object:
    try:
        return json.loads(installed.read_text("direct_url.json") or "null")
    except ValueError:
        return None


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _pull(clone: Path) -> tuple[str, ...]:
    return ("git", "-C", str(clone), "pull")
