"""A private file is on the disk before it has its name: a machine that loses its power keeps the old one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.core.atomic_write import write_private

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("exclusive", [False, True])
def test_the_content_is_flushed_to_the_disk_before_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exclusive: bool
) -> None:
    path = tmp_path / "token"
    if not exclusive:
        path.write_bytes(b"old")
    flush, seen = os.fsync, []

    def watched(handle: int) -> None:
        seen.append((os.fstat(handle).st_size, path.read_bytes() if path.exists() else None))
        flush(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_private(path, b"newer", exclusive=exclusive)
    assert seen == [(5, None if exclusive else b"old")]
    assert path.read_bytes() == b"newer"
