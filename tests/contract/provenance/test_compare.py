"""Each file of a folder against its hash: same, other, missing, or more than was told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.provenance.compare import compare
from arkor_dev.contract.provenance.statement import CARD, read_statement, statement_of
from tests.support.statements import FILES, changed, raw_statement, resource, write_folder

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = "adapter_model.safetensors"


def states(folder: Path, only: str | None = None) -> dict[str, str]:
    return dict(compare(folder, read_statement(folder), only))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "final")
    return tmp_path / "final"


def test_unchanged_files_are_the_same(folder: Path) -> None:
    (folder / CARD).write_text("# A card")
    (folder / "manifest.json").write_text("{}")
    assert states(folder) == dict.fromkeys(FILES, "same")


def test_changed_truncated_and_missing_files_are_found(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[5] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    assert states(folder)[WEIGHTS] == "differs"
    (folder / WEIGHTS).write_bytes(content[:-1])
    assert states(folder)[WEIGHTS] == "differs"
    (folder / WEIGHTS).unlink()
    assert states(folder) == {WEIGHTS: "missing", "adapter_config.json": "same"}


def test_additional_files_are_unexpected(folder: Path) -> None:
    (folder / "deep").mkdir()
    for name in ("pytorch_model.bin", "deep/README.md", "deep/x\ny"):
        (folder / name).write_bytes(b"1")
    (folder / "away").symlink_to("/")
    found = states(folder)
    assert {name for name, state in found.items() if state == "unexpected"} == {
        "pytorch_model.bin", "deep/README.md", r"'deep/x\ny'", "away",
    }  # fmt: skip


def test_a_symlinked_file_is_reported_as_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "same").write_bytes(FILES[WEIGHTS])
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(tmp_path / "same")
    assert states(folder)[WEIGHTS] == "link"


def test_a_symlinked_folder_is_reported_as_a_link(tmp_path: Path) -> None:
    write_folder(tmp_path / "final", {"part/x": b"1"})
    (tmp_path / "final" / "part").rename(tmp_path / "part")
    (tmp_path / "final" / "part").symlink_to(tmp_path / "part")
    assert states(tmp_path / "final") == {"part/x": "link", "part": "unexpected"}


def test_fifos_and_folders_are_unreadable(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)
    (folder / "adapter_config.json").unlink()
    (folder / "adapter_config.json").mkdir()
    assert states(folder) == {WEIGHTS: "unreadable", "adapter_config.json": "unreadable"}


def test_a_file_of_another_size_is_not_read(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(1 << 42)  # a sparse file of four tebibytes, which must not be read
    assert states(folder)[WEIGHTS] == "differs"
    made = raw_statement()
    assert made["subject"][0]["name"] == WEIGHTS
    made = changed(made, "subject", 0, "annotations", to={"bytes": 1 << 42})
    assert dict(compare(folder, statement_of(made)))[WEIGHTS] == "differs"


def test_an_optional_file_may_be_missing_but_not_different(folder: Path) -> None:
    made = raw_statement()
    made = changed(made, "subject", to=[*made["subject"], resource("state.pt", b"state", optional=True)])
    assert dict(compare(folder, statement_of(made)))["state.pt"] == "absent"
    (folder / "state.pt").write_bytes(b"other")
    assert dict(compare(folder, statement_of(made)))["state.pt"] == "differs"


def test_a_single_file_can_be_compared(folder: Path) -> None:
    (folder / "more").write_bytes(b"1")
    assert states(folder, WEIGHTS) == {WEIGHTS: "same"}
    assert states(folder, "more") == {"more": "unexpected"}
