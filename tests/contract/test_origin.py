"""Where this copy came from, by the records that pip and uv leave (PEP 610)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract import origin
from arkor_dev.contract.origin import Origin, Tool, extras_here, owner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.environments import Environment


@pytest.mark.parametrize(
    ("record", "found", "requirement"),
    [
        (
            '{"url": "file:///w%20h/a.whl", "archive_info": {}}',
            Origin("file", "/w h/a.whl"),
            "/w h/a.whl[local,mcp]",
        ),
        (
            '{"url": "https://me:secret@x.example/a.whl?b", "archive_info": {"hash": "sha256=0"}}',
            Origin("file", "https://x.example/a.whl?b"),
            "arkor-dev[local,mcp] @ https://x.example/a.whl?b",
        ),
        ('{"url": "file:///c", "dir_info": {"editable": true}}', Origin("editable", "/c"), "/c[local,mcp]"),
        ('{"url": "file:///c", "dir_info": {}}', Origin("folder", "/c"), "/c[local,mcp]"),
        (
            '{"url": "https://token@x.example/r", "vcs_info": {"vcs": "git", "requested_revision": "v1"}}',
            Origin("repository", "git+https://x.example/r@v1"),
            "arkor-dev[local,mcp] @ git+https://x.example/r@v1",
        ),
        (
            '{"url": "ssh://git@x.example/r", "vcs_info": {"vcs": "git"}}',
            Origin("repository", "git+ssh://git@x.example/r"),
            "arkor-dev[local,mcp] @ git+ssh://git@x.example/r",
        ),
        ("{", Origin("index", "arkor-dev"), "arkor-dev[local,mcp]"),
        ("[]", Origin("index", "arkor-dev"), "arkor-dev[local,mcp]"),
        ('{"url": 1, "archive_info": {}}', Origin("index", "arkor-dev"), "arkor-dev[local,mcp]"),
    ],
)
def test_the_origin_is_what_the_installer_recorded(
    environment: Environment, record: str, found: Origin, requirement: str
) -> None:
    environment.install({"direct_url.json": record})
    assert origin.origin() == found
    assert found.requirement(("local", "mcp")) == requirement
    assert found.requirement() == found.address


def test_a_clone_that_was_never_installed_is_its_own_origin(environment: Environment) -> None:
    assert origin.origin() == Origin("editable", str(origin.ROOT))


def test_a_link_to_the_package_has_the_origin_of_what_it_points_to(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    folder = site / "arkor_dev-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Name: arkor-dev\nVersion: 0.1.0\n")
    (folder / "INSTALLER").write_text("uv")
    (folder / "direct_url.json").write_text('{"url": "file:///a.whl", "archive_info": {}}')
    monkeypatch.setattr(origin, "ROOT", site)
    assert origin.origin() == Origin("file", "/a.whl")
    assert owner() is Tool.PIP, "uv installed it in another environment"


def test_an_extra_is_there_if_it_brought_a_package(environment: Environment) -> None:
    environment.install({})
    environment.add("fsspec", "2025")
    environment.add("torch", "2.9", "fsspec>=1", "setuptools; extra == 'x'")
    environment.add("PyPDF", "5")
    environment.add("python_docx", "1.1")
    environment.add("mcp", "2")
    assert extras_here() == ("documents", "mcp"), "fsspec came with torch, and [local] is incomplete"
