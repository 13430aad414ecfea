"""An environment in which this package was installed somehow: only the records that an installer leaves."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from arkor_dev.identity.engine import REQUIRED

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Environment:
    """Sets ``sys.prefix``, ``sys.path`` and ``sys.executable`` of a test; holds nothing but pip at first."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self.move("an environment")

    def move(self, name: str) -> None:
        """Be in another folder; a new one."""
        self.prefix = self._folder / name
        self.prefix.mkdir(parents=True)
        self.python = str(self.prefix / "bin" / "python")
        for attribute, value in (
            ("path", [str(self.prefix)]),
            ("prefix", str(self.prefix)),
            ("executable", self.python),
        ):
            self._monkeypatch.setattr(sys, attribute, value)

        for name in ("pip", *REQUIRED):  # found again, as by a process that has imported none of them
            self._monkeypatch.delitem(sys.modules, name, raising=False)
        (self.prefix / "pip.py").touch()
        importlib.invalidate_caches()

    def add(self, name: str, version: str, *requires: str) -> Path:
        """Install a package; return the folder of its metadata."""
        folder = self.prefix / f"{name}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
        (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
        return folder

    def install(self, files: dict[str, str]) -> None:
        """Install this package, with ``files`` beside its metadata."""
        folder = self.add("arkor_dev", "0.1.0")
        (folder / "METADATA").write_text("Name: arkor-dev\nVersion: 0.1.0\n")
        for name, text in files.items():
            (folder / name).write_text(text)
