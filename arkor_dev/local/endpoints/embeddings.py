"""Requests for embeddings in OpenAI's form, with the ``input_type`` of other services."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from arkor_dev.contract.rules import FILLED, Rule, integer
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.local.modeling.embedder import DOCUMENT, QUERY

from .classify import MOST_TEXTS, PromptUsage, TextsBody, checked_texts
from .openai import checked

if TYPE_CHECKING:
    from arkor_dev.local.inference.messages import Done, EmbeddedTexts

EMBEDDINGS: Final = "embeddings"
FLOAT: Final = "float"
BASE64: Final = "base64"
DIGITS: Final = 8
"""Number of decimals of a vector's numbers; its length is 1."""
BODY: Final = Schema(
    Field("model", FILLED, null=True),
    Field("input", Rule("other", noun=f"a text, or a list of 1 to {MOST_TEXTS} texts"), needed=True),
    Field("encoding_format", Rule("choice", choices=(FLOAT, BASE64)), null=True),
    Field("dimensions", integer(1, 100_000), null=True),
    Field("input_type", Rule("choice", choices=(QUERY, DOCUMENT)), null=True),
)


class EmbeddingsBody(TextsBody):
    """A body that fits ``BODY``."""

    encoding_format: NotRequired[str | None]
    dimensions: NotRequired[int | None]
    input_type: NotRequired[str | None]


class EmbeddingItem(TypedDict):
    """The vector of the text number ``index``: its numbers, or float32 in base64."""

    object: str
    index: int
    embedding: list[float] | str


class EmbeddingsResponse(TypedDict):
    """An answer of ``/embeddings``."""

    object: str
    data: list[EmbeddingItem]
    model: str
    usage: PromptUsage


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """The ``texts`` to embed, with the prompt of their ``input_type``.

    Their vectors are shortened to ``dimensions``; None for the full size.
    """

    texts: list[str]
    input_type: str = DOCUMENT
    dimensions: int | None = None
    base64: bool = False


def read_embeddings(body: object, slug: str) -> EmbeddingsRequest:
    """Return the request in a body.

    Raises BadRequestError with the invalid ``param``, and NotFoundError for another model.
    """
    asked = checked(EmbeddingsBody, body, BODY)
    return EmbeddingsRequest(
        checked_texts(asked, slug),
        asked.get("input_type") or DOCUMENT,
        asked.get("dimensions"),
        asked.get("encoding_format") == BASE64,
    )


def embeddings_of(
    slug: str, request: EmbeddingsRequest, embedded: EmbeddedTexts, done: Done
) -> EmbeddingsResponse:
    """Return the answer: the vector of each text, as numbers or as little-endian float32 in base64."""
    tokens = done.prompt_tokens
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector if request.base64 else _numbers(vector),
            }
            for index, vector in enumerate(embedded.vectors)
        ],
        "model": slug,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _numbers(vector: str) -> list[float]:
    packed = base64.b64decode(vector)
    return [round(number, DIGITS) for (number,) in struct.iter_unpack("<f", packed)]
