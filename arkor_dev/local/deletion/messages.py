"""Messages to and from the process that searches for deleted rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from arkor_dev.contract.forget import TextCopy
from arkor_dev.data.passages import PassageHashes
from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class SearchTexts(Message):
    """Search for ``passages``; the other fields are those of ``search.Search``."""

    passages: PassageHashes
    data: Path
    project: Path
    names: dict[str, str]
    data_files: list[Path]


@dataclass
class Found(Message):
    """The result of a search. ``paths`` and ``keys`` (a table and its key) say what to delete for the id of a
    copy. Both lists are cut; ``copies_count`` and ``unsearched_count`` are their whole lengths.
    """

    copies: list[TextCopy] = field(default_factory=list)
    copies_count: int = 0
    unsearched: list[str] = field(default_factory=list)
    unsearched_count: int = 0
    files: int = 0
    bytes: int = 0
    paths: dict[str, Path] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
