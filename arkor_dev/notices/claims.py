"""Records which notices were sent, so that each is sent once, and whether any may be sent.

A project comes from anywhere, and its ``[notify]`` may name a program. So nothing of it runs before a person
has agreed to exactly this table, once for each project. Neither opening a folder nor a training run is
consent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

TRUSTED: Final = "trusted"
KEPT_SECONDS: Final = 90 * 86_400
"""The age after which a claim cannot concern a followed job."""


class Claims:
    """The claims of one project, in a private folder of this user."""

    def __init__(self, settings: Settings) -> None:
        digest = hashlib.sha256(str(settings.project).encode()).hexdigest()[:20]
        self._folder: Path = settings.data / "notices" / digest

    def claim(self, *facts: str) -> bool:
        """Return whether the notice of ``facts`` is ours to send; record it, unless the disk is full."""
        name = hashlib.sha256("\0".join(facts).encode(errors="surrogatepass")).hexdigest()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False
        except OSError:
            return True
        return True

    def trust(self, mark: str) -> None:
        """Record that a person has agreed to the table of this mark; delete old claims."""
        with contextlib.suppress(OSError):
            write_private(self._folder / TRUSTED, mark.encode())
            old = time.time() - KEPT_SECONDS
            for path in self._folder.iterdir():
                if path.name != TRUSTED and path.lstat().st_mtime < old:
                    path.unlink()

    def trusted(self, mark: str) -> bool:
        """Return whether a person has agreed to the table of this mark, and to none since."""
        try:
            return read_small(self._folder / TRUSTED, 1024) == mark.encode()
        except OSError:
            return False
