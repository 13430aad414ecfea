"""Server-sent event frames as opaque bytes: where one ends, which id it has, whether it is a repeat.

The daemon relays events and never reads them: no JSON is parsed here. Framing follows the WHATWG HTML
standard, §9.2 "Server-sent events" (lines end in LF, CRLF or CR; a blank line ends a frame).
"""

from __future__ import annotations

import re
from collections import Counter

MAX_FRAME = 32 << 20
"""Bytes; a longer frame is dropped whole, so that a backend cannot fill the memory with one."""

_CONTROL = re.compile(rb"^event: ?(?:ping|end)$", re.MULTILINE)
_END = re.compile(rb"^event: ?end$", re.MULTILINE)
_ID = re.compile(rb"^id: ?([^\0\n]*)$", re.MULTILINE)
_FIELD = re.compile(rb"^(?:data|event|id)(?::|$)", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"


class FrameSplitter:
    """Cuts a byte stream into whole frames, line ends normalised to LF, each without its blank line."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._first = True
        self._after_cr = False
        self._skipping = False
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that ``data`` completes."""
        if self._first and data:
            self._first = False
            data = data.removeprefix(_BOM)
        if self._after_cr:  # a CR that ended the last chunk was taken for a line's end already
            data = data.removeprefix(b"\n") if data else data
        self._after_cr = data.endswith(b"\r") or (self._after_cr and not data)
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        start = max(0, len(self._rest) - 1)
        self._rest += data
        cut = self._rest.rfind(b"\n\n", start)
        frames: list[bytes] = []
        if cut >= 0:
            frames = bytes(memoryview(self._rest)[:cut]).split(b"\n\n")
            self._rest = self._rest[cut + 2 :]
            if self._skipping:
                self._skipping = False
                self.dropped += 1
                del frames[0]
        self._bound()
        return [frame for frame in map(_strip, frames) if frame]

    def _bound(self) -> None:
        if len(self._rest) > MAX_FRAME:
            self._skipping = True
        if self._skipping:
            del self._rest[:-1]


def _strip(frame: bytes) -> bytes:
    return frame.lstrip(b"\n") if frame.startswith(b"\n") else frame


def frame_id(frame: bytes) -> bytes | None:
    """The frame's id, or None. The last ``id`` line counts."""
    if b"id" not in frame:
        return None
    found = _ID.findall(frame)
    return found[-1] if found else None


def is_end(frame: bytes) -> bool:
    """Whether the frame says that the stream is over."""
    return b"end" in frame and _END.search(frame) is not None


def is_event(frame: bytes) -> bool:
    """Whether the frame is one of the job's events: not a comment, a ``ping`` or the ``end``."""
    if frame.startswith((b"id:", b"event: t", b"event: c")) and b"ping" not in frame and b"end" not in frame:
        return True  # the common case, without a regular expression
    return _FIELD.search(frame) is not None and _CONTROL.search(frame) is None


class Deduplicator:
    """Tells new frames from repeats: a repeat has an id and data that were both seen (CONTRACT §2).

    Frames without an id cannot be told apart by content alone, since two equal ones may both be meant.
    After a reconnection the backend repeats at most those since the last id (or since the start when there
    was none), so exactly as many of each as were seen since then are skipped.
    """

    def __init__(self) -> None:
        # Hashes, not frames: Python's bytes hash is keyed at random for each process and 61 bits wide.
        self._seen: set[int] = set()
        self._since_id: Counter[int] = Counter()
        self._skip: Counter[int] = Counter()
        self.last_id: bytes | None = None

    def reconnected(self) -> None:
        """The next frames come from a new connection that was asked to resume after ``last_id``."""
        self._skip = Counter(self._since_id)

    def new(self, frames: list[bytes]) -> list[bytes]:
        """Those of ``frames`` that were not seen before, in order."""
        fresh: list[bytes] = []
        seen = self._seen
        if not self._since_id and all(frame.startswith(b"id:") for frame in frames):
            keys = set(map(hash, frames))
            if len(keys) == len(frames) and seen.isdisjoint(keys):
                seen |= keys
                self.last_id = frame_id(frames[-1]) if frames else self.last_id
                return frames
        for frame in frames:
            key = hash(frame)
            identity = frame_id(frame)
            if identity is None:
                if self._skip[key] > 0:
                    self._skip[key] -= 1
                    continue
                self._since_id[key] += 1
            else:
                if key in seen:
                    continue
                seen.add(key)
                self.last_id = identity
                if self._since_id:
                    self._since_id.clear()
                    self._skip.clear()
            fresh.append(frame)
        return fresh
