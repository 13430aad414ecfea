"""Requests to rank documents for a query, in the form that Cohere's and Jina's ``/rerank`` have in common."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from arkor_dev.contract.rules import FILLED, FLAG, Rule, integer
from arkor_dev.contract.schema import Field, Schema

from .classify import DIGITS, MOST_TEXTS, ModelBody, PromptUsage, check_model
from .openai import checked, refused

if TYPE_CHECKING:
    from arkor_dev.local.inference.messages import Done, Reranked

RERANK: Final = "rerank"
_DOCUMENTS: Final = f"a list of 1 to {MOST_TEXTS} texts, or of objects with a text"
BODY: Final = Schema(
    Field("model", FILLED, null=True),
    Field("query", FILLED, needed=True),
    Field("documents", Rule("other", noun=_DOCUMENTS), needed=True),
    Field("top_n", integer(1), null=True),
    Field("return_documents", FLAG, null=True),
)


class RerankBody(ModelBody):
    """A body that fits ``BODY``."""

    query: str
    documents: object
    top_n: NotRequired[int | None]
    return_documents: NotRequired[bool | None]


class RankedText(TypedDict):
    """A document, if the caller asked for it."""

    text: str


class RankedDocument(TypedDict):
    """The number of a document, and its relevance."""

    index: int
    relevance_score: float
    document: NotRequired[RankedText]


class Ranking(TypedDict):
    """An answer of ``/rerank``."""

    id: str
    model: str
    results: list[RankedDocument]
    usage: PromptUsage


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """The ``documents`` to rank for the ``query``; the answer has the first ``top_n``, or all for None."""

    query: str
    documents: list[str]
    top_n: int | None = None
    returns: bool = False


def read_rerank(body: object, slug: str) -> RerankRequest:
    """Return the request in a body.

    Raises BadRequestError with the invalid ``param``, and NotFoundError for another model.
    """
    asked = checked(RerankBody, body, BODY)
    check_model(asked, slug)
    given = asked["documents"]
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_TEXTS:
        raise refused("documents", f"documents must be {_DOCUMENTS}")
    documents: list[str] = []
    for number, document in enumerate(given):
        text = document.get("text") if isinstance(document, dict) else document
        if not isinstance(text, str) or not text.strip():
            raise refused("documents", f"documents[{number}] must be a text that is not empty")
        documents.append(text)
    return RerankRequest(
        asked["query"], documents, asked.get("top_n"), returns=asked.get("return_documents") is True
    )


def ranking_of(slug: str, request: RerankRequest, reranked: Reranked, done: Done) -> Ranking:
    """Return the answer: the documents' numbers, the most relevant first, with their relevance, 0 to 1."""
    order = sorted(range(len(request.documents)), key=lambda number: -reranked.scores[number])
    results: list[RankedDocument] = []
    for number in order[: request.top_n]:
        result: RankedDocument = {"index": number, "relevance_score": round(reranked.scores[number], DIGITS)}
        if request.returns:
            result["document"] = {"text": request.documents[number]}
        results.append(result)
    return {
        "id": f"rerank-{secrets.token_hex(12)}",
        "model": slug,
        "results": results,
        "usage": {"prompt_tokens": done.prompt_tokens, "total_tokens": done.prompt_tokens},
    }
