"""Masks what must not be shown: keys by prefix, card numbers by checksum, addresses, phone numbers.

Reports are shared, so everything quoted from a row passes through ``masked``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEYS: Final = {
    "sk-": r"sk-[A-Za-z0-9_-]{20,}",
    "k_live_": r"[rs]k_live_[A-Za-z0-9]{16,}",
    "gh": r"gh[pousr]_[A-Za-z0-9]{30,}",
    "github_pat_": r"github_pat_[A-Za-z0-9_]{22,}",
    "glpat-": r"glpat-[A-Za-z0-9_-]{20,}",
    "hf_": r"hf_[A-Za-z0-9]{30,}",
    "AKIA": r"AKIA[A-Z0-9]{16}",
    "ASIA": r"ASIA[A-Z0-9]{16}",
    "AIza": r"AIza[A-Za-z0-9_-]{35}",
    "xox": r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "pypi-": r"pypi-[A-Za-z0-9_-]{40,}",
    "SG.": r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "eyJ": r"(?<!-)eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "PRIVATE KEY": r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,10000}",
}
"""A fixed part of a service's keys, and the whole pattern. No pattern may scan past the start of another
match and then fail: on a long text of prefixes that would take hours.
"""
_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(_KEYS.values())})")
_CARD: Final = re.compile(r"(?<![\w.,-])[23456]\d{3}(?:[ -]?\d){9,15}(?![\w-])")
_ADDRESS: Final = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@"
    r"(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_RESERVED: Final = re.compile(
    r"@(?:[a-z0-9-]+\.)*(?:example\.(?:com|org|net)|example|test|invalid|localhost)$", re.IGNORECASE
)
"""Reserved addresses without an owner (RFC 2606)."""
_PHONE: Final = re.compile(
    r"(?<![\w+.,/-])(?:\+[1-9]\d{0,2}(?:[ ./()-]{0,2}\d){6,12}|\(?[2-9]\d{2}\)?[ .-][2-9]\d{2}[ .-]\d{4})"
    r"(?![\w-]|[.,]\d)"
)
"""An international number, or one as North America writes it."""
_CUE: Final = re.compile(
    r"\b(?:phone|telephone|telefon|tel|mobile|mobil|cell|handy|fax|whatsapp|call|reach (?:me|us))\b"
    r"[^\d\n+(]{0,24}",
    re.IGNORECASE,
)
_NATIONAL: Final = re.compile(r"\(?0\d{1,4}\)?[ ./-]{0,2}\d(?:[ ./-]?\d){4,10}(?![\w-]|[.,]\d)")
"""A number within a country, known only by the word before it: order numbers look the same."""
_FICTION: Final = re.compile(r"(?<!\d)555[ .-]?01\d\d$")
"""Numbers reserved for examples."""
LEAST_DIGITS: Final = 7
_CUT: Final = re.compile(
    rf"(?:{'|'.join(re.escape(start) for start in _KEYS)})\S*$|[A-Za-z0-9._%+-]\S{{0,164}}+$"
)
"""A possible beginning of a secret at the end of truncated text. Possessive: a long word without spaces is
read once from each of its characters, not a hundred times.
"""
_DOUBLED: Final = dict(zip("0123456789", (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True))
"""The cross sums of doubled digits (Luhn's checksum)."""
VARIED: Final = 8
"""Minimum number of different characters of a real key: placeholders such as sk-xxxxxxxxxxxx have fewer."""


def keys(text: str) -> Iterator[re.Match[str]]:
    """Yield each key, token or private key in ``text``."""
    if any(start in text for start in _KEYS):  # ten times as fast as the expression, and usually sufficient
        for match in _KEY.finditer(text):
            if len(set(match[0])) >= VARIED:
                yield match


def cards(text: str) -> Iterator[re.Match[str]]:
    """Yield each number in ``text`` that may be a payment card's, by its prefix, length and checksum."""
    for match in _CARD.finditer(text):
        if _is_card("".join(filter(str.isdecimal, match[0]))):
            yield match


def addresses(text: str) -> Iterator[re.Match[str]]:
    """Yield each e-mail address in ``text`` that may be somebody's."""
    if "@" in text:
        for match in _ADDRESS.finditer(text):
            if not _RESERVED.search(match[0]):
                yield match


def phones(text: str) -> Iterator[re.Match[str]]:
    """Yield each phone number in ``text`` that may be somebody's, by its form or by the word before it."""
    if sum(map(str.isdecimal, text)) < LEAST_DIGITS:
        return
    matches = [*_PHONE.finditer(text)]
    matches += [number for cue in _CUE.finditer(text) if (number := _NATIONAL.match(text, cue.end()))]
    end = 0
    for match in sorted(matches, key=re.Match.start):
        if match.start() >= end and not _FICTION.search(match[0]):
            end = match.end()
            yield match


def replaced(text: str, find: Callable[[str], Iterator[re.Match[str]]], replacement: str) -> str:
    """Return ``text`` with ``replacement`` for each match of ``find``."""
    parts, end = [], 0
    for match in find(text):
        parts += [text[end : match.start()], replacement]
        end = match.end()
    return "".join([*parts, text[end:]])


def masked(text: str, *, cut: bool = False) -> str:
    """Return ``text`` with secrets and addresses masked; with ``cut`` also the possible start of one."""
    if cut:
        text = _CUT.sub("…", text)
    for find, mask in (
        (keys, _masked_key),
        (cards, lambda number: f"•••• {number[-4:]}"),
        (addresses, lambda address: f"{address[0]}…@…{address[address.rindex('.') :]}"),
        (phones, lambda number: f"{number[:2]}…{number[-2:]}"),
    ):
        parts, end = [], 0
        for match in find(text):
            parts += [text[end : match.start()], mask(match[0])]
            end = match.end()
        text = "".join([*parts, text[end:]])
    return text


def _masked_key(key: str) -> str:
    return "-----BEGIN PRIVATE KEY----- …" if key.startswith("-") else f"{key[:4]}…"


def _is_card(digits: str) -> bool:
    if len(set(digits)) < 2 or not digits.isascii():
        return False
    two, four = int(digits[:2]), int(digits[:4])
    issuer = {
        13: digits[0] == "4",
        15: two in (34, 37),
        16: digits[0] == "4" or 51 <= two <= 55 or 2221 <= four <= 2720 or four == 6011 or two == 65,
        19: digits[0] == "4",
    }
    if not issuer.get(len(digits), False):
        return False
    return (sum(map(int, digits[-1::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))) % 10 == 0
