"""Messages between the backend and an inference worker, and what a client's stream is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NotRequired, TypedDict

from arkor_dev.contract.shapes import Progress
from arkor_dev.local.modeling.tool_calls import ToolCall
from arkor_dev.local.workers.codec import Codec, Message

from .adapter_scale import FULL_STRENGTH
from .structured_output.request import OutputFormat

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. A temperature of 0 chooses the likeliest one; a ``top_k`` of 0 means all.

    ``repetition`` divides or multiplies the logit of every token in the prompt or the answer (Keskar et al.
    2019), and is the model's own if None; ``frequency`` (per occurrence) and ``presence`` (once) are
    subtracted for tokens of the answer. ``logprobs`` is the number of alternatives reported with each token;
    None reports nothing.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition: float | None = None
    frequency: float = 0.0
    presence: float = 0.0
    seed: int | None = None
    logprobs: int | None = None


@dataclass(frozen=True)
class AnswerRequest(Message):
    """What to answer, with which model.

    ``base`` is the folder of the base model called ``name``, empty until it is on this machine; ``adapter``
    that of an adapter with its ``strength``. ``whole``: the base is a model fully fine-tuned by a job;
    ``four_bit``: the adapter was trained on 4-bit weights. ``prompt`` is a text or token ids to continue,
    instead of ``messages``. With ``echo`` the answer begins with the prompt and its log probabilities;
    without it, ``max_tokens`` 0 only counts the prompt's tokens, which nothing reads.
    ``texts`` are to be classified, instead of answering, by an adapter with a head; always by transformers.
    With an ``input_type`` they are embedded instead, by an embedder, in vectors of ``dimensions`` numbers;
    with a ``query`` a reranker says how relevant they are to it. With ``truncation`` only the beginning of
    a text is read that is longer than the model reads, instead of refusing it.
    ``training``: a job is running at the same time. ``engine`` is the requested one; llama.cpp also gets the
    files ``gguf``, of the base, and ``lora``, of the adapter. ``thinking_budget`` is the maximum number of
    tokens of its thoughts.
    """

    base: str
    name: str
    adapter: str | None = None
    strength: float = FULL_STRENGTH
    whole: bool = False
    four_bit: bool = False
    template_arguments: dict[str, bool] = field(default_factory=dict)
    engine: str | None = None
    messages: list[dict[str, object]] | None = None
    prompt: str | list[int] | None = None
    sampling: Sampling = Sampling()
    max_tokens: int = 0
    stop: list[str] | None = None
    echo: bool = False
    texts: list[str] | None = None
    input_type: str | None = None
    dimensions: int | None = None
    query: str | None = None
    truncation: bool = False
    tools: list[object] | None = None
    format: OutputFormat | None = None
    training: bool = False
    gguf: str | None = None
    lora: str | None = None
    thinking_budget: int | None = None


@dataclass(frozen=True)
class Ask(Message):
    """Begin the answer ``id``."""

    id: int
    request: AnswerRequest


@dataclass(frozen=True)
class StopAnswer(Message):
    """Stop the answer ``id``."""

    id: int


class ScoredToken(TypedDict):
    """A token with its log probability and its bytes, in OpenAI's form."""

    token: str
    logprob: float | None
    bytes: list[int]


class TokenLogprob(ScoredToken):
    """A token of the answer with its likeliest alternatives; ``offset`` is its place in a plain text."""

    top_logprobs: list[ScoredToken]
    offset: NotRequired[int]


@dataclass(frozen=True)
class Begun(Message):
    """The turn of this answer has come."""


@dataclass(frozen=True)
class Loading(Message):
    """Progress of what comes before the answer: its model's download, its files, loading it."""

    progress: Progress


@dataclass(frozen=True)
class EngineChosen(Message):
    """This engine will answer. From the backend."""

    engine: str


@dataclass(frozen=True)
class Text(Message):
    """A piece of the answer, or of its ``thoughts`` and their marks."""

    text: str
    logprobs: list[TokenLogprob] = field(default_factory=list)
    thoughts: bool = False


@dataclass(frozen=True)
class ClassifiedTexts(Message):
    """The probability of each of the ``labels`` for each text: ``[texts][labels]``.

    ``multiple``: a text may have several labels, so they do not add up to 1.
    """

    labels: list[str]
    probabilities: list[list[float]]
    multiple: bool = False


@dataclass(frozen=True)
class EmbeddedTexts(Message):
    """The embedding of each text, of length 1: little-endian float32 in base64."""

    vectors: list[str]


@dataclass(frozen=True)
class Done(Message):
    """The answer is complete.

    ``completion_tokens`` include the ``thinking_tokens``, of its thoughts without their marks. ``logprobs``
    are those of tokens whose text was not sent. ``engine``, its ``precision`` and the name of
    the ``weights`` say what answered, and ``why`` not the fast engine or the GPU.
    """

    reason: FinishReason
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0
    first_token_seconds: float = 0.0
    seconds: float = 0.0
    engine: str | None = None
    precision: str | None = None
    weights: str | None = None
    why: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)


@dataclass(frozen=True)
class AnswerFailed(Message):
    """The answer ends here, with this reason."""

    error: str


@dataclass(frozen=True)
class Reranked(Message):
    """The relevance of each text to the query, from 0 to 1."""

    scores: list[float]


Reading = ClassifiedTexts | EmbeddedTexts | Reranked
"""What an adapter finds in texts instead of answering."""
Part = Begun | Loading | Text | Reading | Done | AnswerFailed
StreamPart = EngineChosen | Loading | Text | Reading | Done
"""What the backend's own code reads of an answer; a failure is raised."""


@dataclass(frozen=True)
class Answered(Message):
    """A part of the answer ``id``. From the worker."""

    id: int
    part: Part


ANSWERS = Codec[Answered](Answered)
