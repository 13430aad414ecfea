"""Checks that an export renders conversations and ends answers like the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence


SHOWN: Final = 60
"""Characters quoted around the first difference."""
CONVERSATIONS: Final = (
    [{"role": "user", "content": "Where is my parcel?"}],
    [{"role": "system", "content": "Answer in a word."}, {"role": "user", "content": "2 + 2 = ?"}],
    [
        {"role": "user", "content": "Ça va ?\n\n  1. émoji 🦜"},
        {"role": "assistant", "content": "Oui."},
        {"role": "user", "content": "<b>And</b> now?"},
    ],
)
"""Conversations for every model, besides those of its own data."""


def faults(
    ours: Any, theirs: Any, ends: Sequence[int], exported: Any, asked: Sequence[Sequence[Any]]
) -> list[str]:
    """Describe each difference that another program would show in a sentence.

    ``ours`` and ``theirs`` are the tokenizers, ``ends`` the tokens that end the trained model's answers,
    ``exported`` the reloaded model, ``asked`` conversations that end with a question.
    """
    found = [
        template_fault(ours, theirs, [*CONVERSATIONS, *asked]) or _tokens(ours, theirs, asked),
        _plain(ours, theirs),
        _ends(ours, ends, exported),
    ]
    return [fault for fault in found if fault]


def template_fault(ours: Any, theirs: Any, conversations: Sequence[Sequence[Any]]) -> str | None:
    """Describe where two chat templates render a conversation differently; None if they don't."""
    for messages in conversations:
        try:
            wanted = render(ours, messages, cue=True)
        except JobFailure:  # for example no system prompts: then the other need not accept them
            continue
        try:
            written = render(theirs, messages, cue=True)
        except JobFailure as failure:
            return f"Its chat template rejects a conversation that the training's accepts: {failure}."
        if wanted != written:
            told = _around(written, wanted), _around(wanted, written)
            return f"Its chat template writes {told[0]} where the training's writes {told[1]}."
    return None


def _tokens(ours: Any, theirs: Any, asked: Sequence[Sequence[Any]]) -> str | None:
    """Compare the conversations' tokens."""
    for messages in (*CONVERSATIONS, *asked):
        try:
            text = render(ours, messages, cue=True)
        except JobFailure:
            continue
        tokens, other = (each(text, add_special_tokens=False)["input_ids"] for each in (ours, theirs))
        if tokens != other:
            return f"Its tokenizer makes {len(other)} tokens of a conversation of {len(tokens)}, or others."
    return None


def _plain(ours: Any, theirs: Any) -> str | None:
    """Compare a plain text's tokens, with the start and end tokens that the tokenizers add."""
    text = str(CONVERSATIONS[-1][0]["content"])
    wanted, other = ours(text)["input_ids"], theirs(text)["input_ids"]
    if wanted == other:
        return None
    start = next((token for token in (ours.bos_token_id, theirs.bos_token_id) if token is not None), None)
    counts = wanted.count(start), other.count(start)
    if start is not None and counts[0] != counts[1]:
        return (
            f"It begins a text with {counts[1]} start tokens where the training's tokenizer sets {counts[0]}."
        )
    return "Its tokenizer tokenizes plain text differently."


def _ends(tokenizer: Any, ends: Sequence[int], exported: Any) -> str | None:
    told = exported.generation_config.eos_token_id
    if lacking := set(ends) - set(told if isinstance(told, list) else [told]):
        marks = ", ".join(tokenizer.convert_ids_to_tokens(sorted(lacking)))
        return (
            f"Its answers do not end where the trained model's do: it does not treat {marks} as an end token."
        )
    return None


def _around(text: str, other: str) -> str:
    """Return the text from the first difference on."""
    pairs = enumerate(zip(text, other, strict=False))
    start = next((place for place, (one, two) in pairs if one != two), min(len(text), len(other)))
    return repr(text[start : start + SHOWN])
