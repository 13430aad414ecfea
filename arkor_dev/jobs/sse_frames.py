"""Server-sent event frames as opaque bytes: where one ends, its id and its kind.

The daemon relays events without reading them: no JSON is parsed here. Framing follows the WHATWG HTML
standard, §9.2 "Server-sent events" (lines end in LF, CRLF or CR; a blank line ends a frame).

A *block* is a run of whole frames as one ``bytes``, each with its blank line. A history of 100,000 events
comes as some hundred blocks, so that most work is done per block and not per frame.
"""

from __future__ import annotations

import re
from operator import lt

from arkor_dev.contract.events import END, PING

PING_NAME = PING.encode()
END_NAME = END.encode()

MAX_FRAME = 32 << 20
"""Size limit of a frame in bytes: a longer one is dropped, so that a backend cannot exhaust memory."""

SHORT = 100
"""Longest control frame in bytes: a training event is longer, a ``ping`` or an ``end`` shorter."""

_BOM = b"\xef\xbb\xbf"
_COMMENTS = re.compile(rb"\A(?::[^\n]*(?:\n|\Z))+")
_CONTROL = re.compile(rb"\nevent: ?(?:%s|%s)\n" % (PING_NAME, END_NAME))
_EVENT = re.compile(rb"^event: ?([^\n]*)$", re.MULTILINE)
_FIELD = re.compile(rb"^(?:data|event|id)(?::|$)", re.MULTILINE)


class FrameSplitter:
    """Cuts a byte stream into blocks of whole frames, line ends normalised to LF."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._head: bytes | None = b""
        self._after_cr = False
        self._skipping = False
        self.dropped = 0

    def feed(self, data: bytes) -> bytes:
        """Return the block of the frames that ``data`` completes; ``b""`` if it completes none."""
        between = not self._rest and self._head is None and not self._after_cr
        if between and data.endswith(b"\n\n") and b"\r" not in data:  # live events arrive whole
            return data
        if self._head is not None:
            data = self._without_bom(self._head + data)
        if self._after_cr and data:  # that CR was already counted as a line end
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = data.rfind(b"\n\n") + 2
        across = self._rest.endswith(b"\n") and data.startswith(b"\n")
        if cut == 1 and not across:
            self._rest += data
            return self._bounded(b"")
        # One copy of the bytes, which the log then keeps.
        block = b"".join((self._rest, memoryview(data)[:cut]))
        self._rest = bytearray(memoryview(data)[cut:])
        if self._skipping:
            self._skipping = False
            self.dropped += 1
            block = block[block.index(b"\n\n") + 2 :]
        return self._bounded(block)

    def _bounded(self, block: bytes) -> bytes:
        if len(self._rest) > self._limit:
            self._skipping = True
        if self._skipping:
            del self._rest[:-1]
        return block

    def _without_bom(self, head: bytes) -> bytes:
        """Return ``head``, the stream's first bytes, once it is clear whether they are a byte order mark."""
        undecided = len(head) < len(_BOM) and _BOM.startswith(head)
        self._head = head if undecided else None
        return b"" if undecided else head.removeprefix(_BOM)


def frames_in(block: bytes) -> list[bytes]:
    """Return the block's frames unchanged, each without its blank line."""
    frames = block.rsplit(b"\n\n")  # takes half the time of split(), which stops at every line end
    frames.pop()
    return frames


def without_comments(frame: bytes) -> bytes:
    """Return the frame without comments and blank lines before its first field; ``b""`` if it has none."""
    return _COMMENTS.sub(b"", frame.strip(b"\n"))


def ascend(frames: list[bytes]) -> bool:
    """Return whether each of ``frames`` is greater than the one before, byte by byte: none occurs twice."""
    return all(map(lt, frames, frames[1:]))


def is_plain(block: bytes, frames: list[bytes], *, ascending: bool) -> bool:
    """Return whether each of ``frames`` begins with its id and none is a ``ping`` or an ``end``.

    That is nearly always so, and then no frame needs to be examined. A control frame with an id is short, or
    the last.
    """
    least, greatest = (frames[0], frames[-1]) if ascending else (min(frames), max(frames))
    if least < b"id:" or greatest >= b"id;" or block.endswith(b"\n\n\n"):
        return False
    return not is_control(block if min(map(len, frames)) < SHORT else frames[-1] + b"\n")


def is_control(frames: bytes) -> bool:
    """Return whether any of these frames is a ``ping`` or an ``end`` after its id."""
    return _CONTROL.search(frames) is not None


def frame_id(frame: bytes) -> bytes | None:
    """Return the frame's id, or None. The last ``id`` line without a NUL counts."""
    ids = [line for line in frame.split(b"\n") if line.startswith(b"id:") and b"\0" not in line]
    return ids[-1].removeprefix(b"id:").removeprefix(b" ") if ids else None


def event_name(frame: bytes) -> bytes:
    """Return the frame's event name, ``b""`` if it has none. The last ``event`` line counts."""
    names = _EVENT.findall(frame)
    return names[-1] if names else b""


def has_fields(frame: bytes) -> bool:
    """Return whether the frame is more than comments and a ``retry``."""
    return _FIELD.search(frame) is not None
