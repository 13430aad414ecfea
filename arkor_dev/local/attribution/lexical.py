"""Proposes training rows that may have caused an answer: those whose words are most like it and its question.

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

CLOSE: Final = 0.3
"""Likeness from which a row is close: of 328 answers that no row taught, 2 were as like a row
(``scripts/bench attribution``).
"""


def likenesses(rows: Sequence[str], query: str) -> list[float]:
    """Return how alike each row and ``query`` are, from 0 to 1.

    That is the weighted Jaccard similarity of their sets of words; a word weighs as in BM25 (Robertson and
    Zaragoza 2009), the more the rarer it is, and most if no row has it.
    """
    texts = [words(row) for row in rows]
    frequency = Counter(word for text in texts for word in text)
    query_words = words(query)
    weights = {
        word: math.log(1 + (len(rows) - frequency[word] + 0.5) / (frequency[word] + 0.5))
        for word in {*frequency, *query_words}
    }

    def weight(some: set[str]) -> float:
        return math.fsum(weights[word] for word in some)

    return [weight(text & query_words) / (weight(text | query_words) or 1.0) for text in texts]


def words(text: str) -> set[str]:
    """Return the words of ``text`` in lower case."""
    return set(re.findall(r"\w+", text.lower()))
