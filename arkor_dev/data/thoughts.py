"""Thoughts: what a reasoning model writes before its answer, and how rows and models mark it.

Data sets hold them in a field of the message, or within the content between the model's own marks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS: Final = ("reasoning_content", "reasoning", "thinking")
"""The fields of a message that hold its thoughts: of DeepSeek and Qwen, of Gemma, and of gpt-oss."""
FINAL: Final = "<|channel|>final<|message|>"
FINAL_CHANNEL: Final = f"<|start|>assistant{FINAL}"
"""The texts with which gpt-oss begins an answer: one without thoughts, and one after them."""


@dataclass(frozen=True, slots=True)
class ThoughtMarks:
    """The texts before and after thoughts. ``alone``: ``end`` may come without ``start``, which is in the
    generation prompt of some models. ``closing`` is the text between thoughts and answer.
    """

    start: str
    end: str
    closing: str
    alone: bool = False


MARKS: Final = (
    ThoughtMarks("<think>", "</think>", "\n</think>\n\n", alone=True),
    ThoughtMarks("[THINK]", "[/THINK]", "[/THINK]", alone=True),
    ThoughtMarks("<|channel|>analysis<|message|>", "<|end|>", f"<|end|>{FINAL_CHANNEL}"),
    ThoughtMarks("<|channel>thought", "<channel|>", "\n<channel|>"),
)
"""Of Qwen, DeepSeek and most others; of Magistral; of gpt-oss; of Gemma 4."""


@dataclass(frozen=True, slots=True)
class SplitAnswer:
    """An answer without its thoughts, and the thoughts: None without any, blank for empty ones.

    ``ended``: whether they end; ``answer`` is empty if they do not. ``answer_start`` is the position of the
    answer in the text.
    """

    thoughts: str | None
    answer: str
    ended: bool = True
    answer_start: int = 0


def split_answer(text: str) -> SplitAnswer:
    """Separate the thoughts at the beginning of ``text`` from the answer after them."""
    stripped = text.lstrip()
    for marks in MARKS:
        started = stripped.startswith(marks.start)
        if not started and not (marks.alone and marks.end in stripped):
            continue
        before, end, after = stripped.removeprefix(marks.start).partition(marks.end)
        if not started and marks.start in before:  # thoughts in the middle of an answer are a part of it
            continue
        answer = after.lstrip()
        return SplitAnswer(
            before.strip(), answer.removeprefix(FINAL_CHANNEL), bool(end), len(text) - len(answer)
        )
    return SplitAnswer(None, text)


def thoughts_of(message: Mapping[str, object]) -> SplitAnswer:
    """Return a message's answer and thoughts, whether these are in a field or in the content."""
    content = message.get("content")
    split = split_answer(content if isinstance(content, str) else "")
    for key in KEYS:
        if isinstance(thoughts := message.get(key), str):
            return replace(split, thoughts=thoughts.strip(), ended=True)
    return split


def split_generated(prompt: str, text: str) -> SplitAnswer:
    """Separate the thoughts of a generated ``text`` from its answer; ``prompt`` may have begun them."""
    marks = opened_by(prompt)
    return split_answer(f"{marks.start}{text}" if marks else text)


def opened_by(prompt: str) -> ThoughtMarks | None:
    """Return the marks whose start a generation prompt ends with, so that the answer begins with thoughts."""
    stripped = prompt.rstrip()
    return next((marks for marks in MARKS if stripped.endswith(marks.start)), None)


def closed_by(prompt: str) -> bool:
    """Return whether a generation prompt ends with empty thoughts, so that the answer begins without any."""
    stripped = prompt.rstrip()
    ends = [marks for marks in MARKS if stripped.endswith(marks.end)]
    return any(stripped.removesuffix(marks.end).rstrip().endswith(marks.start) for marks in ends)
