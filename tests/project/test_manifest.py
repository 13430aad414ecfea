"""Finds which of two files declares a project's trainers; having neither is allowed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ArkorError
from arkor_dev.project.manifest import ManifestReader
from arkor_dev.project.training_command import NOT_LOCAL
from arkor_dev.server.serve import bind, serving

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

TOML = '[[trainer]]\nname = "first"\nmodel = "m"\ndataset = { huggingface = "a/b" }\n'


async def test_the_manifest_lists_the_trainers_of_arkor_toml(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").write_text(TOML + TOML.replace("first", "second"))
    manifest = await ManifestReader(tmp_path).read()
    assert manifest["trainer"] == {"name": "first"}
    assert [trainer["name"] for trainer in manifest["trainers"]] == ["first", "second"]
    assert manifest["source"] == "arkor.toml"


async def test_arkor_toml_takes_precedence_over_typescript(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").write_text(TOML)
    (tmp_path / "src" / "arkor").mkdir(parents=True)
    (tmp_path / "src" / "arkor" / "index.ts").write_text("BROKEN")
    assert (await ManifestReader(tmp_path).read())["source"] == "arkor.toml"


async def test_an_edit_of_arkor_toml_is_read_at_once(tmp_path: Path) -> None:
    reader = ManifestReader(tmp_path)
    assert await reader.read() == {"trainer": None, "trainers": []}
    (tmp_path / "arkor.toml").write_text(TOML)
    assert (await reader.read())["trainer"] == {"name": "first"}
    (tmp_path / "arkor.toml").write_text(TOML + "steps = 0")
    (trainer,) = (await reader.read())["trainers"]
    assert trainer["problem"].startswith("arkor.toml:5: steps = 0")


async def test_the_revision_depends_on_the_files_content(tmp_path: Path) -> None:
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


async def test_a_dangling_link_is_reported(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").symlink_to(tmp_path / "gone")
    with pytest.raises(ArkorError, match=r"There is no arkor.toml in"):
        await ManifestReader(tmp_path).read()


@pytest.mark.usefixtures("node_on_path")
async def test_a_typescript_project_needs_its_tools_installed(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"arkor": "1"}}')
    with pytest.raises(ArkorError, match="Run `npm install` in the project"):
        await ManifestReader(tmp_path).read()


async def test_a_typescript_project_is_refused_on_the_local_backend(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"arkor": "1"}}')
    reader = ManifestReader(tmp_path, local=True)
    with pytest.raises(ArkorError, match="trains on the managed backend only") as refused:
        await reader.read()
    assert reader.warning() == refused.value.text
    assert ManifestReader(tmp_path).warning() is None
    (tmp_path / "arkor.toml").write_text(TOML)
    assert reader.warning() is None
    assert (await reader.read())["source"] == "arkor.toml"


async def test_studio_warns_at_start_about_a_typescript_project_on_the_local_backend(
    settings: Settings,
) -> None:
    (settings.project / "package.json").write_text('{"dependencies": {"arkor": "1"}}')
    notices: list[dict[str, object]] = []
    async with serving(replace(settings, local=True), bind(0), notices.append):
        pass
    assert notices[0] == {"notice": "message", "level": "warning", "text": NOT_LOCAL}
