"""Help whose usage line is the same on every Python.

argparse words and wraps that line otherwise from one Python to the next, so it is laid out here: an option or
argument is never broken in two, and lines after the first stand under the first option.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps descriptions as they are written; the usage line is laid out by :func:`_usage`."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """Add the usage line, unless the parser has one of its own."""
        if usage is None:
            start = len("usage: " if prefix is None else prefix) + len(self._prog)
            usage = "%(prog)s" + _usage(actions, start + 1, self._width).replace("%", "%%")
        super().add_usage(usage, actions, groups, prefix)


def _usage(actions: Iterable[argparse.Action], indent: int, width: int) -> str:
    lines, column = "", indent - 1
    for action in sorted(actions, key=lambda action: not action.option_strings):
        if action.help is argparse.SUPPRESS or not (word := _word(action)):
            continue
        if column > indent and column + 1 + len(word) > width:
            lines += "\n" + " " * indent + word
            column = indent + len(word)
        else:
            lines += " " + word
            column += 1 + len(word)
    return lines


def _word(action: argparse.Action) -> str:
    metavar = action.metavar
    if metavar is None:
        metavar = f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if action.option_strings:
        name = action.option_strings[0]
        word = name if action.nargs == 0 else f"{name} {value}"
        return word if action.required else f"[{word}]"
    if action.nargs == argparse.PARSER:
        return f"[{value} ...]" if value else "..."
    return f"[{value}]" if action.nargs in ("?", "*") else value
