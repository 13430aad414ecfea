"""How much an inference process does at once; both sides of its pipe know it."""

from typing import Final

TOGETHER: Final = 8
"""Answers at once, at most: each has its keys and values in memory."""
