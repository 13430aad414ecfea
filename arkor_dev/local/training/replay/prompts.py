"""Prompts to replay: the built-in ones, or those of a job's replay data set. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.data.groups import groups_of
from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.rows import Row
from arkor_dev.local.evaluation.general import questions

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT_IN: Final = Path(__file__).with_name("prompts.txt")
FORMS: Final = PROMPTS
"""Row forms allowed in a replay data set: conversations and prompts."""


def prompts() -> list[str]:
    """Return the built-in prompts, in file order. The verdict uses different questions."""
    return BUILT_IN.read_text(encoding="utf-8").splitlines()


def built_in() -> list[Row]:
    return [
        Row([{"role": "user", "content": prompt}, {"role": "assistant", "content": ""}], f"prompt {number}")
        for number, prompt in enumerate(prompts(), 1)
    ]


def without_near_duplicates(rows: Sequence[Row], held_out: Sequence[Row]) -> list[Row]:
    """Drop held-out rows, general questions, and near duplicates of either, which the verdict measures."""
    measured = [*questions(), *held_out]
    groups = groups_of([*measured, *rows], guess=False).ids
    known = set(groups[: len(measured)])
    return [row for row, group in zip(rows, groups[len(measured) :], strict=True) if group not in known]
