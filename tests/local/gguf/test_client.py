"""The backend's side: what is there is found at once, and without llama.cpp it is said how to get it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.gguf import client as module
from arkor_dev.local.gguf import installed
from arkor_dev.local.gguf.cache_paths import base_path
from arkor_dev.local.gguf.client import GgufFiles
from arkor_dev.local.models.catalog import Model, starter_folder
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path


def nothing(_: Any) -> None:
    """Hears how far it has come."""


@pytest.fixture
def model(tmp_path: Path) -> Model:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return Model("mine", folder)


async def test_existing_gguf_files_are_found_without_a_process(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = GgufFiles(tmp_path / "cache")
    monkeypatch.setattr(module, "lacking", lambda: "pip install it")
    assert await files.ready(model, "q8_0") is None
    with pytest.raises(JobFailure, match="pip install it"):
        await files.base(model, nothing, "q8_0")
    place = base_path(model.path, "q8_0", tmp_path / "cache")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"GGUF")
    assert await files.ready(model, "q8_0") == place
    assert await files.base(model, nothing, "q8_0") == place
    assert await files.ready(model, "f16") is None
    (model.path / "config.json").write_text('{"x": 1}')
    assert await files.ready(model, "q8_0") is None
    assert await files.ready(Model("gone", tmp_path / "gone"), "q8_0") is None


def test_the_packaged_starter_has_one_path(tmp_path: Path) -> None:
    folder = starter_folder(tmp_path)
    assert base_path(folder, "q8_0", tmp_path) == base_path(folder, "f16", tmp_path)


def test_a_missing_llama_cpp_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "pip" or None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sys, "executable", "/home/a b/.venv/bin/python")
    monkeypatch.setattr(sys, "platform", "linux")
    said = installed.lacking()
    assert said is not None
    assert said.endswith(f"Install it with: {installed.install()}")
    assert "11 minutes" in said
    assert "lacks" not in said
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "platform", "linux")
    assert "needs a C++ compiler, which this machine lacks; on Debian and Ubuntu: apt install g++ cmake)" in (
        installed.lacking() or ""
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert installed.lacking() is None
