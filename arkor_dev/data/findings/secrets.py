"""Rows with secrets or personal data: a model repeats what it has learned to anybody who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Check, Found, Seen, have
from .masking import addresses, cards, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import Finding


class Secrets(Check):
    """Keys and tokens, card numbers, e-mail addresses."""

    def __init__(self) -> None:
        self._keys, self._cards, self._addresses = Found(), Found(), Found()

    def see(self, seen: Seen) -> None:
        """See ``Check.see``."""
        for found, find in ((self._keys, keys), (self._cards, cards), (self._addresses, addresses)):
            first = next(find(seen.text), None)
            if first is not None:
                found.add(seen, seen.text, first.start())

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._keys.count:
            yield self._keys.finding(
                "secret",
                "error",
                f"{have(self._keys.count)} what looks like a secret key or token",
                "A model can repeat what it was trained on word for word: who talks to it may get the key.",
                "Put a word such as KEY in its place, and withdraw the true one: it lies in a file now.",
            )
        if self._cards.count:
            yield self._cards.finding(
                "card-number",
                "warning",
                f"{have(self._cards.count)} what looks like a payment card's number",
                "The model may tell it to others. The number passes the checksum that cards have.",
                "Remove it, or put made-up digits in its place.",
            )
        if self._addresses.count:
            yield self._addresses.finding(
                "e-mail",
                "warning",
                f"{have(self._addresses.count)} an e-mail address",
                "The model may learn the address, and who has it, and tell others.",
                "Put one at example.com in the place of a person's. One that the model is to name can stay.",
            )
