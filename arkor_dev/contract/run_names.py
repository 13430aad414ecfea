"""Unique names of jobs: the first of a trainer is called after it, the next ``NAME #2``, ``NAME #3``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 200
"""Characters of a job's name (docs/contract.md#edit)."""
NUMBERED: Final = re.compile(r"(?P<trainer>.+) #(?P<number>[1-9][0-9]{0,8})", re.DOTALL)


def free_name(trainer: str, taken: Iterable[object]) -> str:
    """Return a name for the trainer's next job that is none of ``taken``; used numbers stay used."""
    highest = 0
    for name in taken:
        if name == trainer:
            highest = max(highest, 1)
        elif isinstance(name, str) and (found := NUMBERED.fullmatch(name)) and found["trainer"] == trainer:
            highest = max(highest, int(found["number"]))
    if not highest:
        return trainer
    number = f" #{highest + 1}"
    return trainer if len(trainer + number) > LONGEST else trainer + number


def next_if_taken(name: str, taken: Iterable[object]) -> str:
    """Return ``name``, or its trainer's next one where another command has taken this number meanwhile."""
    known = set(taken)
    found = NUMBERED.fullmatch(name)
    return free_name(found["trainer"], known) if found and name in known else name


def trainer_of(name: object, trainers: Iterable[str]) -> str | None:
    """Return which of ``trainers`` the job of this name is of; None where it was renamed."""
    known = set(trainers)
    if not isinstance(name, str):
        return None
    found = NUMBERED.fullmatch(name)
    return next((each for each in (name, found and found["trainer"]) if each in known), None)
