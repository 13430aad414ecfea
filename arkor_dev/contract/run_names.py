"""Unique job names: a trainer's first job has its name, later ones are ``NAME #2``, ``NAME #3``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 200
"""Longest job name, in characters (docs/contract.md#edit)."""
NUMBERED: Final = re.compile(r"(?P<trainer>.+) #(?P<number>[1-9][0-9]{0,8})", re.DOTALL)


def free_name(trainer: str, names: Iterable[object]) -> str:
    """Return a name for the trainer's next job that is not in ``names``; numbers are not reused."""
    highest = 0
    for name in names:
        if name == trainer:
            highest = max(highest, 1)
        elif isinstance(name, str) and (match := NUMBERED.fullmatch(name)) and match["trainer"] == trainer:
            highest = max(highest, int(match["number"]))
    if not highest:
        return trainer
    number = f" #{highest + 1}"
    return trainer if len(trainer + number) > LONGEST else trainer + number


def next_if_taken(name: str, names: Iterable[object]) -> str:
    """Return ``name``, or the trainer's next name if another command has taken it in the meantime."""
    known = set(names)
    match = NUMBERED.fullmatch(name)
    return free_name(match["trainer"], known) if match and name in known else name


def trainer_of(name: object, trainers: Iterable[str]) -> str | None:
    """Return which of ``trainers`` a job with this name belongs to; None if it was renamed."""
    known = set(trainers)
    if not isinstance(name, str):
        return None
    match = NUMBERED.fullmatch(name)
    return next((candidate for candidate in (name, match and match["trainer"]) if candidate in known), None)
