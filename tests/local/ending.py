"""A program that says a word and ends as its environment says; ``test_forked.py`` has it started."""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    how = os.environ["END"]
    sys.stdout.write(f"{sys.argv} {sys.stdin.read()} {os.getpid() == os.getpgrp()}")
    if how == "a number":
        sys.exit(7)
    if how == "a word":
        sys.exit("a word")
    if how == "an error":
        raise RuntimeError("an error")
    if how == "a signal":
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
