"""The process that searches for deleted rows: a file may be made to fill memory or to take forever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.passages import Passages
from arkor_dev.local.gguf.limited import limit_memory
from arkor_dev.local.workers.link import Link, serve

from .messages import Found, SearchTexts
from .search import Search

if TYPE_CHECKING:
    from typing import NoReturn

MEMORY: Final = 2 << 30
"""Maximum bytes of private memory: a job trains beside it."""
NICE: Final = 5


def main() -> NoReturn:
    """Answer one request."""
    limit_memory(MEMORY)
    serve(SearchTexts, _search, lambda error: f"The search failed: {type(error).__name__}", nice=NICE)


def _search(request: SearchTexts, _: Link) -> Found:
    passages = Passages.from_json(request.passages)
    files = set(request.data_files)
    return Search(passages, request.data, request.project, request.names, files).run()


if __name__ == "__main__":
    main()
