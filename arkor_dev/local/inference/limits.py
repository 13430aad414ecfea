"""The concurrency of an inference process, known on both sides of its pipe."""

from typing import Final

TOGETHER: Final = 8
"""Concurrent answers at most: each has its keys and values in memory."""
