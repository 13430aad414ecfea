"""Finds deleted texts again by keyed hashes of their passages, without keeping the texts.

A passage is a run of ``WORDS`` words, or a whole text with fewer. Words are compared in lower case and
without the characters between them, so a passage is found in JSON, CSV and plain text alike, and in excerpts.
Only passages that no remaining row has are searched for. Who has the hashes and their key can test guesses:
those of a short text are not anonymous.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .rows import Row

WORDS: Final = 8
SHORTEST: Final = 6
"""Minimum number of characters of a text with a single word."""
KEY_BYTES: Final = 16
HASH_BYTES: Final = 8
CJK: Final = "぀-ヿ㐀-鿿가-힣"
"""Scripts without spaces between words: each of their characters counts as one."""
WORD: Final = re.compile(rf"[{CJK}]|[^\W{CJK}]+")


def words_of(text: str) -> list[str]:
    """Return the words of ``text`` in lower case."""
    return WORD.findall(text.lower())


def texts_of(row: Row) -> Iterator[str]:
    """Yield all texts of a row's content."""
    yield from strings_in(row.messages)
    yield from () if row.text is None else (row.text,)
    yield from strings_in(dict(row.extra))


def strings_in(value: object) -> Iterator[str]:
    """Yield all strings of a JSON value, except the keys of objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from strings_in(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from strings_in(member)


def _windows(words: Sequence[str], size: int) -> Iterator[str]:
    for start in range(len(words) - size + 1):
        yield " ".join(words[start : start + size])


class PassageHashes(TypedDict):
    """:class:`Passages` as JSON: ``hashes`` by the number of words; all hashes and the key in hexadecimal."""

    key: str
    hashes: dict[str, list[str]]
    first: list[str]


@dataclass(frozen=True)
class Passages:
    """Keyed hashes of passages, by their number of words; ``first`` are those of their first words."""

    key: bytes
    hashes: Mapping[int, frozenset[str]]
    first: frozenset[str]
    _begins: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, deleted: Iterable[str], others: Iterable[str], key: bytes | None = None) -> Passages:
        """Hash the passages of the ``deleted`` texts that none of the ``others`` has."""
        own: dict[int, set[str]] = {}
        for text in deleted:
            words = words_of(text)
            if len(words) > 1 or (words and len(words[0]) >= SHORTEST):
                size = min(WORDS, len(words))
                own.setdefault(size, set()).update(_windows(words, size))
        for text in others:
            words = words_of(text)
            for size, passages in own.items():
                passages.difference_update(_windows(words, size))
        key = key or secrets.token_bytes(KEY_BYTES)
        return cls(
            key,
            {size: frozenset(_hash(key, text) for text in texts) for size, texts in own.items() if texts},
            frozenset(_hash(key, text.split(" ", 1)[0]) for texts in own.values() for text in texts),
        )

    @classmethod
    def from_json(cls, value: PassageHashes) -> Passages:
        """Build from :meth:`to_json`. Raises ValueError for an invalid key or number."""
        hashes = {int(size): frozenset(some) for size, some in value["hashes"].items()}
        return cls(bytes.fromhex(value["key"]), hashes, frozenset(value["first"]))

    def to_json(self) -> PassageHashes:
        """Return it as JSON."""
        hashes = {str(size): sorted(some) for size, some in self.hashes.items()}
        return {"key": self.key.hex(), "hashes": hashes, "first": sorted(self.first)}

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def are_in(self, text: str) -> bool:
        """Return whether ``text`` has any of the passages."""
        words = words_of(text)
        for start, word in enumerate(words):
            if not self._begin_with(word):
                continue
            for size, hashes in self.hashes.items():
                window = words[start : start + size]
                if len(window) == size and _hash(self.key, " ".join(window)) in hashes:
                    return True
        return False

    def _begin_with(self, word: str) -> bool:
        known = self._begins.get(word)
        if known is None:
            known = self._begins[word] = _hash(self.key, word) in self.first
        return known


def _hash(key: bytes, text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=HASH_BYTES, key=key).hexdigest()
