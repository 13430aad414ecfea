"""Data files that a user uploads on the page: each becomes a new file in the project's ``data`` folder.

Nothing is overwritten, and no link out of the project is followed. These calls block.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, unwritten
from arkor_dev.core.plain_text import slug_of
from arkor_dev.data.detect import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER: Final = "data"
SAME_NAME: Final = 100
"""Maximum number of files of one name, which are distinguished by a number."""
_NO_LINK: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class NewDataFile:
    """A new file of the project; unless it is kept, closing deletes it."""

    def __init__(
        self, project: Path, name: str, folder: str = FOLDER, suffixes: Sequence[str] = SUFFIXES
    ) -> None:
        """Create the folder of the project and the file in it, named similarly to ``name``.

        Raises BadRequestError if ``name`` has none of ``suffixes``, or nothing can be created.
        """
        stem, suffix = _split(name, suffixes)
        self._in = folder
        try:
            with contextlib.suppress(FileExistsError):
                (project / folder).mkdir(mode=0o755)
            self._folder = os.open(project / folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK)
        except OSError as fault:
            linked = " (it is a symlink)" if (project / folder).is_symlink() else ""
            raise BadRequestError(f"{folder}/ cannot be used{linked}: {fault.strerror}.") from None
        self._complete = False
        try:
            self.name, self._handle = self._create(stem, suffix)
        except BaseException as fault:
            os.close(self._folder)
            if isinstance(fault, OSError):
                raise BadRequestError(f"No file can be created in {folder}/: {fault.strerror}.") from None
            raise

    def _create(self, stem: str, suffix: str) -> tuple[str, int]:
        for number in range(1, SAME_NAME + 1):
            name = f"{stem}-{number}{suffix}" if number > 1 else f"{stem}{suffix}"
            with contextlib.suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
                return name, os.open(name, flags, 0o644, dir_fd=self._folder)
        raise BadRequestError(f"{self._in}/ has {SAME_NAME} files called {stem}{suffix}. Rename yours first.")

    @property
    def path(self) -> str:
        """Its path in the project, for a ``dataset``."""
        return f"{self._in}/{self.name}"

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises InternalError when the disk refuses."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError as fault:
            raise unwritten(self.path, fault) from None

    def keep(self) -> None:
        """Flush to disk; from now on closing keeps the file."""
        os.fsync(self._handle)
        self._complete = True

    def close(self) -> None:
        """Close the file, and delete it unless it was kept."""
        os.close(self._handle)
        if not self._complete:
            with contextlib.suppress(OSError):
                os.unlink(self.name, dir_fd=self._folder)
        os.close(self._folder)


def _split(file_name: str, suffixes: Sequence[str]) -> tuple[str, str]:
    """Return a name that is safe anywhere, in two parts: ``("faq", ".csv.gz")``."""
    name = PureWindowsPath(PurePosixPath(file_name).name).name
    packed = ".gz" if suffixes is SUFFIXES and name.lower().endswith(".gz") else ""
    bare = name[: len(name) - len(packed)]
    suffix = next((ending for ending in suffixes if bare.lower().endswith(ending)), None)
    if suffix is None or len(bare) == len(suffix):
        kinds = ", ".join(ending.removeprefix(".").upper() for ending in suffixes)
        short = name if len(name) <= SAME_NAME else f"{name[:SAME_NAME]}…"
        expected = f"a data file. Use {kinds}, packed as .gz or not" if suffixes is SUFFIXES else f"{kinds}"
        raise BadRequestError(f"{short!r} is not {expected}.")
    return slug_of(bare[: -len(suffix)]), suffix + packed
