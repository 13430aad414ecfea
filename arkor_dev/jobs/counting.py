"""Events numbered one after another need no memory of what was seen: a higher number is news.

Most backends count their events, and while a stream counts on, telling news from repeats costs a comparison
a frame instead of a hash and a place in a set. It ends at the first frame that does not fit.
"""

from __future__ import annotations

from operator import lt


class Counting:
    """The last number of a stream whose ids have so far been 1, 2, 3, … from wherever it began."""

    def __init__(self) -> None:
        self.last: int | None = None

    def goes_on(self, frames: list[bytes]) -> bool:
        """Whether the ids of ``frames``, each of which begins with its id, count on from the last.

        The first and last number and the count have to fit. Within the block each frame has to be greater
        than the one before, byte by byte, so that none can stand in it twice; where the number of digits
        changes it is not, and the caller's halves are looked at each by itself.
        """
        first, last = _number(frames[0]), _number(frames[-1])
        if first is None or last is None or last - first + 1 != len(frames):
            return False
        if self.last is not None and first != self.last + 1:
            return False
        if not all(map(lt, frames, frames[1:])):
            return False
        self.last = last
        return True


def _number(frame: bytes) -> int | None:
    digits = frame[len(b"id:") : frame.find(b"\n")].removeprefix(b" ")
    return (
        int(digits) if digits.isdigit() and len(digits) < 19 and str(int(digits)).encode() == digits else None
    )
