"""What a project declares: ``arkor.toml`` first, else TypeScript, else nothing yet."""

from __future__ import annotations

import asyncio
from functools import cached_property, partial
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import BadRequestError, ConflictError

from .node_tools import is_typescript
from .training_command import NOT_LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import Manifest, SettingsWritten

    from .data_editor import DataEditor
    from .typescript import TypeScriptProject
    from .write_settings import DatasetChange

NOT_UNDONE = "arkor.toml has been written again since, so nothing was undone. Change it by hand."


class ManifestReader:
    """Reads one project's manifest each time, so that an edit shows at the next reload.

    ``here``: its jobs run on this machine with this installation.
    """

    def __init__(self, project: Path, *, local: bool = False, here: bool = False) -> None:
        self._project = project
        self._local, self._here = local, here
        self._writing = asyncio.Lock()
        self._replaced = ("", "")
        """The revision after the last write, and the text before it."""

    @cached_property
    def typescript(self) -> TypeScriptProject:
        """Return the project as its TypeScript sources declare it."""
        # not needed for the page's first byte, like everything below
        from .typescript import TypeScriptProject

        return TypeScriptProject(self._project)

    @cached_property
    def editor(self) -> DataEditor:
        """Return the editor of the project's data files."""
        from .data_editor import DataEditor

        return DataEditor(self._project)

    def warning(self) -> str | None:
        """Return what a user should know before opening the page: why this cannot be trained here."""
        return NOT_LOCAL if self._local and not self._has_toml() and is_typescript(self._project) else None

    async def read(self) -> Manifest:
        """Return the manifest. Raises BadRequestError with a text for the author of the project.

        A folder that is not a project yet is fine: it has no trainers and no ``source``.
        """
        return await asyncio.to_thread(self._from_toml) or await self._from_typescript()

    async def revision(self) -> str | None:
        """Return the ``revision`` that ``read`` would return now; None for a project without one."""
        if not await asyncio.to_thread(self._has_toml):
            return None
        from .arkor_toml import revision

        return await asyncio.to_thread(revision, self._project)

    async def write_settings(
        self, trainer: str, revision: str, changes: Mapping[str, object], *, preview: bool
    ) -> SettingsWritten:
        """See `project.write_settings`; one call at a time."""
        if not await asyncio.to_thread(self._has_toml):
            raise BadRequestError("This project has no arkor.toml to write settings into.")
        from .write_settings import write_settings

        return await self._write(partial(write_settings, trainer=trainer, changes=changes), revision, preview)

    async def write_dataset(
        self, trainer: str, revision: str, change: DatasetChange, *, preview: bool
    ) -> SettingsWritten:
        """See `project.write_settings.write_dataset`; one call at a time."""
        if not await asyncio.to_thread(self._has_toml):
            raise BadRequestError("This project has no arkor.toml, whose trainers list their data.")
        from .write_settings import write_dataset

        return await self._write(partial(write_dataset, trainer=trainer, change=change), revision, preview)

    async def undo(self, revision: str) -> SettingsWritten:
        """Write the text back that the last write, which led to ``revision``, has replaced.

        Raises ConflictError if the file has changed since, or Studio has restarted.
        """
        from .write_settings import restore

        async with self._writing:
            since, text = self._replaced
            if since != revision:
                raise ConflictError(NOT_UNDONE)
            return await asyncio.to_thread(restore, self._project, revision, text)

    async def _write(
        self, write: Callable[..., SettingsWritten], revision: str, preview: bool
    ) -> SettingsWritten:
        from .arkor_toml import read, revision_of

        async with self._writing:
            text = await asyncio.to_thread(read, self._project)
            written = await asyncio.to_thread(write, self._project, revision=revision, preview=preview)
            if not preview and revision_of(text) == revision:
                self._replaced = written["revision"], text
            return written

    async def unpack(self, trainer: str, revision: str, part: int) -> SettingsWritten:
        """Copy the packed file of a source into one that can be edited, and make that the source's file."""
        from .unpack import unpack

        async with self._writing:
            return await asyncio.to_thread(unpack, self._project, trainer, revision, part)

    def _has_toml(self) -> bool:
        # A dangling link or an unreadable file exists, and is reported as what it is.
        path = self._project / "arkor.toml"
        return path.exists() or path.is_symlink()

    def _from_toml(self) -> Manifest | None:
        if not self._has_toml():
            return None
        from .arkor_toml import load_trainers, revision
        from .toml.sweep import load_sweep

        # The revision first: if the file is saved between the two, starting what the page shows is refused.
        read = revision(self._project)
        trainers = load_trainers(self._project, here=self._here)
        name = trainers[0]["name"]
        manifest: Manifest = {
            "trainer": {"name": name}, "trainers": trainers, "source": "arkor.toml", "revision": read,
        }  # fmt: skip
        if sweep := load_sweep(self._project, trainers).written():
            manifest["sweep"] = sweep
        return manifest

    async def _from_typescript(self) -> Manifest:
        if not await asyncio.to_thread(is_typescript, self._project):
            return {"trainer": None, "trainers": []}
        if self._local:
            raise BadRequestError(NOT_LOCAL)
        return await self.typescript.read()
