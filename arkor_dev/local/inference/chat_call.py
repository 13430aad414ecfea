"""The chat call: the contract's ``ChatRequest``, or a text to continue, and the schema of its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from arkor_dev.contract.bodies import ADAPTER
from arkor_dev.contract.rules import FILLED, TEXT, Rule
from arkor_dev.contract.schema import Field, Schema

from .adapter_scale import MAX_STRENGTH
from .request_options import FIELDS, ChatOptions, is_prompt, problem

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import AdapterRef

Prompt = str | list[int]
"""A text to continue, or the ids of its tokens."""


class ChatTarget(TypedDict, total=False):
    """What answers: an adapter, or a base model by its name."""

    adapter: AdapterRef | None
    baseModel: str | None


class ChatCall(ChatTarget, ChatOptions, total=False):
    """A body that fits ``ASK``; it has ``messages`` or a ``prompt``."""

    messages: list[dict[str, object]] | None
    prompt: Prompt | None


def _message_fault(message: dict[str, object]) -> str | None:
    if message.get("content") is None and not message.get("tool_calls"):
        return "content is missing: it must be text"
    return None


def _possible(body: dict[str, object]) -> str | None:
    if body.get("messages") is None and body.get("prompt") is None:
        return "messages is missing: it must be a list of one or more messages"
    if body.get("adapter") is None and body.get("baseModel") is None:
        return "Set adapter or baseModel"
    if body.get("adapter") is None and body.get("adapterStrength") is not None:
        return "adapterStrength requires adapter: a base model has no strength"
    return problem(body)


PROMPT: Final = Rule("other", noun="text, or a list of token ids", test=is_prompt)
MESSAGE: Final = Schema(
    Field("role", Rule("choice", choices=("system", "user", "assistant", "tool")), needed=True),
    Field("content", TEXT, null=True),
    Field("tool_calls", Rule("list"), null=True, inner=Schema()),
    also=_message_fault,
)
ASK: Final = Schema(
    Field("messages", Rule("list", 1, noun="a list of one or more messages"), null=True, inner=MESSAGE),
    Field("prompt", PROMPT, null=True),
    Field("adapter", Rule("object"), null=True, inner=ADAPTER),
    Field("adapterStrength", Rule("number", 0, MAX_STRENGTH), null=True),
    Field("baseModel", FILLED, null=True),
    *FIELDS,
    also=_possible,
)
"""Schema of `ChatCall`."""
