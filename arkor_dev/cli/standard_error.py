"""Writes to standard error without importing a library, so that a launch's first line is not delayed."""

from __future__ import annotations

import contextlib
import io
import os
import sys


class StandardError(io.TextIOBase):
    """Standard error that ignores writes after its terminal has been closed.

    A signal reports the closed terminal and ends Studio in good order; a failing print must not.
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
        """Drop Python's buffer: flushing it at exit would fail with exit code 120."""
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
