"""Rows of preferences: two answers of which one is preferred, or one answer that is rated.

They come in TRL's formats and this project's own. ``messages`` of a pair are the prompt and the chosen
answer, ``extra["rejected"]`` the same with the other answer. A rating has ``extra["desirable"]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .forms import Content, Form
from .messages import checked_text, conversation, from_text
from .prompts import prompt_of
from .rows import RowError, RowMessage

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME: Final = "has the same answer as chosen and as rejected, so there is nothing to prefer"


def _pair(prompt: list[RowMessage], chosen: object, rejected: object) -> Content:
    """Return the content of a row from its prompt and both answers, texts or messages."""
    both = [_answer(prompt, answer, name) for answer, name in ((chosen, "chosen"), (rejected, "rejected"))]
    if both[0] == both[1]:
        raise RowError(SAME)
    return Content(both[0], extra={"rejected": both[1]})


def _answer(prompt: list[RowMessage], answer: object, name: str) -> list[RowMessage]:
    """Return the prompt and one answer to it as a checked conversation."""
    answer = from_text(answer)
    if isinstance(answer, str):
        answer = [{"role": "assistant", "content": checked_text(answer, name)}]
    elif isinstance(answer, dict):
        answer = [answer]
    if not isinstance(answer, list):
        raise RowError(f"{name} must be text, a message or a list of messages, not {type(answer).__name__}")
    checked = conversation([*prompt, *answer])
    if checked[-1]["role"] != "assistant" or len(checked) == len(prompt):
        raise RowError(f"{name} must end with an assistant message")
    return checked


def _with_system(record: Mapping[str, object], prompt: list[RowMessage]) -> list[RowMessage]:
    system = record.get("system")
    if isinstance(system, str) and system.strip() and prompt[0]["role"] != "system":
        return [{"role": "system", "content": system}, *prompt]
    return prompt


def _read_pair(record: dict[str, object]) -> Content:
    return _pair(_with_system(record, prompt_of(record["prompt"])), record["chosen"], record["rejected"])


def _read_implicit(record: dict[str, object]) -> Content:
    """Read two whole conversations, whose common beginning is the prompt."""
    chosen, rejected = from_text(record["chosen"]), from_text(record["rejected"])
    if not (isinstance(chosen, list) and isinstance(rejected, list)):
        raise RowError("without a prompt, chosen and rejected must be lists of messages: add a prompt")
    first, second = conversation(chosen), conversation(rejected)
    if first == second:
        raise RowError(SAME)
    common = next(
        (index for index, (left, right) in enumerate(zip(first, second, strict=False)) if left != right),
        min(len(first), len(second)),
    )
    if common == 0 or common >= min(len(first), len(second)):
        raise RowError(
            "chosen and rejected must begin with the same prompt, and each continue with an answer"
        )
    return _pair(first[:common], first[common:], second[common:])


def _read_correction(record: dict[str, object]) -> Content:
    """Read a correction made in the playground: the person's answer is chosen, the model's own rejected."""
    corrected = record["corrected"]
    instead = corrected.get("instead") if isinstance(corrected, dict) else None
    if not isinstance(instead, str) or not instead.strip():
        raise RowError("does not say what the model had answered, so there is nothing to reject")
    messages = conversation(record["messages"])
    return _pair(messages[:-1], messages[-1:], instead)


def _read_openai(record: dict[str, object]) -> Content:
    """Read the rows of OpenAI's preference fine-tuning."""
    prompt_input = record["input"]
    messages = prompt_input.get("messages") if isinstance(prompt_input, dict) else prompt_input
    return _pair(prompt_of(messages), record["preferred_output"], record["non_preferred_output"])


def _read_scored(record: dict[str, object]) -> Content:
    """Read UltraFeedback's rows: the answer with the highest score is chosen, the lowest one rejected."""
    found = record["completions"]
    completions = found if isinstance(found, list) else []
    rated = [
        (float(completion["overall_score"]), completion["response"])
        for completion in completions
        if isinstance(completion, dict)
        and isinstance(completion.get("response"), str)
        and isinstance(completion.get("overall_score"), int | float)
    ]
    if len(rated) < 2 or max(rated)[0] == min(rated)[0]:
        raise RowError("needs two completions with a response and different values of overall_score")
    rated.sort(key=lambda scored: scored[0])
    return _pair(prompt_of(record["instruction"]), rated[-1][1], rated[0][1])


def _read_rating(record: dict[str, object]) -> Content:
    """Read an answer and whether it is a good one; a table has the label as a word."""
    label = record["label"]
    desirable = LABELS.get(label.strip().lower()) if isinstance(label, str) else label
    if desirable not in (0, 1):
        raise RowError("label must be true for a good answer or false for a bad one")
    messages = _answer(_with_system(record, prompt_of(record["prompt"])), record["completion"], "completion")
    return Content(messages, extra={"desirable": bool(desirable)})


LABELS: Final = {"true": True, "1": True, "false": False, "0": False}
PAIRS: Final[dict[str, Form]] = {
    "preference": Form("preferences", ("prompt", "chosen", "rejected"), _read_pair),
    "preference-conversations": Form("preferences", ("chosen", "rejected"), _read_implicit),
    "openai": Form("preferences", ("input", "preferred_output", "non_preferred_output"), _read_openai),
    "correction": Form("corrections", ("messages", "corrected"), _read_correction),
    "scored": Form("scored answers", ("instruction", "completions"), _read_scored),
}
"""The forms of rows that pairs of answers are learned from, by name."""
RATINGS: Final[dict[str, Form]] = {
    "rating": Form("ratings", ("prompt", "completion", "label"), _read_rating),
    **PAIRS,
}
"""The forms of rows that ratings are learned from: a pair is one good and one bad answer."""
