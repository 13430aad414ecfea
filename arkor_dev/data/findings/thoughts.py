"""Thoughts of answers: how many rows have them, how long they are, and mixtures that break the switch.

Models such as Qwen3 have a switch, the argument ``enable_thinking`` of their chat template. It keeps working
if a model learns thoughts after prompts that allow them, and none after those that do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import counted
from arkor_dev.data.prompts import PROMPT
from arkor_dev.data.thoughts import thoughts_of

from .answers import LengthHistogram
from .finding import Check, CheckedRow, FoundRows, be, have, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import Finding

KEEP_SWITCH: Final = (
    "Set train_on_empty_thoughts = false: empty thoughts are then not learned, and the model still thinks "
    "where it is asked to. If it should never think, set chat_template_kwargs.enable_thinking = false."
)
"""The remedy for rows that teach a model to leave its thoughts empty."""


class ThoughtCheck(Check):
    """The thoughts of each row's answers."""

    def __init__(self) -> None:
        self._filled, self._empty, self._none = FoundRows(), FoundRows(), FoundRows()
        self._lengths = LengthHistogram()
        self._longest = 0

    def examine(self, checked: CheckedRow) -> None:
        row = checked.row
        if row.text is not None or row.form == PROMPT:  # a prompt's answers are yet to be generated
            return
        found = [thoughts_of(message).thoughts for message in row.messages if message["role"] == "assistant"]
        filled = [thoughts for thoughts in found if thoughts]
        if filled:
            self._filled.add(checked, filled[-1])
        if "" in found:
            self._empty.add(checked)
        elif not filled:
            self._none.add(checked)
        for thoughts in filled:
            self._lengths.add(len(thoughts))
            self._longest = max(self._longest, len(thoughts))

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        filled, empty, none = self._filled.count, self._empty.count, self._none.count
        if empty:
            yield self._empty.finding(
                "empty-thoughts",
                "warning",
                f"{have(empty)} empty thoughts",
                "The model learns to end its thoughts at once, also where it is asked to think: its switch "
                "(enable_thinking) stops working.",
                KEEP_SWITCH,
            )
        if filled and none:
            fewer, title = (
                (self._filled, f"{have(filled)} thoughts, and {none:,} {be(none)} without")
                if filled <= none
                else (self._none, f"{have(none)} no thoughts, and {filled:,} {have(filled)} some")
            )
            yield fewer.finding(
                "mixed-thoughts",
                "warning",
                title,
                "Nothing in the prompt says which is wanted, so the model learns to think by chance. The "
                "templates of many models write empty thoughts into rows without any, which breaks their "
                "switch (enable_thinking).",
                KEEP_SWITCH + " Or give all rows thoughts, or none.",
            )
        if filled:
            others = f"; {rows_of(none)} {have(none)} none" if none else ""
            others += f"; {rows_of(empty)} {have(empty)} empty ones" if empty else ""
            yield self._filled.finding(
                "thoughts",
                "note",
                f"{have(filled)} thoughts",
                f"Half of them have at most about {counted(self._lengths.at(0.5), 'character')}, the longest "
                f"{self._longest:,}{others}. They count towards max_length.",
                "thought_weight and answer_weight say how much they count in the loss; at thought_weight = 0 "
                "only answers are learned, at answer_weight = 0 only thoughts.",
            )
