"""An object store in this process's memory, by fsspec's own file system; it needs fsspec."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from fsspec.implementations.memory import MemoryFileSystem


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """Objects by name, as a store without folders has them: creating a folder there would create a bucket.

    ``is_full`` refuses writes, ``is_silent`` lets no call return, and ``calls`` counts the calls.
    """

    protocol = "s3"
    store: dict[str, Any] = {}  # noqa: RUF012 - fsspec's own: that of all who use it
    pseudo_dirs: list[str] = [""]  # noqa: RUF012
    is_full = threading.Event()
    is_silent = threading.Event()
    released = threading.Event()
    calls: ClassVar[list[str]] = []

    @classmethod
    def reset(cls) -> None:
        """Begin with an empty store that answers."""
        cls.store.clear()
        cls.calls.clear()
        cls.is_full.clear()
        cls.is_silent.clear()
        cls.released.clear()

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.is_silent.is_set():
            self.released.wait(60)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol("/" + path.removeprefix("s3://").lstrip("/")))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise AssertionError(f"a bucket is made: {path}")

    mkdir = rmdir = makedirs

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        self._called("ls")
        return super().ls(path, detail=detail, **kwargs)

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        self._called(f"open {mode}")
        if self.is_full.is_set() and "w" in mode:
            raise OSError("no room")
        return super()._open(path, mode=mode, **kwargs)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self._called("write")
        if self.is_full.is_set():
            raise OSError("no room")
        super().pipe_file(path, value, mode=mode, **kwargs)

    def rm_file(self, path: str) -> None:
        self._called("delete")
        super().rm_file(path)
