"""Refuses conversations that exceed the model's context before they are admitted.

Tokenizing a megabyte takes a second or more, in the single loop that computes everybody's answers. So the
tokens of a long conversation are first counted in a limited process, up to the context length. The loop
checks short conversations itself, in milliseconds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.local.inference.check_messages import CountTokens, TokensCounted
from arkor_dev.local.inference.limited_checks import IDLE_SECONDS, LimitedChecks, LimitReachedError
from arkor_dev.local.inference.prompt_length import TOO_LONG

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.inference.messages import AnswerRequest

SHORT: Final = 8192
"""Maximum length of a conversation that needs no check, in bytes: tokenizing it takes milliseconds."""
THOUGHTS_END: Final = "</think>"
"""Marker in an earlier answer: templates drop the part before it and keep the rest."""


class PromptChecks(LimitedChecks):
    """Counts the tokens of long conversations."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__(f"{__package__}.prompt_check_worker", "The conversation", idle_seconds)

    async def check(self, caller: str, ask: AnswerRequest, model: Path) -> None:
        """Check whether the conversation of ``ask`` fits the context of the model in the folder ``model``.

        Raises BadRequestError if it does not, and RateLimitedError and UnavailableError like `LimitedChecks`.
        If the process can't tell, the loop decides.
        """
        texts = texts_of(ask)
        if sum(len(text.encode(errors="replace")) for text in texts) <= SHORT:
            return
        try:
            async with self._turn(caller) as check:
                counted = await check(CountTokens(str(model), texts))
        except LimitReachedError:
            raise BadRequestError(
                "Counting the conversation's tokens exceeds the limits on time or memory: shorten it",
                code="invalid_value",
                param="messages",
            ) from None
        if isinstance(counted, TokensCounted) and counted.limit is not None:
            raise BadRequestError(TOO_LONG.format(counted.limit, ask.name))


def texts_of(ask: AnswerRequest) -> list[str]:
    """Return the texts in the prompt of ``ask``, without the template's own text."""
    if ask.prompt is not None:
        return [ask.prompt] if isinstance(ask.prompt, str) else []  # token ids need no counting
    texts = []
    for message in ask.messages or ():
        text = str(message.get("content") or "")
        texts.append(text.rpartition(THOUGHTS_END)[2] if message["role"] == "assistant" else text)
        if thoughts := message.get("reasoning_content"):
            texts.append(str(thoughts))
        if calls := message.get("tool_calls"):
            texts.append(json.dumps(calls, ensure_ascii=False))
    if ask.tools:
        texts.append(json.dumps(ask.tools, ensure_ascii=False))
    return texts
