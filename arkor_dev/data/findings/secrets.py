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
                "A model can repeat its training data word for word: anyone who talks to it may get the key.",
                "Replace it by a word such as KEY, and revoke the real one, since it is now in a file.",
            )
        if self._cards.count:
            yield self._cards.finding(
                "card-number",
                "warning",
                f"{have(self._cards.count)} what looks like a payment card's number",
                "The model may reveal it to others. The number passes the checksum of payment cards.",
                "Remove it, or replace it by made-up digits.",
            )
        if self._addresses.count:
            yield self._addresses.finding(
                "e-mail",
                "warning",
                f"{have(self._addresses.count)} an e-mail address",
                "The model may learn the address and its owner, and reveal them to others.",
                "Replace a person's address by one at example.com. Keep one that the model should mention.",
            )
