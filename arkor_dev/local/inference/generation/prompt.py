"""Converts a request to the model's input tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.local.inference.prompt_length import TOO_LONG, exceeds
from arkor_dev.local.modeling.chat_template import render, with_arguments
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.local.inference.messages import AnswerRequest

CHARACTERS: Final = 8
"""Characters per token of the context above which a text is counted before it is tokenized as a whole."""


def prompt_of(tokenizer: PreTrainedTokenizerBase, ask: AnswerRequest, context: int) -> list[int]:
    """Return the tokens of ``ask``: its ``prompt``, a text or token ids, unchanged, or its ``messages`` in
    the model's chat template, with the ``template_arguments`` of the adapter's training.

    Raises JobFailure if they leave no room for an answer, or if an id is not in the model's vocabulary.
    """
    raw = ask.prompt
    if isinstance(raw, list):
        if (largest := max(raw)) >= len(tokenizer):
            raise JobFailure(f"prompt has the token {largest}, and the model has {len(tokenizer)} tokens")
        return _within(raw, ask, context)
    text = (
        raw
        if raw is not None
        else render(
            with_arguments(tokenizer, ask.template_arguments),
            _readable(ask.messages or ()),
            add_generation_prompt=True,
            tools=ask.tools,
        )
    )
    # `prompt_checks` cannot count what the model's template makes of a conversation.
    if len(text) > CHARACTERS * context and exceeds(
        lambda piece: len(tokenizer(piece, add_special_tokens=False)["input_ids"]), [text], context
    ):
        raise JobFailure(TOO_LONG.format(context, ask.name))
    ids: list[int] = tokenizer(text, add_special_tokens=raw is not None)["input_ids"]
    # A model needs at least one token.
    ids = (
        ids or [token for token in (tokenizer.bos_token_id, tokenizer.eos_token_id) if token is not None][:1]
    )
    return _within(ids, ask, context)


def _within(ids: list[int], ask: AnswerRequest, context: int) -> list[int]:
    if len(ids) >= context:
        raise JobFailure(
            f"The conversation has {len(ids)} tokens, and {ask.name} reads at most {context}: shorten it"
        )
    return ids


def _readable(messages: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Return messages as templates expect them: arguments as an object, missing content as ``""``."""
    return [
        {
            **message,
            "content": message.get("content") or "",
            **(
                {"tool_calls": [_call(call) for call in calls]}
                if isinstance(calls := message.get("tool_calls"), list)
                else {}
            ),
        }
        for message in messages
    ]


def _call(call: object) -> object:
    if not isinstance(call, dict):
        return call
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except (ValueError, RecursionError):
        return call
    return {**call, "function": {**function, "arguments": arguments}}
