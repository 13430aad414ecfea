"""Filtering a job's streams: pings, comments and repeats are dropped, the ``end`` is noticed.

A frame is a repeat if both its id and its data were seen before, whichever connection brought it (the rule of
docs/contract.md#event-stream). Frames without an id cannot be told apart by content, since two equal ones may
both be meant: after a reconnection exactly as many of each are skipped as were seen since then.

Most backends number their events. While a stream's ids count 1, 2, 3, … nothing is remembered at all:
detecting repeats costs a comparison per frame instead of a hash and an entry in a set. At the first frame
that breaks the sequence, the stored frames of the job are scanned once.

Nothing after this looks for repeats again: a tab resumes at the byte where it stopped (``event_hub.py``).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from .sse_frames import (
    END_NAME,
    PING_NAME,
    ascend,
    event_name,
    frame_id,
    frames_in,
    has_fields,
    is_control,
    is_plain,
    without_comments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GENERATION = 1 << 19
"""Frames after which the oldest are forgotten: memory is bounded, and repeats are recent."""
FEW = 8
"""Block size from which irregular frames are examined one by one."""
SEEN_BYTES = 72
"""Memory of a remembered frame: a 61-bit number and its entry in a set."""

_CLOCK = re.compile(rb"\d{10,}(?:\.\d*)?|\d{4}-\d\d-.*")


class Deduplicator:
    """Takes the blocks of one stream after another, and passes each event of the job once.

    ``stored_blocks`` yields the blocks that were passed and are still stored; without it all hashes are kept.
    """

    def __init__(
        self, stored_blocks: Callable[[], Iterable[bytes]] | None = None, generation: int = GENERATION
    ) -> None:
        self._stored_blocks = stored_blocks
        self._counting = stored_blocks is not None
        self._number: int | None = None
        self._passed: list[bytes] = []
        # Hashes, not frames: Python's bytes hash has a random key for each process and is 61 bits wide.
        self._hashes: set[int] = set()
        self._older: set[int] = set()
        self._generation = generation
        self._last: bytes | None = None
        self._previous: bytes | None = None
        self._reused = False
        self._loose: Counter[int] = Counter()
        self._loose_before: Counter[int] = Counter()
        self._skip: Counter[int] = Counter()
        self.end: bytes | None = None

    @property
    def cost(self) -> int:
        """About how many bytes of memory this takes."""
        return SEEN_BYTES * (
            len(self._hashes) + len(self._older) + len(self._loose) + len(self._loose_before)
        )

    @property
    def resume_id(self) -> bytes | None:
        """The id to resume after: the last one, unless others may share it and still be missing.

        Then it is the one before, and the frames between are dropped as repeats. Clocks give the same id to
        simultaneous events; counters do not.
        """
        if self._last is not None and (self._reused or _CLOCK.fullmatch(self._last)):
            return self._previous
        return self._last

    def resumed(self) -> None:
        """Note that the next block comes from a new connection, resumed after `resume_id`."""
        self._skip = Counter(self._loose)
        if self.resume_id != self._last:
            self._skip += self._loose_before

    def reopen(self) -> None:
        """Forget the ``end``: the job continues after it."""
        self.end = None

    def deduplicate(self, block: bytes) -> bytes:
        """Return the block without repeats. After an ``end`` frame, `end` is that frame."""
        if self._is_next(block):
            return block
        new = self._deduplicate(block, frames_in(block))
        self._passed.clear()
        return new

    def _is_next(self, block: bytes) -> bool:
        """Return whether the block is one plain event that continues the sequence, as live ones do; then note
        it.
        """
        if self._number is None or not self._counting or self.end is not None:
            return False
        line = b"id: %d\n" % (self._number + 1)
        if (
            not block.startswith(line)
            or block.find(b"\n\n") != len(block) - 2
            or block.find(b"\nid:") >= 0
            or is_control(block)
        ):
            return False
        self._number += 1
        self._note(line[4:-1], None)
        return True

    def _deduplicate(self, block: bytes, frames: list[bytes]) -> bytes:
        if not frames or self.end is not None:
            return b""
        ascending = ascend(frames)
        # Hashes are of frames without further blank lines.
        comparable = self._counting or b"\n\n\n" not in block
        if (
            comparable
            and is_plain(block, frames, ascending=ascending)
            and self._all_new(frames, ascending=ascending)
        ):
            self._note_ids(frames)
            return block
        if len(frames) > FEW:  # halve until the irregular part is isolated, and pass the rest whole
            middle = len(frames) // 2
            halves = (frames[:middle], frames[middle:])
            return b"".join([self._deduplicate(b"\n\n".join([*half, b""]), half) for half in halves])
        return b"".join([clean + b"\n\n" for frame in frames if (clean := self._if_new(frame))])

    def _all_new(self, frames: list[bytes], *, ascending: bool) -> bool:
        """Return whether none of the frames, each beginning with its id, was seen; then note them."""
        if self._counting:
            if ascending and self._counts_on(frames):
                self._passed += frames
                return True
            if len(frames) > 1:
                return False  # parts of it may still continue the sequence
            self._stop_counting()
        return self._remember(frames)

    def _counts_on(self, frames: list[bytes]) -> bool:
        """Return whether the ids of ascending ``frames``, each beginning with its id, continue the sequence.

        First number, last number and count must fit. Where the number of digits changes frames do not ascend,
        and the caller examines each half by itself.
        """
        first = _number(frames[0]) if self._number is None else self._number + 1
        if first is None or not _has_number(frames[0], first):
            return False
        last = first + len(frames) - 1
        if not _has_number(frames[-1], last):
            return False
        self._number = last
        return True

    def _stop_counting(self) -> None:
        assert self._stored_blocks is not None
        self._counting = False
        for block in self._stored_blocks():
            self._hashes.update(hash(frame.strip(b"\n")) for frame in frames_in(block))
        self._hashes.update(hash(frame.strip(b"\n")) for frame in self._passed)

    def _remember(self, frames: list[bytes]) -> bool:
        """Remember the frames if none of them was seen."""
        keys = list(map(hash, frames))
        hashes = self._hashes
        if not hashes.isdisjoint(keys) or (self._older and not self._older.isdisjoint(keys)):
            return False
        before = len(hashes)
        hashes.update(keys)
        if len(hashes) - before != len(keys):  # the block repeats itself
            hashes.difference_update(keys)
            return False
        if len(hashes) >= self._generation:
            self._hashes, self._older = set(), hashes
        return True

    def _if_new(self, frame: bytes) -> bytes:
        """Return the frame in its clean form if it is new, else ``b""``."""
        frame = without_comments(frame)
        name = event_name(frame)
        if self.end is not None or name == PING_NAME or not has_fields(frame):
            return b""
        if name == END_NAME:
            self.end = frame + b"\n\n"
            return b""
        if frame_id(frame) is not None:
            if not self._all_new([frame], ascending=True):
                return b""
            self._note_ids([frame])
            return frame
        key = hash(frame)
        if self._skip[key] > 0:
            self._skip[key] -= 1
            return b""
        if len(self._loose) < self._generation:
            self._loose[key] += 1
        return frame

    def _note_ids(self, frames: list[bytes]) -> None:
        """Record the newest id of these new frames, and the newest that differs from it."""
        newest = previous = None
        for frame in reversed(frames):
            identity = frame_id(frame)
            if newest is None:
                newest = identity
            elif identity == newest:
                self._reused = True
            elif identity is not None:
                previous = identity
                break
        if newest is not None:
            self._note(newest, previous)

    def _note(self, newest: bytes, previous: bytes | None) -> None:
        if self._skip:
            self._skip.clear()
        repeated = newest == self._last and previous is None
        if repeated:
            self._reused = True
        else:
            self._previous = self._last if previous is None else previous
        self._last = newest
        if self._loose or self._loose_before:  # most streams never have any
            if repeated:
                self._loose_before += self._loose
            else:
                self._loose_before = self._loose if previous is None else Counter()
            self._loose = Counter()


def _has_number(frame: bytes, number: int) -> bool:
    return frame.startswith((b"id: %d\n" % number, b"id:%d\n" % number))


def _number(frame: bytes) -> int | None:
    """Return the frame's id as a number, if it is one as a counter writes it."""
    digits = frame[len(b"id:") : frame.find(b"\n")].removeprefix(b" ")
    return (
        int(digits) if digits.isdigit() and len(digits) < 19 and str(int(digits)).encode() == digits else None
    )
