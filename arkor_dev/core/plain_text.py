"""Makes foreign text safe to print on a terminal.

A backend's error, an event or a project's output could otherwise move the cursor, set the window's title,
fill the clipboard, or make one line look like another.
"""

from __future__ import annotations

import re

# CSI, then the string sequences (OSC, DCS, SOS, PM, APC) to their end, then short escapes (ECMA-48); the rest
# of C0 and C1; the bidirectional controls (UAX #9) and the line separators.
_CONTROLS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
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
