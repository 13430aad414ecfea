"""A list of jobs that is damaged is refused, and made again of what can be read and of the jobs' folders."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.database import DATABASE, DamagedError, open_database, refuse_empty
from arkor_dev.local.jobs.job_folder import checkpoint_folder, final_folder, job_folder, record_file
from arkor_dev.local.jobs.rebuild import rebuild
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = {"type": "huggingface", "name": "ann/data", "token": "s3cret"}
CONFIG: dict[str, Any] = {"model": "m", "datasetSource": SOURCE, "maxSteps": 2}
EVENTS = 400


def filled(data: Path) -> list[str]:
    """Jobs that are completed, paused and running, with files; the ids."""
    with closing(Store(data / DATABASE, "local")) as store:
        ids = [store.create(name, CONFIG)["id"] for name in ("done", "paused", "runs", "waits")]
        for job_id in ids[:3]:
            checkpoint_folder(data, job_id, 5).mkdir(parents=True)
            (checkpoint_folder(data, job_id, 5) / "state.pt").write_bytes(b"x")
            store.start_next()
            store.append(job_id, [{"type": "training.log", "step": n, "loss": 1.5} for n in range(1, EVENTS)])
        final_folder(data, ids[0]).mkdir()
        (final_folder(data, ids[0]) / "adapter_config.json").write_text("{}")
        store.finish(ids[0], {"type": "training.completed"})
        store.edit(ids[0], {"notes": "a note", "starred": True})
        store.pause(ids[1], {"type": "training.paused", "step": 5, "reason": "battery"})
    return ids


def jobs_in(data: Path) -> dict[str, Any]:
    with closing(Store(data / DATABASE, "local")) as store:
        return {job["id"]: job for job in json.loads(store.listing())["jobs"]}


def events_in(data: Path, job_id: str) -> list[tuple[int, str, str]]:
    with closing(Store(data / DATABASE, "local")) as store:
        return store.events(job_id, 0, 10_000)


@pytest.mark.parametrize("content", [b"", b"\0", None], ids=["empty", "one byte", "missing"])
def test_a_lost_database_is_rebuilt_from_job_folders(tmp_path: Path, content: bytes | None) -> None:
    refuse_empty(tmp_path / DATABASE)  # a new project
    done, paused, runs, _ = filled(tmp_path)
    before = jobs_in(tmp_path)
    assert "s3cret" not in record_file(tmp_path, done).path.read_text()
    (tmp_path / DATABASE).unlink()
    if content is not None:
        (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(DamagedError, match=r"folders of 3 jobs .*arkor-dev local rebuild"):
        refuse_empty(tmp_path / DATABASE)
    (job_folder(tmp_path, "job_0123456789ab") / "final").mkdir(parents=True)
    rebuilt = rebuild(tmp_path, "local")
    assert (rebuilt.jobs, rebuilt.read, sorted(rebuilt.added)) == (3, 0, ["done", "paused", "runs"])
    assert (rebuilt.unusable, bool(rebuilt.damaged_file)) == (["job_0123456789ab"], content is not None)
    refuse_empty(tmp_path / DATABASE)
    after = jobs_in(tmp_path)
    assert {
        key: after[done][key] for key in ("name", "status", "notes", "starred", "metrics", "createdAt")
    } == {key: before[done][key] for key in ("name", "status", "notes", "starred", "metrics", "createdAt")}
    assert "token" not in after[done]["config"]["datasetSource"]
    assert after[done]["resumable"] == 5
    for job_id in (paused, runs):
        assert (after[job_id]["status"], after[job_id]["pause"]["step"]) == ("paused", 5)
    names = [name for _, name, _ in events_in(tmp_path, done)]
    assert names == ["training.message", "checkpoint.saved", "training.completed"]
    assert json.loads(events_in(tmp_path, done)[2][2])["artifacts"][0]["path"] == str(
        final_folder(tmp_path, done)
    )
    assert rebuild(tmp_path, "local")[:3] == (3, 3, [])  # nothing is wrong with it now


def test_corrupted_bytes_are_detected(tmp_path: Path) -> None:
    ids = filled(tmp_path)
    path = tmp_path / DATABASE
    whole = path.read_bytes()
    size, at = 4096, whole.rindex(b'"step":200,')  # of the last job's events
    start = at - at % size
    path.write_bytes(whole[:start] + bytes(range(256)) * (size // 256) + whole[start + size :])
    damaged = path.read_bytes()
    with pytest.raises(DamagedError, match=r"is damaged.*arkor-dev local rebuild"):
        open_database(path)
    assert path.read_bytes() == damaged
    rebuilt = rebuild(tmp_path, "local")
    assert (rebuilt.jobs, rebuilt.read, rebuilt.added) == (4, 4, [])
    assert rebuilt.damaged_file
    assert (tmp_path / rebuilt.damaged_file).read_bytes() == damaged
    counts = [len(events_in(tmp_path, job_id)) for job_id in ids[:3]]
    assert counts[:2] == [EVENTS, EVENTS]  # with the end, or the pause
    steps = [json.loads(data)["step"] for _, _, data in events_in(tmp_path, ids[2])]
    assert (steps[0], steps[-1]) == (1, EVENTS - 1), "on both sides of the damage"
    assert EVENTS - 60 < len(steps) < EVENTS - 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert "s3cret" in str(db.execute("SELECT config FROM jobs").fetchall())
    assert not [file.name for file in tmp_path.iterdir() if ".part" in file.name]


def test_a_damaged_record_is_restored_from_the_job_folder(tmp_path: Path) -> None:
    done, *others = filled(tmp_path)
    before, events = jobs_in(tmp_path), events_in(tmp_path, done)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute("UPDATE jobs SET config = '{' WHERE id = ?", (done,))
        db.commit()
    assert jobs_in(tmp_path)[done]["status"] == "failed"
    rebuilt = rebuild(tmp_path, "local")
    assert (rebuilt.jobs, rebuilt.read, rebuilt.added) == (4, 3, ["done"])
    after = jobs_in(tmp_path)
    assert after[done]["config"]["maxSteps"] == CONFIG["maxSteps"]
    for field in ("status", "metrics", "notes"):
        assert after[done][field] == before[done][field]
    assert events_in(tmp_path, done) == events
    assert [after[job]["name"] for job in others] == [before[job]["name"] for job in others]
