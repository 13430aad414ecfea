"""Characters that nobody typed: wrongly decoded text and invisible controls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .finding import Check, CheckedRow, FoundRows, have

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import Finding
    from arkor_dev.data.rows import RowMessage

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


_ESCAPE: Final = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]")
"""A terminal's control sequence, such as a colour."""
_SEQUENCE: Final = re.compile("[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character in UTF-8, its bytes read as Latin-1."""
_BYTES: Final = {
    ord(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte)): byte for byte in range(256)
}
"""Characters of Windows-1252, mapped to their bytes."""
TWICE: Final = 3
"""Maximum number of wrong decodings of a text, one after another."""


def decoded_again(text: str) -> str:
    """Return ``text`` with wrongly decoded characters repaired, as far as their bytes are all there."""
    for _ in range(TWICE):
        if text.isascii() or not _MOJIBAKE.search(text):
            break
        read = text.translate(_BYTES)  # as long as the text, so that both have the same positions
        parts, end = [], 0
        for match in _SEQUENCE.finditer(read):
            start, stop = match.span()
            if not _MOJIBAKE.match(text, start, stop + 1):
                continue
            try:
                right = match[0].encode("latin-1").decode()
            except UnicodeDecodeError:
                continue
            parts += [text[end:start], right]
            end = stop
        if not parts:
            break
        text = "".join([*parts, text[end:]])
    return text.replace("\ufeff", "")


def without_controls(text: str) -> str:
    """Return ``text`` without control characters and terminal colours; line breaks and tabs stay."""
    return _CONTROLS.sub("", _ESCAPE.sub("", text))


class Characters(Check):
    """Broken and invisible characters, and white space around messages."""

    def __init__(self) -> None:
        self._broken, self._controls, self._spaced = FoundRows(), FoundRows(), FoundRows()

    def examine(self, checked: CheckedRow) -> None:
        text = checked.text
        broken = None
        if not text.isascii():
            broken = _MOJIBAKE.search(text)
            if broken:
                self._broken.add(checked, text, broken.start())
        if broken is None and not text.isprintable():  # broken text contains such controls anyway
            control = _CONTROLS.search(text)
            if control:
                self._controls.add(checked, text, control.start())
        spaced = next(filter(_has_space_around, checked.row.messages), None)
        if spaced:
            self._spaced.add(checked, repr(spaced["content"]))

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
        if self._spaced.count:
            yield self._spaced.finding(
                "white-space",
                "note",
                f"{have(self._spaced.count)} white space around a message",
                "Some chat templates keep it, and the model then learns to begin or end its answers with it.",
                "Trim these messages.",
            )


def _has_space_around(message: RowMessage) -> bool:
    content = message["content"]
    return bool(content[:1].isspace() or content[-1:].isspace()) and bool(content.strip())
