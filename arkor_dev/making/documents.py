"""Documents as text, read by a separate process (``document_worker``) with limits on memory and time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.parquet import PASSED

from .document_worker import SUFFIXES, TEXT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

FILES: Final = 1000
SECONDS: Final = 60.0
"""How long reading one document may take."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its ``name`` for the user, and its ``text``, or the ``problem`` that prevents reading."""

    name: str
    text: str = ""
    problem: str = ""


def find_documents(paths: Iterable[Path], project: Path) -> list[tuple[Path, str]]:
    """Return the documents that ``paths`` name, files or folders, each with its name for the user.

    A folder's hidden files, symlinks and files of other kinds are left out. Raises BadRequestError for a path
    that does not exist or is not a document, and for too many documents.
    """
    documents: dict[Path, str] = {}
    for path in paths:
        label = one_line(path, 200)
        if path.is_dir():
            inside = sorted(_inside(path))
            if not inside:
                raise BadRequestError(f"{label} has no documents ({_listed()}). Put some there.")
        elif path.is_file():
            if path.suffix.lower() not in SUFFIXES:
                raise BadRequestError(f"{label} is not a document that can be read ({_listed()}).")
            inside = [path]
        else:
            raise BadRequestError(f"{label} does not exist. Name a folder of documents, or a document.")
        for file in inside:
            documents.setdefault(file.resolve(), _name(file, path, project))
        if len(documents) > FILES:
            raise BadRequestError(f"There are more than {FILES:,} documents. Name fewer.")
    return list(documents.items())


async def read_documents(documents: Sequence[tuple[Path, str]]) -> AsyncIterator[Document]:
    """Yield each document, in order. One that cannot be read has a ``problem``."""
    reader = _DocumentReader()
    try:
        for path, name in documents:
            yield await reader.read(path, name)
    finally:
        await reader.close()


def _inside(folder: Path) -> list[Path]:
    files: list[Path] = []
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(at, name) for name in names if not name.startswith("."))
        files += (path for path in paths if path.suffix.lower() in SUFFIXES and not path.is_symlink())
        if len(files) > FILES:
            break
    return files


def _name(path: Path, root_path: Path, project: Path) -> str:
    """Return the path within the project, or below the folder that was given."""
    resolved, root = path.resolve(), project.resolve()
    within = (
        resolved.relative_to(root) if resolved.is_relative_to(root) else path.relative_to(root_path.parent)
    )
    # A name need not be valid UTF-8.
    return within.as_posix().encode(errors="replace").decode()


def _listed() -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in SUFFIXES)


class _DocumentReader:
    """The process that reads; a new one replaces one that was stopped."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def read(self, path: Path, name: str) -> Document:
        if self._process is None:
            inherited = {key: os.environ[key] for key in PASSED if key in os.environ}
            # -P: a project's own random.py must not shadow the real one.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "arkor_dev.making.document_worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, env=inherited, limit=16 * TEXT,
            )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        try:
            async with asyncio.timeout(SECONDS):
                self._process.stdin.write(json.dumps(os.fspath(path)).encode() + b"\n")
                await self._process.stdin.drain()
                line = await self._process.stdout.readline()
            response = json.loads(line)
            return Document(name, str(response.get("text") or ""), str(response.get("problem") or ""))
        except TimeoutError:
            await self.close()
            return Document(name, problem=f"reading it takes longer than {SECONDS:g} s")
        except (ValueError, OSError):
            await self.close()
            return Document(name, problem="it is damaged, or needs too much memory")

    async def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.communicate()
            self._process = None
