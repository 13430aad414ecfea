"""Proposes training rows that may have caused an answer: those with the most words in common with it and its
question (BM25).

Ranking by gradients was compared with this (``scripts/bench attribution``) and did not find planted facts
more often. So rows are proposed by their words, and only training without them shows whether they matter.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SATURATION: Final = 1.5
LENGTH: Final = 0.75
"""BM25's usual ``k1`` and ``b``."""


def bm25(rows: Sequence[str], query: str) -> list[float]:
    """Return the score of every row for the words of ``query`` (Robertson and Zaragoza 2009)."""
    texts = [Counter(words(row)) for row in rows]
    frequency = Counter(word for text in texts for word in text)
    mean = sum(sum(text.values()) for text in texts) / max(1, len(texts))

    def score(text: Counter[str], word: str) -> float:
        count, known = text[word], frequency[word]
        if not count:
            return 0.0
        rarity = math.log(1 + (len(texts) - known + 0.5) / (known + 0.5))
        length = 1 - LENGTH + LENGTH * sum(text.values()) / mean
        return rarity * count * (SATURATION + 1) / (count + SATURATION * length)

    query_words = words(query)
    return [sum(score(text, word) for word in query_words) for text in texts]


def words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case."""
    return re.findall(r"\w+", text.lower())
