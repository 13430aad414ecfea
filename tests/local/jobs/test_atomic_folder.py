"""A folder is whole, or it is told that it is not, whatever became of its bytes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.atomic_folder import (
    MANIFEST,
    PROBE_BYTES,
    DamagedFolderError,
    DiskFullError,
    checked,
    damage,
    manifest_of,
    write_atomically,
)

if TYPE_CHECKING:
    from pathlib import Path


def fill(folder: Path) -> None:
    (folder / "state.pt").write_bytes(random.Random(1).randbytes(5000))
    (folder / "inner").mkdir()
    (folder / "inner" / "more.json").write_text("{}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_atomically(tmp_path / "20", fill, {"step": 20})
    return tmp_path / "20"


def test_a_folder_is_written_with_its_manifest(folder: Path) -> None:
    size = write_atomically(folder, fill, {"step": 20})
    manifest = checked(folder, "state.pt")
    assert manifest["step"] == 20
    assert manifest["files"]["state.pt"]["bytes"] == 5000
    assert sorted(manifest["files"]) == ["inner/more.json", "state.pt"]
    assert size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert [path.name for path in folder.parent.iterdir()] == ["20"]


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_are_detected(folder: Path, seed: int) -> None:
    """A file is cut short, has a byte that is another, is empty, or is missing."""
    chance = random.Random(seed)
    path = chance.choice([folder / "state.pt", folder / "inner" / "more.json", folder / MANIFEST])
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    match seed % 4:
        case 0:
            path.write_bytes(content[:place])
        case 1:
            content[place] ^= 1 << chance.randrange(8)
            path.write_bytes(content)
        case 2:
            path.write_bytes(b"")
        case _:
            path.unlink()
    if path.name == MANIFEST and seed % 4 == 1:  # what it says besides of the files may be another
        path.write_bytes(content.replace(b'"sha256"', b'"sha257"'))
    with pytest.raises(DamagedFolderError):
        checked(folder, "state.pt")


def test_links_and_unknown_manifests_are_damaged(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes((folder / "state.pt").read_bytes())
    (folder / "state.pt").unlink()
    (folder / "state.pt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedFolderError, match=r"state\.pt cannot be read: a link"):
        checked(folder, "state.pt")
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(DamagedFolderError, match="another version"):
        checked(folder, "state.pt")


@pytest.mark.parametrize(
    "name", ["../elsewhere", "/etc/passwd", "inner/../../elsewhere", "linked/elsewhere", ""]
)
def test_a_manifest_names_files_of_its_folder_only(folder: Path, tmp_path: Path, name: str) -> None:
    (folder.parent / "elsewhere").write_bytes(b"1")
    (tmp_path / "elsewhere").write_bytes(b"1")
    (folder / "linked").symlink_to(tmp_path)
    manifest = manifest_of(folder)
    manifest["files"][name] = {"bytes": 1, "sha256": hashlib.sha256(b"1").hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DamagedFolderError, match="cannot be read"):
        checked(folder, "state.pt")


@pytest.mark.parametrize("origin", [None, [], {"versions": ["torch"]}])
def test_a_manifest_with_another_origin_is_damaged(folder: Path, origin: object) -> None:
    written = {**manifest_of(folder), "origin": origin}
    (folder / MANIFEST).write_text(json.dumps(written))
    with pytest.raises(DamagedFolderError, match="cannot be read"):
        manifest_of(folder)


def test_unlisted_files_are_not_available(folder: Path) -> None:
    (folder / "other.pt").write_bytes(b"1")
    with pytest.raises(DamagedFolderError, match=r"no other\.pt"):
        checked(folder, "other.pt")


def test_a_failed_write_keeps_the_old_folder(folder: Path) -> None:
    def fail(part: Path) -> None:
        (part / "state.pt").write_bytes(b"half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_atomically(folder, fail)
    assert checked(folder, "state.pt")["step"] == 20
    assert [path.name for path in folder.parent.iterdir()] == ["20"]


@pytest.mark.parametrize(
    ("fault", "full"),
    [
        (OSError(errno.EDQUOT, "quota"), True),
        (OSError(errno.EIO, "fault"), False),
        (ValueError("I/O error: No space left on device (os error 28)"), True),  # safetensors
        (RuntimeError("PytorchStreamWriter failed writing file"), True),
        (ZeroDivisionError(), False),
    ],
    ids=str,
)
def test_a_full_disk_is_detected_behind_any_exception(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, *, full: bool
) -> None:
    flush, refused = os.fsync, []

    def fsync(handle: int) -> None:
        if os.fstat(handle).st_size == PROBE_BYTES and isinstance(fault, RuntimeError):
            refused.append(handle)
            raise OSError(errno.ENOSPC, "full")
        flush(handle)

    def fail(part: Path) -> None:
        (part / "state.pt").write_bytes(b"half")
        raise fault

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DiskFullError if full else type(fault)):
        write_atomically(folder, fail)
    assert bool(refused) == isinstance(fault, RuntimeError)
    assert [path.name for path in folder.parent.iterdir()] == ["20"]
    assert checked(folder, "state.pt")["step"] == 20


def test_damage_names_the_file(folder: Path) -> None:
    assert damage(folder) is None
    (folder / "state.pt").write_bytes(b"")
    assert damage(folder) == "state.pt has a different size than was written"
    (folder / MANIFEST).write_text("{")
    assert damage(folder) == f"{MANIFEST} cannot be read"
    (folder / MANIFEST).unlink()
    assert damage(folder) is None
