"""OpenAI's answers, whole or as the chunks of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from arkor_dev.local.inference.messages import TokenLogprob
    from arkor_dev.local.modeling.tool_calls import IndexedCall, ToolCall


class PromptTokens(TypedDict):
    """Details of a prompt's tokens."""

    cached_tokens: int


class CompletionTokens(TypedDict):
    """Details of an answer's tokens."""

    reasoning_tokens: int


class CompletionUsage(TypedDict):
    """Tokens of a request; each prompt counts once."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens


class FunctionTool(TypedDict):
    """A tool of a request: a function with ``name``, ``parameters`` and so on, which the engine checks."""

    type: Literal["function"]
    function: dict[str, object]


class ChatCompletionMessage(TypedDict):
    """A whole answer; ``reasoning_content`` are its thoughts, as in DeepSeek's API and vLLM."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]


class Delta(TypedDict, total=False):
    """What a chunk adds to the message."""

    role: Literal["assistant"]
    content: str
    reasoning_content: str
    tool_calls: list[IndexedCall]


class ChatLogprobs(TypedDict):
    """Log probabilities of chat/completions."""

    content: list[TokenLogprob]
    refusal: None


class ColumnLogprobs(TypedDict):
    """Log probabilities of completions. ``top_logprobs`` contains the token itself besides the likeliest, and
    None for a prompt's first.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float | None] | None]
    text_offset: list[int]


class Choice(TypedDict):
    """One answer: a ``message``, or a ``delta`` of it in a chunk, or the ``text`` of completions."""

    index: int
    message: NotRequired[ChatCompletionMessage]
    delta: NotRequired[Delta]
    text: NotRequired[str]
    logprobs: ChatLogprobs | ColumnLogprobs | None
    finish_reason: str | None


class Completion(TypedDict):
    """An answer, or a chunk of one; the last chunk has the ``usage``, and no choices."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None
    object: str
    choices: list[Choice]
    usage: NotRequired[CompletionUsage]
