"""Rewritten rows: pairs whose questions and whose answers, compared apart, share most of their rare words.

A word weighs ``ln((rows + 1) / rows with it)``: what all rows say distinguishes none. Likeness is the
weighted Jaccard similarity of two sets of words. Candidates agree in three words of a weighted sample of
their questions, or of their answers; samples are coordinated (the smallest values in an exponential race:
Cohen and Kaplan, Summarizing Data using Bottom-k Sketches, 2007), so similar texts have similar samples. No
model is asked, so jobs on different base models hold out the same rows.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict, deque
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ALIKE: Final = 0.4
"""Minimum likeness of question and answer taken together."""
EACH: Final = 0.2
"""Minimum likeness of the questions, and of the answers: a question may have several answers, and an answer
may fit several questions. A part of at most SHORT words is not compared by itself. ``scripts/bench
rewritten`` measures what these limits find and miss.
"""
SHORT: Final = 3
NEARLY_SAME: Final = 0.8
"""Likeness of question and answer together from which that of each does not matter."""
SHARED: Final = 4
"""Minimum weight of the shared words, in words that a single row has: short rows differ in little ("What is
2 + 2?" and "What is 2 + 3?").
"""
SAMPLE: Final = 12
"""Number of words in a text's sample."""
AGREE: Final = 3
"""Minimum number of words that samples of candidates share, unless a text has fewer."""
ALWAYS: Final = 0.98
"""Share of the rows of a template that have each of its words; the others may have been cut."""
LATEST: Final = (32, 256)
"""Range of the maximum number of earlier rows with a word in their sample that are candidates."""
LOOKUPS: Final = 2_560_000
"""Limits the time: of more than 10,000 rows, fewer earlier ones are candidates."""
MOST_WORDS: Final = 2000
_WORD: Final = re.compile(r"\w+")


class RewrittenPair(NamedTuple):
    """Two rows by their indices, and the likeness of question and answer taken together."""

    first: int
    second: int
    likeness: float


def words_of(text: str) -> set[str]:
    """Return a text's words in lower case; its pairs of characters for a script without spaces."""
    text = text[: 16 * MOST_WORDS].lower()
    words = _WORD.findall(text)[:MOST_WORDS]
    if len(words) * 16 < len(text):
        letters = "".join(words)[:MOST_WORDS]
        return {letters[at : at + 2] for at in range(len(letters) - 1)}
    return set(words)


def are_copies(texts: Sequence[tuple[str, str]]) -> bool:
    """Return whether many alike rows are copies of one that were edited in different places.

    Rows of a template have all of its words instead, and differ in others.
    """
    counts = Counter(word for both in texts for word in words_of("\n".join(both)))
    usual = [count for count in counts.values() if count >= len(texts) / 2]
    always = [count for count in usual if count >= ALWAYS * len(texts)]
    return 2 * len(always) < len(usual)


def rewritten_pairs(texts: Sequence[tuple[str, str]]) -> Iterator[RewrittenPair]:
    """Yield pairs of rows that were rewritten from each other, given as question and answer.

    Where one of two rows has no question, or no answer, only the other part is compared.
    """
    numbers: dict[str, int] = {}
    rows = [[_numbered(text, numbers) for text in both] for both in texts]
    counts = Counter(chain.from_iterable({*question, *answer} for question, answer in rows))
    single = math.log(len(rows) + 1)
    weights = [single - math.log(counts[number]) for number in range(len(numbers))]
    race = [-math.log(_uniform(word)) / weight for word, weight in zip(numbers, weights, strict=True)]
    sizes = [[sum(map(weights.__getitem__, part)) for part in row] for row in rows]
    latest = min(max(LATEST[0], LOOKUPS // max(1, len(rows))), LATEST[1])
    earlier = [defaultdict[int, deque[int]](lambda: deque(maxlen=latest)) for _ in range(2)]
    for index, row in enumerate(rows):
        candidates = set[int]()
        for part, with_word in zip(row, earlier, strict=True):
            sample = sorted(part, key=race.__getitem__)[:SAMPLE]
            least = min(AGREE, len(sample))
            agreeing = Counter(chain.from_iterable(with_word[word] for word in sample))
            candidates.update([other for other, words in agreeing.items() if words >= least])
            for word in sample:
                with_word[word].append(index)
        own = [set(part) for part in row]
        for other in sorted(candidates):
            shared = [
                sum(map(weights.__getitem__, words.intersection(part)))
                for words, part in zip(own, rows[other], strict=True)
            ]
            if sum(shared) >= SHARED * single:
                lengths = [min(map(len, parts)) for parts in zip(row, rows[other], strict=True)]
                likeness = _likeness(lengths, shared, sizes[index], sizes[other])
                if likeness is not None:
                    yield RewrittenPair(other, index, likeness)


def _likeness(
    lengths: Sequence[int], shared: Sequence[float], one: Sequence[float], two: Sequence[float]
) -> float | None:
    """Return how alike two rows are if one was rewritten from the other.

    Of their questions and of their answers, ``lengths`` are the numbers of words of the shorter one,
    ``shared`` the weights of common words, and ``one`` and ``two`` those of all.
    """
    every = [
        first + second - both if length else 0.0
        for length, both, first, second in zip(lengths, shared, one, two, strict=True)
    ]
    likeness = sum(shared) / sum(every)
    each = all(
        both >= EACH * all_
        for length, both, all_ in zip(lengths, shared, every, strict=True)
        if length > SHORT
    )
    return likeness if likeness >= NEARLY_SAME or (likeness >= ALIKE and each) else None


def _numbered(text: str, numbers: dict[str, int]) -> array[int]:
    """Return the words of a text by their numbers, which new ones get here."""
    return array("I", sorted(numbers.setdefault(word, len(numbers)) for word in sorted(words_of(text))))


def _uniform(word: str) -> float:
    """Return a number between 0 and 1, the same one for a word each time."""
    value = int.from_bytes(blake2b(word.encode(errors="replace"), digest_size=8).digest(), "little")
    return (value + 1) / (2**64 + 1)
