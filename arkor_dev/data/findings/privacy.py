"""Keeps private data from leaving this machine with a model: paths, names of users and machines, and secrets.

Each text is checked before it goes into a card or a provenance, and omitted if it contains such a thing. The
result is checked once more as a whole, and is not written if it still contains anything.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .finding import Check, CheckedRow, FoundRows, have
from .masking import addresses, cards, keys, phones

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arkor_dev.contract.dataset_shapes import Finding


class Secrets(Check):
    """Keys and tokens, card numbers, e-mail addresses, phone numbers."""

    def __init__(self) -> None:
        self._keys, self._cards, self._addresses = FoundRows(), FoundRows(), FoundRows()
        self._phones = FoundRows()

    def examine(self, checked: CheckedRow) -> None:
        for group, find in (
            (self._keys, keys), (self._cards, cards), (self._addresses, addresses), (self._phones, phones),
        ):  # fmt: skip
            first = next(find(checked.text), None)
            if first is not None:
                group.add(checked, checked.text, first.start())

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
        if self._phones.count:
            yield self._phones.finding(
                "phone-number",
                "warning",
                f"{have(self._phones.count)} a phone number",
                "The model may learn the number and its owner, and reveal them to others.",
                "Replace a person's number by one such as 555-0100. Keep one that the model should mention.",
            )


_PATH: Final = re.compile(
    r"(?<![\w.:/\\~<-])~?/(?:[^\s/\\\"'<>|*?`()\[\]]{1,255}/)+[^\s/\\\"'<>|*?`()\[\]]+"
    r"|(?<![\w/\\])(?:[A-Za-z]:\\|\\\\)[^\s\\\"'<>|*?`]+(?:\\[^\s\\\"'<>|*?`]+)*"
    r"|(?<!\w)~/[\w.-]"
    r"|\bfile://",
    re.IGNORECASE,
)
"""An absolute path of at least two parts; the path of a URL does not match."""
_SECRET: Final = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|CREDENTIAL", re.IGNORECASE)
"""Names of variables that hold secrets."""
LEAST: Final = 3
LEAST_SECRET: Final = 8
"""Shortest name or secret to search for."""
ANYBODY: Final = frozenset(
    {"root", "user", "admin", "ubuntu", "debian", "runner", "nobody", "localhost", "localdomain", "home"}
)
"""User and machine names that identify nobody."""


def _is_secret(value: str) -> bool:
    """Exclude words, such as the value of a flag that says whether there is a password."""
    return len(value) >= LEAST_SECRET and any(map(str.isdigit, value))


class PrivateError(Exception):
    """A result would contain something private; ``str()`` names the kind, not the content."""


@dataclass(frozen=True, slots=True)
class Private:
    """This machine's private data: ``names`` of user and host, ``paths`` and ``secrets``."""

    names: frozenset[str]
    paths: frozenset[str] = frozenset()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of_this_machine(cls, paths: Iterable[Path] = (), secrets: Iterable[str] = ()) -> Private:
        """Return those of this process, with additional ``paths`` and ``secrets``."""
        names = {socket.gethostname(), socket.gethostname().partition(".")[0]}
        homes = {Path(os.environ[name]) for name in ("HOME", "USERPROFILE") if os.environ.get(name)}
        names |= {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
        try:
            names.add(getpass.getuser())
        except (KeyError, OSError):  # a container's user without a name
            names.discard("")
        values = {value for name, value in os.environ.items() if _SECRET.search(name) and _is_secret(value)}
        return cls(
            frozenset(name for name in names if len(name) >= LEAST and name.lower() not in ANYBODY),
            frozenset(str(path) for path in (*homes, *paths) if len(path.parts) > 1),
            frozenset(values | {secret for secret in secrets if len(secret) >= LEAST_SECRET}),
        )

    def private_kind(self, text: str) -> str | None:
        """Return the kind of private thing in ``text``; None if there is none."""
        if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) for name in self.names):
            return "the name of a user or a machine"
        if next(addresses(text), None) or next(cards(text), None):
            return "somebody's address or card number"
        return self.private_kind_in_document(text)

    def private_kind_in_document(self, text: str) -> str | None:
        """Return the same for a whole document, in which a common word may be somebody's name."""
        if any(secret in text for secret in self.secrets) or next(keys(text), None):
            return "a token"
        if any(path in text for path in self.paths) or _PATH.search(text):
            return "a path of this machine"
        return None

    def check(self, text: str) -> str:
        """Return ``text``, JSON or Markdown. Raises PrivateError if it contains something private.

        Both double a backslash: ``\\frac`` would look like a path of a network, ``C:\\Users`` unlike one.
        """
        if kind := self.private_kind_in_document(text.replace("\\\\", "\\")):
            raise PrivateError(kind)
        return text
