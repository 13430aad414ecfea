"""Reranking: queries and documents, each pair with its relevance."""

from __future__ import annotations

from arkor_dev.data.relevance import RELEVANCE

from .record import Hint, MethodRecord

RECORD = MethodRecord(
    label="Reranking of search results",
    forms=RELEVANCE,
    hint=Hint(("query", "document"), 'Queries with documents are for method = "rerank"'),
)
