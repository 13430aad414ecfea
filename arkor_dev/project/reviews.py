"""Adds judgements to ``data/reviews.jsonl`` (`arkor_dev.data.reviews`), and keeps what was read of it.

These calls block.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.data.reviews import FILE, FILE_LIMIT, Reviews, ReviewsError, content_of

from .line_file import FOLDER, opened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Review

NAME: Final = FILE.removeprefix(f"{FOLDER}/")


def add_reviews(project: Path, reviews: Iterable[Review]) -> None:
    """Append lines, all or none; each gets the time (``at``) if it has none.

    Raises TooLargeError beyond the limit, and BadRequestError or InternalError for a file that cannot be
    written.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = b"".join(
        json.dumps({**review, "at": review.get("at", at)}, ensure_ascii=False, separators=(",", ":")).encode()
        + b"\n"
        for review in reviews
    )
    if not lines:
        return
    with opened(project, NAME, make=True) as file:
        file.append(lines, FILE_LIMIT)


class ProjectReviews:
    """The judgements of one project as they are now. Thread-safe; parses only what was appended since."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._known = Reviews()

    def now(self) -> Reviews:
        """Return them; not to be changed. Raises BadRequestError for a damaged file, with its line."""
        with self._lock:
            try:
                self._known = self._known.update(content_of(self._project))
            except ReviewsError as fault:
                raise BadRequestError(str(fault)) from None
            return self._known
