"""Reads license and languages from a base model's own card, which is untrusted and so parsed strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.models.catalog import HUB_ID, is_starter

if TYPE_CHECKING:
    from pathlib import Path

CARD: Final = "README.md"
LIMIT: Final = 1 << 20
MOST_LANGUAGES: Final = 50
STARTER: Final = {"license": "apache-2.0", "language": ["en"]}
"""The starter model's facts, from its card on the Hub, since the package index has no card."""
_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_LICENSE: Final = re.compile(r"^license:[ \t]*[\"']?([a-z0-9][a-z0-9.+-]{0,59})[\"']?[ \t]*$", re.MULTILINE)
_NAME: Final = re.compile(r"^license_name:[ \t]*[\"']?([\w .+()-]{1,80}?)[\"']?[ \t]*$", re.MULTILINE)
_LINK: Final = re.compile(
    r"^license_link:[ \t]*[\"']?(https://[\w./#%+~-]{1,300})[\"']?[ \t]*$", re.MULTILINE
)
_ONE: Final = re.compile(r"^languages?:[ \t]*[\"']?([a-z]{2,8})[\"']?[ \t]*$", re.MULTILINE)
_SEVERAL: Final = re.compile(
    r"^languages?:[ \t]*(?:\[([^\]\n]*)\][ \t]*$|\n((?:[ \t]*-[ \t]*\S+[ \t]*(?:\n|\Z))+))", re.MULTILINE
)
_CODE: Final = re.compile(r"(?<![\w-])[\"']?([a-z]{2,8})[\"']?(?![\w-])")


def card_of_base(name: str, folder: Path, project: Path) -> dict[str, Any]:
    """Return ``{hub, license?, license_name?, license_link?, language?}`` of the base ``name`` in ``folder``.

    ``hub`` is true if the name is a model hub's id rather than a folder of ``project`` or elsewhere.
    """
    if is_starter(name):
        return {"hub": True, **STARTER}
    hub = bool(HUB_ID.fullmatch(name)) and not name.startswith(".") and not (project / name).is_dir()
    return {"hub": hub, **_read(folder / CARD)}


def _read(path: Path) -> dict[str, Any]:
    try:
        text = read_small(path, LIMIT).decode()
    except (OSError, ValueError):
        return {}
    match = _FRONT_MATTER.match(text.replace("\r\n", "\n"))
    if not match:
        return {}
    fields, facts = f"{match[1]}\n", dict[str, Any]()
    for key, pattern in (("license", _LICENSE), ("license_name", _NAME), ("license_link", _LINK)):
        if hit := pattern.search(fields):
            facts[key] = hit[1].strip()
    if hit := _ONE.search(fields):
        facts["language"] = [hit[1]]
    elif several := _SEVERAL.search(fields):
        codes = _CODE.findall(several[1] or several[2])
        facts["language"] = list(dict.fromkeys(codes))[:MOST_LANGUAGES]
    return {key: value for key, value in facts.items() if value}
