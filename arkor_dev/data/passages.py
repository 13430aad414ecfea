"""Finds deleted texts again by keyed hashes of their passages, without keeping the texts.

A passage is a run of ``WORDS`` words, or a whole text with fewer. Words are compared in lower case and
without the characters between them, so a passage is found in JSON, CSV and plain text alike, and in excerpts.
Only passages that no remaining row has are searched for.

Who has the hashes and their key can test guesses, but only of whole passages. Those of a text begin every
``APART`` words: if each word began one, its neighbours' words would give away the next, one after the other.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .rows import Row

WORDS: Final = 8
APART: Final = 4
"""Minimum words between the beginnings of a text's passages. The last one ends the text, so two are less than
``2 * APART`` words apart, and an excerpt of ``WORDS + 2 * (APART - 1)`` words has one.
"""
LONGEST_WORD: Final = 65_536
"""Characters of a word that is cut off at the end of a piece, up to which it is completed."""
SHORTEST: Final = 6
"""Minimum number of characters of a text with a single word."""
KEY_BYTES: Final = blake2b.SALT_SIZE
HASH_BYTES: Final = 8
CJK: Final = "぀-ヿ㐀-鿿가-힣"
"""Scripts without spaces between words: each of their characters counts as one."""
WORD: Final = re.compile(rf"[{CJK}]|[^\W{CJK}]+")
LETTERS: Final = re.compile(rf"[^\W{CJK}]*")


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


def _windows(words: Sequence[str], size: int, apart: int = 1) -> Iterator[str]:
    """Yield the passages that begin every ``apart`` words, and the last one, no nearer to the others."""
    last = len(words) - size
    for start in range(0, last - apart + 1, apart):
        yield " ".join(words[start : start + size])
    if last >= 0:
        yield " ".join(words[last:])


class PassageHashes(TypedDict):
    """:class:`Passages` as JSON: ``hashes`` by the number of words; all hashes and the key in hexadecimal."""

    key: str
    hashes: dict[str, list[str]]


@dataclass(frozen=True)
class Passages:
    """Keyed hashes of passages, by their number of words."""

    key: bytes
    hashes: Mapping[int, frozenset[str]]

    @classmethod
    def of(cls, deleted: Iterable[str], others: Iterable[str], key: bytes | None = None) -> Passages:
        """Hash the passages of the ``deleted`` texts that none of the ``others`` has."""
        own: dict[int, set[str]] = {}
        for text in deleted:
            words = words_of(text)
            if len(words) > 1 or (words and len(words[0]) >= SHORTEST):
                size = min(WORDS, len(words))
                own.setdefault(size, set()).update(_windows(words, size, APART))
        for text in others:
            words = words_of(text)
            for size, passages in own.items():
                passages.difference_update(_windows(words, size))
        key = key or secrets.token_bytes(KEY_BYTES)
        return cls(
            key, {size: frozenset(_hash(key, text) for text in texts) for size, texts in own.items() if texts}
        )

    @classmethod
    def from_json(cls, value: PassageHashes) -> Passages:
        """Build from :meth:`to_json`. Raises ValueError for an invalid key or number."""
        hashes = {int(size): frozenset(some) for size, some in value["hashes"].items()}
        return cls(bytes.fromhex(value["key"]), hashes)

    def to_json(self) -> PassageHashes:
        """Return it as JSON."""
        hashes = {str(size): sorted(some) for size, some in self.hashes.items()}
        return {"key": self.key.hex(), "hashes": hashes}

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def are_in(self, text: str) -> bool:
        """Return whether ``text`` has any of the passages."""
        return self.are_in_pieces((text,))

    def are_in_pieces(self, pieces: Iterable[str]) -> bool:
        """Return whether the text that consists of ``pieces`` has any of the passages."""
        longest = max(self.hashes, default=0)
        before: list[str] = []
        for words in _word_lists(pieces):
            words = [*before, *words]
            for size, hashes in self.hashes.items():
                # Passages that end among the words from before have been compared.
                first = max(0, len(before) - size + 1)
                if any(
                    _hash(self.key, " ".join(words[start : start + size])) in hashes
                    for start in range(first, len(words) - size + 1)
                ):
                    return True
            before = words[-longest + 1 :] if longest > 1 else []
        return False


def _word_lists(pieces: Iterable[str]) -> Iterator[list[str]]:
    """Yield the words of each piece, without the last one if it may continue in the next."""
    begun = ""
    for piece in pieces:
        text = begun + piece
        # Matched from the end: a search forward would try each letter of a long word before it.
        last = LETTERS.match(text[: -LONGEST_WORD - 1 : -1])
        begun = last[0][::-1] if last and len(last[0]) < LONGEST_WORD else ""
        yield words_of(text.removesuffix(begun))
    yield words_of(begun)


def _hash(key: bytes, text: str) -> str:
    # As a salt, since it is no secret from who has the hashes; a keyed hash would take twice as long.
    return blake2b(text.encode(errors="surrogatepass"), digest_size=HASH_BYTES, salt=key).hexdigest()
