"""What a chat template does with the thoughts in a row's answers, and what training learns of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arkor_dev.data.thoughts import closed_by, split_answer, thoughts_of
from arkor_dev.local.modeling.chat_template import squeezed
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.rows.encoding import EncodedText, Encoding


@dataclass(frozen=True, slots=True)
class TemplateThoughts:
    """The thoughts of a row as its template renders them.

    ``dropped``: thoughts are in none of its examples. ``dropped_later``: they are learned, and later turns no
    longer contain them. ``learned_empty``: an answer teaches to end the thoughts at once. ``forbidden``:
    thoughts are learned after a prompt that says not to think.
    """

    dropped: bool = False
    dropped_later: bool = False
    learned_empty: bool = False
    forbidden: bool = False


def thoughts_in_template(
    row: Row, parts: Sequence[EncodedText], encoding: Encoding, prompt_before: Callable[[int], str]
) -> TemplateThoughts:
    """Return what becomes of the thoughts in ``row``, which is learned as ``parts``.

    ``prompt_before`` renders the prompt of the message with an index.
    """
    if row.text is not None or not any(part.spans for part in parts):
        return TemplateThoughts()
    learned_empty = any(_learns_empty(part) for part in parts)
    answers = [at for at, message in enumerate(row.messages) if message["role"] == "assistant"]
    found = {at: thoughts for at in answers if (thoughts := thoughts_of(row.messages[at]).thoughts)}
    if not found:
        return TemplateThoughts(learned_empty=learned_empty)
    # A long conversation may have a thousand examples: only the answers in them are searched.
    learned = "\n".join(part.text[start:end] for part in parts for start, end in part.spans)
    answer_texts, last_text = squeezed(learned), squeezed(parts[-1].text)
    kept = {at for at in found if squeezed(found[at]) in answer_texts}
    in_last = {at for at in kept if squeezed(found[at]) in last_text}
    expected = found.keys() & ({answers[-1]} if encoding.last_only else found.keys())
    return TemplateThoughts(
        dropped=bool(expected - kept),
        dropped_later=bool(kept - in_last),
        learned_empty=learned_empty,
        forbidden=bool(kept) and _forbids(prompt_before, max(kept)),
    )


def _learns_empty(part: EncodedText) -> bool:
    """Return whether an answer's empty thoughts are learned."""
    for start, end in part.spans:
        if split_answer(part.text[start:end]).thoughts == "":
            tokens = zip(part.offsets, part.labels, strict=True)
            label = next((label for (left, right), label in tokens if start <= left < right), IGNORED)
            if label != IGNORED:
                return True
    return False


def _forbids(prompt_before: Callable[[int], str], answer: int) -> bool:
    """Return whether the prompt of an answer ends with empty thoughts, which say not to think."""
    try:
        return closed_by(prompt_before(answer))
    except JobFailure:
        return False
