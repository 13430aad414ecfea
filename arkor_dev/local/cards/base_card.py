"""Reads license and languages from a base model's own card, which is untrusted and so parsed strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.models.catalog import HUB_ID, is_starter

if TYPE_CHECKING:
    from pathlib import Path

CARD: Final = "README.md"
LIMIT: Final = 1 << 20
MOST_LANGUAGES: Final = 50
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


class BaseCard(TypedDict):
    """What is known of a base model: ``hub`` is true if its name is a model hub's id rather than a folder.

    The license and the languages are those of its own card.
    """

    hub: bool
    license: NotRequired[str]
    license_name: NotRequired[str]
    license_link: NotRequired[str]
    language: NotRequired[list[str]]
    name: NotRequired[str]
    note: NotRequired[str]


STARTER: Final[BaseCard] = {"hub": True, "license": "apache-2.0", "language": ["en"]}
"""The starter model's facts, from its card on the Hub, since the package index has no card."""


def card_of_base(name: str, folder: Path, project: Path) -> BaseCard:
    """Return what is known of the base ``name`` in ``folder``; it may be a folder of ``project``."""
    if is_starter(name):
        return STARTER.copy()
    hub = bool(HUB_ID.fullmatch(name)) and not name.startswith(".") and not (project / name).is_dir()
    card: BaseCard = {"hub": hub}
    _read(folder / CARD, card)
    return card


def _read(path: Path, card: BaseCard) -> None:
    """Add what the front matter in ``path`` says to ``card``."""
    try:
        text = read_small(path, LIMIT).decode()
    except (OSError, ValueError):
        return
    match = _FRONT_MATTER.match(text.replace("\r\n", "\n"))
    if not match:
        return
    fields = f"{match[1]}\n"
    if (hit := _LICENSE.search(fields)) and (terms := hit[1].strip()):
        card["license"] = terms
    if (hit := _NAME.search(fields)) and (name := hit[1].strip()):
        card["license_name"] = name
    if (hit := _LINK.search(fields)) and (link := hit[1].strip()):
        card["license_link"] = link
    if hit := _ONE.search(fields):
        card["language"] = [hit[1]]
    elif several := _SEVERAL.search(fields):
        codes = _CODE.findall(several[1] or several[2])
        if codes:
            card["language"] = list(dict.fromkeys(codes))[:MOST_LANGUAGES]
