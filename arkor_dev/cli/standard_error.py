"""Standard error, written to without a library: what a launch says first must not wait for one."""

from __future__ import annotations

import contextlib
import io
import os
import sys


class StandardError(io.TextIOBase):
    """Standard error, where a terminal that has been closed takes no more.

    That it is gone is told by a signal, which ends Studio in good order; no print may end it otherwise.
    """

    encoding = property(lambda self: sys.stderr.encoding)

    def write(self, text: str) -> int:
        try:
            sys.stderr.write(text)
        except OSError:
            self._let_go()
        return len(text)

    def flush(self) -> None:
        try:
            sys.stderr.flush()
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        """What Python still has in its buffer is written at the very end: failing there is exit code 120."""
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, sys.stderr.fileno())
            finally:
                os.close(nowhere)

    def isatty(self) -> bool:
        return sys.stderr.isatty()

    def fileno(self) -> int:
        return sys.stderr.fileno()
