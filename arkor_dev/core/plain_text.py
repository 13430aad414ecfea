"""Text from elsewhere: safe to print on a terminal, and as a name of a project or folder."""

from __future__ import annotations

import re

# CSI, then the string sequences (OSC, DCS, SOS, PM, APC) to their end, then short escapes (ECMA-48); the rest
# of C0 and C1; the bidirectional controls (UAX #9) and the line separators.
_CONTROLS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Return ``text`` without escape sequences, bidi marks and controls other than tab and line feed."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


def sentence(text: str) -> str:
    """Return ``text`` with a full stop, unless it ends with a punctuation mark."""
    text = text.rstrip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def one_line(value: object, limit: int = 500) -> str:
    """Return ``value`` as one plain line of at most ``limit`` characters."""
    line = " ".join(plain(str(value)[: 4 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


LONGEST = 40


def slug_of(name: str) -> str:
    """Return the slug as the ``arkor`` CLI makes it, so that each finds the other's projects.

    Lower case, a dash for each UTF-16 unit that is not in ``[a-z0-9-]``, dashes trimmed, cut to 40; else
    ``project``. The CLI treats a backslash as a separator of folders on every system.
    """
    pieces = [piece for piece in name.split("\\") if piece]
    units = (pieces[-1] if pieces else "").lower().encode("utf-16-le", "surrogatepass")
    text = "".join(chr(int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2))
    return re.sub(r"[^a-z0-9-]", "-", text).strip("-")[:LONGEST] or "project"


def tidy_name(name: str) -> str:
    """Return ``name`` in lower case, a dash for each run of characters outside ``[a-z0-9-]``, trimmed, at
    most 40; else ``project``.

    It names the local backend's folders, which must not change.
    """
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:LONGEST].strip("-") or "project"
