"""Finds the command that upgrades this installation, from the installer's metadata.

pipx and ``uv tool`` own whole environments; pip, uv and conda name themselves in ``INSTALLER``, and a package
that did not come from an index has its origin in ``direct_url.json`` (PEP 610).
"""

from __future__ import annotations

import json
import shlex
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

PACKAGE: Final = "arkor-dev"
OWNERS: Final = {"uv-receipt.toml": "uv tool upgrade", "pipx_metadata.json": "pipx upgrade"}
"""Files that only these tools put at the root of an environment."""


def upgrade_command() -> str:
    """Return the command, quoted for a shell."""
    for mark, command in OWNERS.items():
        if (Path(sys.prefix) / mark).is_file():
            return f"{command} {PACKAGE}"
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:  # run from a clone that was never installed
        return _pull(Path(__file__).parents[2])
    python, installer = shlex.quote(sys.executable), (installed.read_text("INSTALLER") or "").strip()
    if installer == "conda":
        return f"conda update --prefix {shlex.quote(sys.prefix)} {PACKAGE}"
    tool = f"uv pip install --python {python}" if installer == "uv" else f"{python} -m pip install"
    match _origin(installed):
        case {"dir_info": {"editable": True}, "url": str(url)}:
            return _pull(_path(url))
        case {"dir_info": _, "url": str(url)}:
            clone = _path(url)
            return f"{_pull(clone)} && {tool} --upgrade {shlex.quote(str(clone))}"
        case {"vcs_info": {"vcs": str(vcs)}, "url": str(url)}:
            return f"{tool} --upgrade {shlex.quote(f'{vcs}+{url}')}"
    return f"{tool} --upgrade {PACKAGE}"


def _origin(installed: Distribution) -> object:
    try:
        return json.loads(installed.read_text("direct_url.json") or "null")
    except ValueError:
        return None


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _pull(clone: Path) -> str:
    return f"git -C {shlex.quote(str(clone))} pull"
