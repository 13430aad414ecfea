"""Characters that nobody typed: wrongly decoded text and invisible controls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .finding import Check, Found, Seen, have

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import Finding

_LATER: Final = "\u0080-\u009f" + re.escape(bytes(range(0x80, 0xC0)).decode("cp1252", errors="ignore"))
"""The continuation bytes of UTF-8, read as Windows-1252."""
_USUAL: Final = "\u2013\u2014\u2018-\u201f\u2026\u2039\u203a"
"""The ones that legitimately follow an accented capital letter: quotes and dashes."""
# Accented letters, quotes and dashes, emoji, a byte order mark; and the replacement character.
_MOJIBAKE: Final = re.compile(
    rf"[\u00c2\u00c3](?![{_USUAL}])[{_LATER}]|\u00e2\u20ac[{_LATER}]|\u00f0\u0178[{_LATER}]"
    "|[\u00e0-\u00f4][\u0080-\u009f]|\u00ef\u00bb\u00bf|\ufffd"
)
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069\ufeff]")


class Characters(Check):
    """Broken and invisible characters."""

    def __init__(self) -> None:
        self._broken, self._controls = Found(), Found()

    def see(self, seen: Seen) -> None:
        """See ``Check.see``."""
        text = seen.text
        broken = None
        if not text.isascii():
            broken = _MOJIBAKE.search(text)
            if broken:
                self._broken.add(seen, text, broken.start())
        if broken is None and not text.isprintable():  # broken text contains such controls anyway
            control = _CONTROLS.search(text)
            if control:
                self._controls.add(seen, text, control.start())

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._broken.count:
            yield self._broken.finding(
                "mojibake",
                "warning",
                f"{have(self._broken.count)} broken characters, such as â€™ or Ã© (mojibake)",
                "The text was decoded with the wrong encoding; the model learns to write the broken form.",
                "Create the file again from its source, read as UTF-8; the package ftfy repairs most of it.",
            )
        if self._controls.count:
            yield self._controls.finding(
                "control-characters",
                "warning",
                f"{have(self._controls.count)} control characters",
                "They are invisible: terminal colours, marks that change text direction, bytes of "
                "another file. The model learns to write them.",
                "Remove them; line breaks and tabs can stay.",
            )
