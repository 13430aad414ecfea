"""Messages to and from the sandboxed process in which llama.cpp reads an exported file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from arkor_dev.local.workers.codec import Message


class LabelledText(TypedDict):
    """Token ids, and as many labels."""

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class ReadWithLlama(Message):
    """Read every text and answer every prompt with the GGUF file ``model`` and, if given, its ``lora``.

    ``memory`` is the limit in bytes; ``ends`` are the tokens that end an answer of up to ``answer_tokens``;
    ``conversations`` are tokenized, and log probabilities written to the folder ``out``. ``subject`` names
    what is tested.
    """

    memory: int
    model: Path
    lora: Path | None
    texts: list[LabelledText]
    prompts: list[list[int]]
    ends: list[int]
    answer_tokens: int
    conversations: list[str]
    out: Path
    subject: str


@dataclass(frozen=True)
class EmbedWithLlama(Message):
    """Embed the ``texts`` with the GGUF file ``model``, pooled as that file says; write the vectors of length
    1 to the file ``out``, ``[texts, size]`` in float32. ``memory`` is the limit in bytes.
    """

    memory: int
    model: Path
    texts: list[str]
    out: Path


@dataclass(frozen=True)
class EmbeddedByLlama(Message):
    """The vectors are written."""


class VocabularyFacts(TypedDict):
    """What llama.cpp makes of the file: ``noEnds`` are tokens that should end an answer and do not."""

    size: int
    template: str | None
    addsStart: bool
    noEnds: list[int]
    tokens: list[list[int]]


@dataclass(frozen=True)
class ReadByLlama(Message):
    """The answers' tokens, and the vocabulary."""

    answers: list[list[int]]
    vocabulary: VocabularyFacts
