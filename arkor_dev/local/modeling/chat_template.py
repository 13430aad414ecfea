"""Conversations as the model's chat template writes them, and where the assistant's words stand in that.

Chat templates carry no marks for the assistant's words, so they are found by rendering growing prefixes of
the conversation: what the next assistant message adds to the text, after the cue that invites it, is the
completion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence


PLAIN_TEMPLATE: Final = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
"""For base models that come without a chat template of their own."""
REFUSAL: Final = "The model's chat template refuses the conversation"


def ready_tokenizer(tokenizer: Any) -> Any:
    """Give ``tokenizer`` the two things that training and chat rely on: a pad token and a chat template."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def render(tokenizer: Any, messages: Sequence[Any], cue: bool, tools: Sequence[Any] | None = None) -> str:
    """The conversation as the model's template writes it; ``cue`` adds the words that invite an answer.

    Raises :class:`JobFailure` when the template refuses it, or goes beyond its limits.
    """

    from .template_limits import within_limits  # jinja comes with transformers, and only a worker needs it

    def apply() -> str:
        text: str = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=cue, tools=list(tools) if tools else None
        )
        return text

    try:
        return within_limits(apply)
    except JobFailure:
        raise
    except Exception as error:  # noqa: BLE001 - templates are programs of others and raise what they like
        raise JobFailure(f"{REFUSAL}: {error}") from None


def completion_spans(
    tokenizer: Any, messages: Sequence[Any], tools: Sequence[Any] = ()
) -> tuple[str, list[tuple[int, int]]]:
    """The rendered conversation, and the character range of each assistant message in it, end mark included.

    A template that rewrites earlier turns (some drop old reasoning) does not grow by prefixes; only the
    last assistant message is learned from there.
    """
    last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
    whole = render(tokenizer, messages[: last + 1], cue=False, tools=tools)
    spans: list[tuple[int, int]] = []
    for place, message in enumerate(messages[: last + 1]):
        if message["role"] != "assistant":
            continue
        before = render(tokenizer, messages[:place], cue=True, tools=tools) if place else ""
        after = whole if place == last else render(tokenizer, messages[: place + 1], cue=False, tools=tools)
        if not whole.startswith(after):
            continue
        start = next((n for n, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b), len(before))
        end = len(after.rstrip())
        if start < end:
            spans.append((start, end))
    return whole, spans


def end_ids(tokenizer: Any, model: Any) -> list[int]:
    """The token ids that end an answer: the model's own, and its template's mark after an assistant turn."""
    found = {tokenizer.eos_token_id}
    configured = model.generation_config.eos_token_id
    found.update(configured if isinstance(configured, list) else [configured])
    probe = "x"
    text, spans = completion_spans(
        tokenizer, [{"role": "user", "content": probe}, {"role": "assistant", "content": probe}]
    )
    if spans:
        tail = tokenizer(text[spans[-1][0] : spans[-1][1]], add_special_tokens=False)["input_ids"]
        found.update(token for token in tail[-1:] if token in tokenizer.all_special_ids)
    return sorted(token for token in found if token is not None)
