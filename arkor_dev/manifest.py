"""What a project declares, whichever way it does: ``arkor.toml`` first, else TypeScript, else nothing yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .typescript import TypeScriptManifest, is_typescript

if TYPE_CHECKING:
    from pathlib import Path

    from .contract import Manifest


class ManifestReader:
    """Reads one project's manifest anew each time, so that an edit shows at the next reload."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._typescript = TypeScriptManifest(project)

    async def read(self) -> Manifest:
        """The manifest; raises StudioError 400 with a text for the person who wrote the project.

        A folder that is no project yet is no error: it has no trainers and no ``source``.
        """
        return await asyncio.to_thread(self._from_toml) or await self._from_typescript()

    def _from_toml(self) -> Manifest | None:
        # A dangling link or an unreadable file is there all the same, and is reported as what it is.
        path = self._project / "arkor.toml"
        if not path.exists() and not path.is_symlink():
            return None
        from .trainers import load_trainers  # not on the way to the page's first byte

        trainers = load_trainers(self._project)
        return {"trainer": {"name": trainers[0]["name"]}, "trainers": trainers, "source": "arkor.toml"}

    async def _from_typescript(self) -> Manifest:
        if not await asyncio.to_thread(is_typescript, self._project):
            return {"trainer": None, "trainers": []}
        return await self._typescript.read()
