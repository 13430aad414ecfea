"""What was told already, on the disk, so that whoever follows a job tells it once; and whether anybody is.

A project comes from anywhere, and its ``[notify]`` may name a program. So nothing of it runs before somebody
has started a training of this project with just this table: opening Studio on a folder runs nothing.
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
"""A claim that old is about nothing that anybody still follows."""


class Claims:
    """The claims of one project, in a folder of this user's."""

    def __init__(self, settings: Settings) -> None:
        digest = hashlib.sha256(str(settings.project).encode()).hexdigest()[:20]
        self._folder: Path = settings.data / "notices" / digest

    def take(self, *facts: str) -> bool:
        """Whether what ``facts`` name is ours to tell; from then on it is told. A full disk lets it be."""
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
        """Somebody has started a training with the table of this mark; old claims go."""
        with contextlib.suppress(OSError):
            write_private(self._folder / TRUSTED, mark.encode())
            old = time.time() - KEPT_SECONDS
            for path in self._folder.iterdir():
                if path.name != TRUSTED and path.lstat().st_mtime < old:
                    path.unlink()

    def trusted(self, mark: str) -> bool:
        """Whether that is the table with which a training was started last."""
        try:
            return read_small(self._folder / TRUSTED, 1024) == mark.encode()
        except OSError:
            return False
