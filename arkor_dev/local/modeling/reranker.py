"""A reranker: an adapter with a head of one output, the logit of a document's relevance to a query.

It is saved as a classifier with one class (see ``classes``), and marked by a file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "reranker.json"
RELEVANCE: Final = "relevance"
"""The name of the only class."""


def mark(folder: Path) -> None:
    """Mark the adapter in ``folder`` as a reranker's."""
    (folder / FILE).write_text(f"{json.dumps({'activation': 'sigmoid'})}\n", encoding="utf-8")


def is_reranker(folder: Path) -> bool:
    """Return whether the adapter in ``folder`` is a reranker's."""
    return (folder / FILE).is_file()
