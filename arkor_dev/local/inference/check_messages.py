"""Messages to and from the limited processes that check callers' input."""

from __future__ import annotations

from dataclasses import dataclass

from arkor_dev.local.workers.codec import Codec, Message


@dataclass(frozen=True)
class CountTokens(Message):
    """Count the tokens of ``texts`` with the tokenizer of the model in the folder ``model``."""

    model: str
    texts: list[str]


@dataclass(frozen=True)
class TokensCounted(Message):
    """The model's context length if the texts have more tokens, else None."""

    limit: int | None


@dataclass(frozen=True)
class CompileSchema(Message):
    """Compile ``schema``, JSON from `schemas.read`."""

    schema: str


@dataclass(frozen=True)
class SchemaCompiled(Message):
    """Why it cannot be compiled, or None."""

    fault: str | None


Checked = TokensCounted | SchemaCompiled
CHECKED = Codec[Checked](TokensCounted, SchemaCompiled)
