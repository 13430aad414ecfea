"""Checks that an export renders conversations and ends answers as in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import RowMessage
    from arkor_dev.local.modeling.interfaces import GeneratingModel, Tokenizer


EXCERPT_LENGTH: Final = 60
"""Number of characters quoted around the first difference."""
CONVERSATIONS: Final[tuple[list[RowMessage], ...]] = (
    [{"role": "user", "content": "Where is my parcel?"}],
    [{"role": "system", "content": "Answer in a word."}, {"role": "user", "content": "2 + 2 = ?"}],
    [
        {"role": "user", "content": "Ça va ?\n\n  1. émoji 🦜"},
        {"role": "assistant", "content": "Oui."},
        {"role": "user", "content": "<b>And</b> now?"},
    ],
)
"""Conversations to check for every model, in addition to those of its own data."""


def faults(
    trained: PreTrainedTokenizerBase,
    reloaded: PreTrainedTokenizerBase,
    ends: Sequence[int],
    exported: GeneratingModel,
    prompts: Sequence[Sequence[RowMessage]],
) -> list[str]:
    """Describe each difference that another program would show, one sentence each.

    ``trained`` and ``reloaded`` are the tokenizers, ``ends`` the tokens that end the trained model's answers,
    ``exported`` the reloaded model, ``prompts`` conversations that end with a question.
    """
    differences = [
        template_fault(trained, reloaded, [*CONVERSATIONS, *prompts]) or _tokens(trained, reloaded, prompts),
        _plain(trained, reloaded),
        _ends(trained, ends, exported),
    ]
    return [fault for fault in differences if fault]


def template_fault(
    trained: Tokenizer, reloaded: Tokenizer, conversations: Sequence[Sequence[RowMessage]]
) -> str | None:
    """Describe where two chat templates render a conversation differently; None if they don't."""
    for messages in conversations:
        try:
            expected = render(trained, messages, add_generation_prompt=True)
        except JobFailure:  # for example no system prompts: then the other need not accept them either
            continue
        try:
            written = render(reloaded, messages, add_generation_prompt=True)
        except JobFailure as failure:
            return f"Its chat template rejects a conversation that the training's accepts: {failure}."
        if expected != written:
            excerpts = _excerpt(written, expected), _excerpt(expected, written)
            return f"Its chat template writes {excerpts[0]} where the training's writes {excerpts[1]}."
    return None


def _tokens(trained: Tokenizer, reloaded: Tokenizer, prompts: Sequence[Sequence[RowMessage]]) -> str | None:
    """Compare the conversations' tokens."""
    for messages in (*CONVERSATIONS, *prompts):
        try:
            text = render(trained, messages, add_generation_prompt=True)
        except JobFailure:
            continue
        expected, actual = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for tokenizer in (trained, reloaded)
        )
        if expected != actual:
            return (
                f"Its tokenizer makes {len(actual)} tokens of a conversation of {len(expected)}, or others."
            )
    return None


def _plain(trained: PreTrainedTokenizerBase, reloaded: PreTrainedTokenizerBase) -> str | None:
    """Compare a plain text's tokens, with the start and end tokens that the tokenizers add."""
    text = str(CONVERSATIONS[-1][0]["content"])
    expected, actual = trained(text)["input_ids"], reloaded(text)["input_ids"]
    if expected == actual:
        return None
    start = next(
        (token for token in (trained.bos_token_id, reloaded.bos_token_id) if token is not None), None
    )
    counts = expected.count(start), actual.count(start)
    if start is not None and counts[0] != counts[1]:
        return (
            f"It begins a text with {counts[1]} start tokens where the training's tokenizer sets {counts[0]}."
        )
    return "Its tokenizer tokenizes plain text differently."


def _ends(tokenizer: PreTrainedTokenizerBase, ends: Sequence[int], exported: GeneratingModel) -> str | None:
    exported_ends = exported.generation_config.eos_token_id
    if lacking := set(ends) - set(exported_ends if isinstance(exported_ends, list) else [exported_ends]):
        marks = ", ".join(tokenizer.convert_ids_to_tokens(sorted(lacking)))
        return (
            f"Its answers do not end where the trained model's do: it does not treat {marks} as an end token."
        )
    return None


def _excerpt(text: str, reference: str) -> str:
    """Return an excerpt from the first difference on."""
    pairs = enumerate(zip(text, reference, strict=False))
    start = next(
        (index for index, (first, second) in pairs if first != second), min(len(text), len(reference))
    )
    return repr(text[start : start + EXCERPT_LENGTH])
