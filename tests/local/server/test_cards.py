"""The card that is served is the job's own file, and no other that its place leads to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.jobs.job_folder import final_folder
from arkor_dev.local.jobs.store import Store
from tests.local.harness import Backend

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {"model": "m", "datasetSource": {"type": "file", "path": "d"}}


@pytest.fixture
def job(tmp_path: Path) -> str:
    """A finished job of an earlier process, with a folder and no card."""
    data = tmp_path / "data"
    data.mkdir()
    store = Store(data / "backend.sqlite", "local")
    job_id: str = store.create("keeper", CONFIG)["id"]
    store.finish(job_id, {"type": "training.completed"})
    store.close()
    final_folder(data, job_id).mkdir(parents=True)
    return job_id


def test_only_regular_card_files_are_served(tmp_path: Path, project: Path, job: str) -> None:
    card = final_folder(tmp_path / "data", job) / "README.md"
    (tmp_path / "secret").write_text("of another user")
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", "--idle")
    try:
        card.write_text("# Card <b>é</b>\n", encoding="utf-8")
        assert backend.call("GET", f"/v1/jobs/{job}/card").json == {"card": "# Card <b>é</b>\n"}
        for trouble in ("none", "link", "pipe", "folder", "binary", "huge"):
            if card.is_dir():
                card.rmdir()
            card.unlink(missing_ok=True)
            match trouble:
                case "link":
                    card.symlink_to(tmp_path / "secret")
                case "pipe":
                    os.mkfifo(card)
                case "folder":
                    card.mkdir()
                case "binary":
                    card.write_bytes(b"\xff\xfe")
                case "huge":
                    card.write_bytes(b" " * ((1 << 20) + 1))
            answer = backend.call("GET", f"/v1/jobs/{job}/card")
            assert (answer.status, "has no model card" in answer.json["error"]) == (404, True), trouble
    finally:
        backend.stop()
