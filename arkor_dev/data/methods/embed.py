"""Embedding: pairs or triplets of texts, or pairs with scores."""

from __future__ import annotations

from arkor_dev.data.text_pairs import TEXT_PAIRS

from .record import Hint, MethodRecord

RECORD = MethodRecord(
    label="Embedding, for search",
    forms=TEXT_PAIRS,
    hint=Hint(("anchor", "positive"), 'Pairs of an anchor and a positive are for method = "embed"'),
)
