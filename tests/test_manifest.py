"""Which of the two ways a project declares its trainers, and that neither is no error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.errors import StudioError
from arkor_dev.manifest import ManifestReader

if TYPE_CHECKING:
    from pathlib import Path

TOML = '[[trainer]]\nname = "first"\nmodel = "m"\ndataset = { huggingface = "a/b" }\n'


async def test_arkor_toml(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").write_text(TOML + TOML.replace("first", "second"))
    manifest = await ManifestReader(tmp_path).read()
    assert manifest["trainer"] == {"name": "first"}
    assert [trainer["name"] for trainer in manifest["trainers"]] == ["first", "second"]
    assert manifest["source"] == "arkor.toml"


async def test_arkor_toml_is_preferred(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").write_text(TOML)
    (tmp_path / "src" / "arkor").mkdir(parents=True)
    (tmp_path / "src" / "arkor" / "index.ts").write_text("BROKEN")
    assert (await ManifestReader(tmp_path).read())["source"] == "arkor.toml"


async def test_an_edit_shows_at_once(tmp_path: Path) -> None:
    reader = ManifestReader(tmp_path)
    assert await reader.read() == {"trainer": None, "trainers": []}
    (tmp_path / "arkor.toml").write_text(TOML)
    assert (await reader.read())["trainer"] == {"name": "first"}
    (tmp_path / "arkor.toml").write_text(TOML + "steps = 0")
    (trainer,) = (await reader.read())["trainers"]
    assert trainer["problem"].startswith("arkor.toml:5: steps = 0")


async def test_the_revision_is_that_of_the_files_content(tmp_path: Path) -> None:
    reader, toml = ManifestReader(tmp_path), tmp_path / "arkor.toml"
    assert await reader.revision() is None
    toml.write_text(TOML)
    first = (await reader.read())["revision"]
    assert first == await reader.revision()
    # The same size and the same time: an editor that keeps both still has changed the file.
    stat = toml.stat()
    toml.write_text(TOML.replace('"m"', '"n"'))
    os.utime(toml, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (await reader.read())["revision"] != first
    toml.write_text(TOML)
    assert (await reader.read())["revision"] == first


async def test_a_dangling_link_is_said(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").symlink_to(tmp_path / "gone")
    with pytest.raises(StudioError, match=r"There is no arkor.toml in"):
        await ManifestReader(tmp_path).read()


async def test_a_typescript_project_is_asked_of_its_own_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "package.json").write_text('{"dependencies": {"arkor": "1"}}')
    with pytest.raises(StudioError, match="The arkor CLI is not installed"):
        await ManifestReader(tmp_path).read()
