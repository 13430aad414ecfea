"""``POST /v1/inference/search``: texts ranked for a query by an embedder or a reranker."""

from __future__ import annotations

import base64
import contextlib
import heapq
import re
import struct
from dataclasses import replace
from operator import mul
from typing import TYPE_CHECKING, Final, TypeVar

from arkor_dev.contract.errors import UnavailableError
from arkor_dev.local.endpoints.embeddings import EmbeddingsRequest
from arkor_dev.local.endpoints.rerank import RerankRequest
from arkor_dev.local.inference.messages import EmbeddedTexts, Reranked
from arkor_dev.local.modeling.embedder import QUERY
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.contract.shapes import AdapterRef, SearchResult
    from arkor_dev.local.inference.chat_call import ChatTarget
    from arkor_dev.local.inference.messages import AnswerRequest

    from .chat import Chat

Found = TypeVar("Found", EmbeddedTexts, Reranked)
BEST: Final = 50
"""Maximum number of results."""
AT_ONCE: Final = 16
BYTES: Final = 16_000
"""Maximum number and bytes of the texts that are read at once, as other answers wait meanwhile.

A token has at least one byte, so they are within the limit of a request; a longer single text is truncated.
"""
DIGITS: Final = 6


async def ranked(chat: Chat, adapter: AdapterRef, query: str, texts: Sequence[str]) -> SearchResult:
    """Return the best of ``texts`` for the ``query``, as in ``SEARCH``. Raises ArkorError."""
    body: ChatTarget = {"adapter": adapter}
    scores: list[float] = []
    try:
        if await chat.reranks(body):
            for part in _parts(texts, len(query.encode(errors="replace"))):
                ranking = await chat.prepare_ranking(body, RerankRequest(query, part))
                scores += (await _read(chat, ranking, Reranked)).scores
        else:
            asked = await chat.prepare_embeddings(body, EmbeddingsRequest([query], QUERY))
            (wanted,) = _vectors(await _read(chat, asked, EmbeddedTexts))
            for part in _parts(texts):
                documents = await chat.prepare_embeddings(body, EmbeddingsRequest(part))
                for vector in _vectors(await _read(chat, documents, EmbeddedTexts)):
                    scores.append(sum(map(mul, wanted, vector)))
    except JobFailure as failure:
        raise UnavailableError(re.sub(r"^input\[\d+\]", "A text", str(failure))) from None
    best = heapq.nlargest(BEST, range(len(scores)), key=scores.__getitem__)
    return {"results": [{"index": index, "score": round(scores[index], DIGITS)} for index in best]}


def _parts(texts: Sequence[str], beside: int = 0) -> Iterator[list[str]]:
    """Yield ``texts`` in parts of up to `BYTES`, with ``beside`` bytes more for each text."""
    part: list[str] = []
    size = 0
    for text in texts:
        more = len(text.encode(errors="replace")) + beside
        if len(part) == AT_ONCE or (part and size + more > BYTES):
            yield part
            part, size = [], 0
        part.append(text)
        size += more
    yield part


async def _read(chat: Chat, ask: AnswerRequest, kind: type[Found]) -> Found:
    """Return what the model finds in the texts of ``ask``. Raises JobFailure and ArkorError."""
    found: Found | None = None
    async with contextlib.aclosing(chat.events(replace(ask, truncation=True))) as events:
        async for part in events:
            if isinstance(part, kind):
                found = part
    if found is None:
        raise UnavailableError("There was no answer: try again")
    return found


def _vectors(embedded: EmbeddedTexts) -> list[tuple[float, ...]]:
    packed = map(base64.b64decode, embedded.vectors)
    return [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in packed]
