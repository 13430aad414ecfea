"""A bucket of this process's memory, by fsspec's own store; it needs fsspec."""

from __future__ import annotations

from typing import Any

from fsspec.implementations.memory import MemoryFileSystem


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """Objects by name, as a store without folders has them: whoever makes a folder there makes a bucket."""

    protocol = "s3"
    store: dict[str, Any] = {}  # noqa: RUF012 - fsspec's own: that of all who use it
    pseudo_dirs: list[str] = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol("/" + path.removeprefix("s3://").lstrip("/")))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise AssertionError(f"a bucket is made: {path}")

    mkdir = rmdir = makedirs
