"""Where this copy of the package came from, and which tool owns its environment.

No index is known to have this package: somebody else could publish under its name. So a command for the
user names the folder, file or address that this copy was installed from (``direct_url.json``, PEP 610);
only a copy that came from an index is named as that index knows it.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from .extras_table import REQUIREMENTS

PACKAGE: Final = "arkor-dev"
ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder of the package: a clone, or ``site-packages``."""


class Tool(Enum):
    """What owns this environment, and so what installs into it."""

    PIP = "pip"
    UV = "uv pip"
    UV_TOOL = "uv tool"
    UVX = "uvx"
    PIPX = "pipx"
    PIPX_RUN = "pipx run"
    CONDA = "conda"


@dataclass(frozen=True, slots=True)
class Origin:
    """``address`` is a folder, a file or a URL as pip takes it; the package's name for an ``index``."""

    kind: Literal["editable", "folder", "file", "repository", "index"]
    address: str = PACKAGE

    def requirement(self, extras: tuple[str, ...] = ()) -> str:
        """Return the requirement that pip, uv and pipx take, with extras; not quoted for a shell."""
        if not extras:
            return self.address
        names = f"[{','.join(extras)}]"
        if "://" in self.address:
            return f"{PACKAGE}{names} @ {self.address}"
        return f"{self.address}{names}"


def owner() -> Tool:
    """Return what owns this environment."""
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").is_file():
        return Tool.UV_TOOL
    if (prefix / "pipx_metadata.json").is_file():
        return Tool.PIPX_RUN if prefix.parent.name == ".cache" else Tool.PIPX
    try:
        installer = (distribution(PACKAGE).read_text("INSTALLER") or "").strip()
    except PackageNotFoundError:
        return Tool.PIP
    if installer == "uv":  # uvx makes environments for one call in uv's cache
        return Tool.UVX if {"archive-v0", "environments-v2"} & set(prefix.parts) else Tool.UV
    return Tool.CONDA if installer == "conda" else Tool.PIP


def origin() -> Origin:
    """Return where this copy came from. An index is all that leaves no record.

    The engine's environment (``arkor-dev setup``) has no metadata but a link to the package; they are beside
    what it points to. A clone that was never installed has none at all.
    """
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        found = next(ROOT.glob("arkor_dev-*.dist-info"), None)
        if found is None:
            return Origin("editable", str(ROOT))
        installed = Distribution.at(found)
    try:
        record = json.loads(installed.read_text("direct_url.json") or "null")
    except ValueError:
        record = None
    match record:
        case {"dir_info": {"editable": True}, "url": str(url)}:
            return Origin("editable", _path(url))
        case {"dir_info": _, "url": str(url)}:
            return Origin("folder", _path(url))
        case {"vcs_info": {"vcs": str(vcs)} as info, "url": str(url)}:
            revision = info.get("requested_revision")
            return Origin("repository", f"{vcs}+{_public(url)}{f'@{revision}' if revision else ''}")
        case {"archive_info": _, "url": str(url)}:
            return Origin("file", _path(url) if url.startswith("file:") else _public(url))
    return Origin("index")


def extras_here() -> tuple[str, ...]:
    """Return the extras whose packages this environment has, to be kept by an upgrade.

    An extra counts if it has a package that nothing else needs: fsspec, say, came with torch.
    """
    needed: dict[str, set[str]] = {}
    for each in distributions():
        if (name := _name(each.metadata["Name"] or "")) != PACKAGE:
            needed[name] = {_name(line) for line in each.requires or () if "extra ==" not in line}
    by_others = set[str]().union(*needed.values())
    packages = {extra: set(map(_name, lines)) for extra, lines in REQUIREMENTS.items() if extra}
    return tuple(extra for extra, own in packages.items() if own <= set(needed) and own - by_others)


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _path(url: str) -> str:
    return unquote(urlsplit(url).path)


def _public(url: str) -> str:
    """Return an address without the name and password that it may hold; ssh needs its name."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme in {"http", "https"}:
        user = at = ""
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}"))
