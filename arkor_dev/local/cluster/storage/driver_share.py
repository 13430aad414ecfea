"""This machine's side of what a cluster's machines share: who uses it, as a person reads it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.placement.address import STORAGE

from .shared import Shared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arkor_dev.local.cluster.connection import Place

COPY_SECONDS: Final = 600.0
"""For so long a node may copy files there or from there; one that dies meanwhile is seen at once."""


def share(places: Sequence[Place], root: str | None) -> str:
    """Have the nodes of ``places`` use ``root``, a folder or an address; a sentence on that for a person.

    It is empty without one. Raises as `Place` does.
    """
    if not root:
        return ""
    with ThreadPoolExecutor(max(1, len(places))) as asking:
        answers = list(asking.map(lambda place: place.call("share", root), places))
    blind = [
        f"the node {place.facts['node']} does not see it ({_line(why.decode(errors='replace'))})"
        for place, why in zip(places, answers, strict=True)
        if why
    ]
    if not blind:
        return f" Checkpoints lie in {root}, too."
    return f" Checkpoints come here alone and not to {root}: {', '.join(blind)}."


def seen(job: Mapping[str, Any], place: Place) -> tuple[Shared | None, str]:
    """A ``job``'s files there as this machine sees them; None, with a sentence on why, where it does not.

    While they are waited for the ``place`` of the job hears that somebody is here.
    """
    root = job["config"].get(STORAGE)
    if not root:
        return None, ""
    try:
        return Shared.of(root, job["id"], lambda: _greet(place), writes=False), ""
    except OSError as fault:
        why = _line(str(fault))
        return None, f" This machine does not see {root} ({why}): they come through the cluster."


def _greet(place: Place) -> None:
    place.call("lacks", {})


def taken(places: Sequence[Place], root: str | None) -> str:
    """How many files the nodes of ``places`` have found in ``root``, as a sentence; empty where none were."""
    answers = [place.call("taken") for place in places] if root else []
    count = sum(int(answer) for answer in answers if answer.isdigit() and len(answer) < 10)
    files = "file" if count == 1 else "files"
    return f" It goes on from {count} {files} that were there." if count else ""


def _line(why: str) -> str:
    return " ".join(why.split())[:200]
