"""Deleted rows in the history of Git repositories, also of ones that are made to run commands."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.deletion import git_objects, search

from .test_search import OTHER, SECRET, folders, found

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["folders"]
pytestmark = pytest.mark.skipif(shutil.which("git") is None and "CI" not in os.environ, reason="needs git")


def git(repository: Path, *arguments: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        [shutil.which("git") or "git", *own, *arguments],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def committed(repository: Path, name: str, content: bytes, message: str = "add") -> None:
    """Commit a file, making the repository first if it is not there."""
    if not (repository / ".git").exists():
        git(repository, "init", "-q")
    (repository / name).write_bytes(content)
    git(repository, "add", name)
    git(repository, "commit", "-q", "-m", message)


def row(text: str) -> bytes:
    return json.dumps({"prompt": "Who?", "completion": text.replace(" and", "\nand")}).encode() + b"\n"


@pytest.mark.parametrize(
    "content", [row(SECRET), row(OTHER) + row(SECRET), SECRET.encode(), gzip.compress(row(SECRET))]
)
def test_a_row_that_a_commit_had_is_found_until_the_history_is_rewritten(
    folders: tuple[Path, Path], content: bytes
) -> None:
    _, project = folders
    committed(project, "rows", row(OTHER))
    committed(project, "rows", content)
    held = git(project, "rev-parse", "HEAD:rows")
    git(project, "gc", "-q")  # into a pack
    committed(project, "rows", row(OTHER))
    result = found(folders)
    assert [(copy["name"], copy["kind"], copy["deletable"]) for copy in result.copies] == [
        (f"one object of the history in .git, such as {held[:12]}", "file", False)
    ]
    assert result.unsearched == []
    git(project, "checkout", "-q", "--orphan", "new")
    git(project, "commit", "-q", "-m", "start again")
    git(project, "branch", "-q", "-D", "main")
    assert found(folders).copies != []  # the reflog has it still
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "-q", "--prune=now")
    result = found(folders)
    assert (result.copies, result.unsearched) == ([], [])


def test_messages_and_files_that_were_never_committed_are_searched(folders: tuple[Path, Path]) -> None:
    _, project = folders
    committed(project, "a.txt", b"a")
    (project / "b.txt").write_text(SECRET)
    git(project, "add", "b.txt")
    git(project, "rm", "-q", "--cached", "b.txt")
    (project / "b.txt").unlink()
    committed(project, "a.txt", b"b", message=SECRET)
    assert sorted(copy["name"].partition(", such")[0] for copy in found(folders).copies) == [
        ".git/COMMIT_EDITMSG", ".git/logs/HEAD", ".git/logs/refs/heads/main",
        "2 objects of the history in .git",
    ]  # fmt: skip


def test_a_replaced_object_is_searched_itself(folders: tuple[Path, Path]) -> None:
    _, project = folders
    committed(project, "a.txt", SECRET.encode())
    held = git(project, "rev-parse", "HEAD:a.txt")
    committed(project, "a.txt", OTHER.encode())
    git(project, "replace", held, git(project, "rev-parse", "HEAD:a.txt"))
    assert any(held[:12] in copy["name"] for copy in found(folders).copies)


def test_a_repository_above_the_project_is_searched(folders: tuple[Path, Path]) -> None:
    _, project = folders
    above = project.parent
    git(above, "init", "-q")
    committed(above, "project/a.txt", SECRET.encode())
    committed(above, "project/a.txt", b"a")
    (copy,) = found(folders).copies
    assert copy["name"].startswith(f"one object of the history in {above / '.git'}, such as ")


def test_a_linked_worktree_is_searched_but_for_its_folder_elsewhere(folders: tuple[Path, Path]) -> None:
    _, project = folders
    main = project.parent / "main"
    main.mkdir()
    committed(main, "a.txt", SECRET.encode())
    committed(main, "a.txt", b"a")
    project.rmdir()
    git(main, "worktree", "add", "-q", str(project))
    result = found(folders)
    assert [copy["name"].partition(",")[0] for copy in result.copies] == ["one object of the history in .git"]
    assert result.unsearched == ["the history in .git (the folder that it names)"]


def test_what_a_repository_says_runs_no_command_and_fetches_nothing(folders: tuple[Path, Path]) -> None:
    _, project = folders
    committed(project, "a.txt", SECRET.encode())
    ran = project.parent / "ran"
    command = f"touch {ran}"
    for name, value in {
        "core.fsmonitor": command,
        "core.sshCommand": command,
        "core.pager": command,
        "core.askPass": command,
        "core.gitProxy": command,
        "core.alternateRefsCommand": command,
        "alias.cat-file": f"!{command}",
        "diff.x.textconv": command,
        "filter.x.smudge": command,
        "credential.helper": f"!{command}",
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::sh -c '{command}'",
        "protocol.ext.allow": "always",
        "remote.origin.uploadpack": command,
    }.items():
        git(project, "config", name, value)
    (project / ".gitattributes").write_text("* diff=x filter=x\n")
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        path = project / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)
    missing = git(project, "rev-parse", "HEAD^{tree}")
    (project / ".git" / "objects" / missing[:2] / missing[2:]).unlink()
    assert any("history" in copy["name"] for copy in found(folders).copies)
    assert not ran.exists()
    with pytest.raises(subprocess.CalledProcessError):
        git(project, "status")
    assert ran.exists()  # so other calls of Git do run what it says


def test_what_git_cannot_read_is_listed(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, project = folders
    committed(project, "a.png", b"\x89PNG\0")
    committed(project, "large.txt", b"x" * 2000)
    with monkeypatch.context() as patch:
        patch.setattr(git_objects, "WHOLE", 1000)
        assert found(folders).unsearched == [
            "a.png (not text)", "the history in .git (2 of its files: not text, too large)",
        ]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(search, "GIT_SECONDS", -1.0)
        assert found(folders).unsearched[-1] == "the history in .git (the time was over)"
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda _: None)
        assert found(folders).unsearched[-1] == "the history in .git (Git is not installed)"
    held = git(project, "rev-parse", "HEAD:large.txt")
    damaged = project / ".git" / "objects" / held[:2] / held[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged")
    assert found(folders).unsearched[-1] == "the history in .git (it is damaged; 1 of its files: not text)"
    shutil.rmtree(project / ".git" / "objects")
    (project / ".git" / "lfs").mkdir()
    assert found(folders).unsearched[1:] == [
        ".git/lfs/ (not searched)", "the history in .git (Git can't read it)",
    ]  # fmt: skip
