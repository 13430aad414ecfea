"""Cuts a document into passages, each short enough for one request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.data.findings.repeats import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .documents import Document

LONGEST: Final = 2400
"""Maximum number of characters of a passage: some 600 tokens of English."""
SHORTEST: Final = 80
"""Minimum number of characters of a passage: less leaves nothing to ask about."""
FULL: Final = 800
"""Length of a passage, in characters, from which a heading begins a new one."""
_HEADING: Final = re.compile(r"(#{1,6}) +(.+?)[ #]*")
_FENCE: Final = re.compile(r" {0,3}(```|~~~)")
_END: Final = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a ``document``; ``heading`` has the headings above it, outermost first."""

    document: str
    heading: str
    text: str

    @property
    def key(self) -> str:
        """The key of its text, which rows made from it have, whatever their kind."""
        return f"{digest(self.text):016x}"


def passages_of(document: Document) -> Iterator[Passage]:
    """Yield a document's passages in order, cut at headings and paragraphs, else at sentences."""
    headings: list[str] = []
    above, blocks, size = "", list[str](), 0

    def passage() -> Iterator[Passage]:
        text = "\n\n".join(blocks).strip()
        if len(text) >= SHORTEST:
            yield Passage(document.name, above, text)

    for block in _blocks(document.text):
        heading = _HEADING.fullmatch(block)
        if blocks and (size + len(block) > LONGEST or (heading and size >= FULL)):
            yield from passage()
            blocks, size = [], 0
        if heading:
            del headings[len(heading[1]) - 1 :]
            headings += [""] * (len(heading[1]) - 1 - len(headings)) + [heading[2]]
        if not blocks:
            above = " > ".join(filter(None, headings))
        for part in _parts(block):
            if blocks and size + len(part) > LONGEST:
                yield from passage()
                blocks, size = [], 0
            blocks.append(part)
            size += len(part)
    yield from passage()


def _blocks(text: str) -> Iterator[str]:
    """Yield headings and paragraphs; a fenced block of code is one."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        if not fence and (not line.strip() or _HEADING.fullmatch(line)):
            if lines:
                yield "\n".join(lines)
            lines = []
            if line.strip():
                yield line.strip()
        else:
            lines.append(line.rstrip())
    if lines:
        yield "\n".join(lines)


def _parts(block: str) -> Iterator[str]:
    """Yield a block in parts that fit a passage: whole sentences if possible."""
    part = ""
    for sentence in _END.split(block) if len(block) > LONGEST else [block]:
        if part and len(part) + len(sentence) >= LONGEST:
            yield part
            part = ""
        part = f"{part} {sentence}" if part else sentence
        while len(part) > LONGEST:
            cut = part.rfind(" ", LONGEST // 2, LONGEST)
            cut = LONGEST if cut < 0 else cut
            yield part[:cut]
            part = part[cut:].lstrip()
    if part:
        yield part
