"""An adapter that a person uploads on the page: its two files, in a separate folder for the backend to read.

Nothing of it is read here: the backend checks both files when it imports the adapter. These calls block.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, InternalError, TooLargeError
from arkor_dev.contract.regular_files import MIB, is_safe_name

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "dropped"
LIMITS: Final = {"adapter_config.json": MIB, "adapter_model.safetensors": 4 << 30}
"""The files of PEFT that make an adapter, with the size limit of each, in bytes."""
LEFT_SECONDS: Final = 86_400.0
"""Age of a folder that an earlier process has left behind before it is deleted."""


class DroppedAdapter:
    """The folder ``name`` for the files; it is deleted when the block ends."""

    def __init__(self, data: Path, name: str) -> None:
        known = name if is_safe_name(name) and name.isprintable() and len(name) <= 200 else "adapter"
        self._top = data / FOLDER
        self._own = self._top / secrets.token_hex(8)
        self.path = self._own / known
        self._sizes: dict[str, int] = {}

    def open(self) -> None:
        """Create the folder. Raises InternalError if the disk refuses."""
        try:
            self.path.mkdir(mode=0o700, parents=True)
            for other in self._top.iterdir():
                if time.time() - other.stat().st_mtime > LEFT_SECONDS:
                    shutil.rmtree(other, ignore_errors=True)
        except OSError as fault:
            raise InternalError(f"{self.path} cannot be created: {fault.strerror}.") from None

    def begin(self, name: object) -> str:
        """Accept a file, once; return its name. Raises BadRequestError for any other name."""
        if not isinstance(name, str) or name not in LIMITS or name in self._sizes:
            raise BadRequestError(f"An adapter is two files: {' and '.join(LIMITS)}.")
        self._sizes[name] = 0
        return name

    def write(self, name: str, piece: bytes) -> None:
        """Append to a file. Raises TooLargeError, and InternalError when the disk refuses."""
        self._sizes[name] += len(piece)
        if self._sizes[name] > LIMITS[name]:
            raise TooLargeError(f"{name} is larger than {LIMITS[name] / MIB:,.0f} MiB.")
        try:
            with (self.path / name).open("ab") as file:
                file.write(piece)
        except OSError as fault:
            raise InternalError(f"{name} cannot be written: {fault.strerror}.") from None

    def check(self) -> None:
        """Raise BadRequestError unless both files are there."""
        missing = [name for name in LIMITS if not self._sizes.get(name)]
        if missing:
            raise BadRequestError(
                f"{' and '.join(missing)} is missing or empty. Choose a folder that PEFT's save_pretrained "
                "has written, with weights in safetensors."
            )

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._own, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._top.rmdir()
