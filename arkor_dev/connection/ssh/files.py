"""Which files of a project leave this machine: those that ``arkor.toml`` and its trainers name."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.contract.regular_files import MIB, open_regular, read_small
from arkor_dev.contract.settings.reward import ENVIRONMENT
from arkor_dev.core.atomic_write import write_private
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.reviews import FILE as REVIEWS
from arkor_dev.data.sources import SourceError, files_of, inside, parts_of, resolved, sources_of
from arkor_dev.project.arkor_toml import parse, read
from arkor_dev.project.toml.problems import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.shapes import JobConfig

MODULE_BYTES: Final = 4 * MIB
CACHE_BYTES: Final = 16 * MIB


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file: its name in the project with slashes, its path, and its state when it was examined."""

    name: str
    path: Path
    size: int
    state: tuple[int, int, int]


def files_of_project(project: Path) -> list[OutgoingFile]:
    """Return the files, sorted by name.

    A trainer with a problem adds nothing: the problem is reported when it is used. Raises ConflictError for a
    link that leads out of the project, and for a file that cannot be read.
    """
    files: dict[str, Path] = {}
    try:
        files[FILE] = resolved(project, FILE)
        trainers = parse(project, read(project))
    except (SourceError, BadRequestError):
        trainers = []
    for config in (trainer["config"] for trainer in trainers if "config" in trainer):
        with contextlib.suppress(SourceError):
            files |= _of_config(project, config)
    try:
        return [_leaving(name, path) for name, path in sorted(files.items())]
    except OSError as fault:
        raise ConflictError(f"{fault.filename} cannot be read ({fault.strerror}).") from None


def _leaving(name: str, path: Path) -> OutgoingFile:
    state = path.stat()
    return OutgoingFile(name, path, state.st_size, (state.st_size, state.st_mtime_ns, state.st_ino))


def _of_config(project: Path, config: JobConfig) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for _, source in sources_of(config):
        for part in parts_of(source):
            if part["type"] == "file":
                files |= {file.name: file.path for file in files_of(part, project)}
            if (project / REVIEWS).is_file():
                files[REVIEWS] = resolved(project, REVIEWS)
    root = project.resolve()
    for entry in config.get("evaluations", ()):
        files |= {path.relative_to(root).as_posix(): path for path in inside(project, entry["path"])}
        _add_code(project, entry.get("metric"), files)
    _add_code(project, config.get(ENVIRONMENT), files)
    return files | dict(_of_model(project, str(config["model"])))


def _of_model(project: Path, model: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a model in a folder of the project; other names are resolved there, not here."""
    root, folder = project.resolve(), project / model
    if model.startswith(("/", "~")) or not folder.is_dir():
        return
    if not folder.resolve().is_relative_to(root):
        raise _leads_out(model)
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(at, name) for name in [*names, *folders] if not name.startswith(".")):
            if not path.resolve().is_relative_to(root):
                raise _leads_out(path.relative_to(project))
            if path.is_file():
                yield path.relative_to(project).as_posix(), path


def _leads_out(name: object) -> ConflictError:
    return ConflictError(
        f"{one_line(name, 300)} is a link that leads out of the project, and nothing else leaves this "
        "machine. Put the files themselves there."
    )


def _add_code(project: Path, reference: object, files: dict[str, Path]) -> None:
    """Add what ``module:name`` needs of the project."""
    module, colon, _ = str(reference or "").partition(":")
    if colon:
        _add_module(project, module, files)


def _add_module(project: Path, module: str, files: dict[str, Path]) -> None:
    """Add a module of the project, and those of the project that it imports."""
    base = module.replace(".", "/")
    for name in (f"{base}.py", f"{base}/__init__.py"):
        try:
            path = resolved(project, name)
        except SourceError:
            continue
        if name in files:
            return
        files[name] = path
        with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
            for node in ast.walk(ast.parse(read_small(path, MODULE_BYTES))):
                for imported in _imports(node):
                    _add_module(project, imported, files)


def _imports(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0, names=names):
            return [module, *(f"{module}.{alias.name}" for alias in names)]
    return []


class Hashes:
    """SHA-256 of files, computed again only if a file's size, time or inode has changed."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._entries: dict[str, list[int | str]] = {}
        with contextlib.suppress(OSError, ValueError):
            entries = json.loads(read_small(cache, CACHE_BYTES))
            self._entries = entries if isinstance(entries, dict) else {}

    def of(self, files: list[OutgoingFile]) -> list[str]:
        """Return the hashes in the same order. Raises ConflictError for a file that cannot be read."""
        changed = False
        for file in files:
            if self._entries.get(file.name, [None])[:-1] != list(file.state):
                try:
                    with open_regular(file.path) as opened:
                        digest = hashlib.file_digest(opened, "sha256").hexdigest()
                except OSError as fault:
                    raise ConflictError(f"{file.name} cannot be read ({fault.strerror}).") from None
                self._entries[file.name] = [*file.state, digest]
                changed = True
        if changed:
            with contextlib.suppress(OSError):  # the next call computes them again
                write_private(self._cache, json.dumps(self._entries).encode())
        return [str(self._entries[file.name][-1]) for file in files]
