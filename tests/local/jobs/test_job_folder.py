"""What a process that was killed left unfinished is removed, and nothing else is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.jobs.job_folder import JobFile, sweep, sweep_data
from arkor_dev.local.jobs.verdict_file import drop_verdict

if TYPE_CHECKING:
    from pathlib import Path


def made(folder: Path, *names: str) -> None:
    """Make files in a folder, and their folders; a name that ends in a slash is a folder alone."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text("x")


def there(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_incomplete_files_of_a_job_are_deleted(tmp_path: Path) -> None:
    job = tmp_path / "jobs" / "job_1"
    whole = {"final/adapter.bin", "checkpoints/5/state.pt", "evaluation/final.json"}
    made(job, *whole)
    made(job, "final.part/a", "final.old.part/a", "checkpoints/7.part/a", "resume/7.part/a")
    made(job, "probe", "probe.part", "verdict.json.part", "evaluation/history.part", "scratch/rows.jsonl")
    sweep(tmp_path, "job_1")
    assert there(job) == whole
    sweep(tmp_path, "job_of_none")


def test_incomplete_files_beside_the_jobs_are_deleted(tmp_path: Path) -> None:
    whole = {"backend.sqlite", "file-hashes.json", "jobs/job_1/final/adapter.bin"}
    made(tmp_path, *whole)
    made(tmp_path, "file-hashes.json.77.part", "forecasts.part", "forecast/checkpoint/a", "datasets/v/rows")
    (tmp_path / "elsewhere").mkdir()
    made(tmp_path / "elsewhere", "kept")
    (tmp_path / "link.part").symlink_to(tmp_path / "elsewhere")
    sweep_data(tmp_path)
    assert there(tmp_path) == {*whole, "elsewhere/kept"}
    assert not (tmp_path / "link.part").is_symlink()


def test_dropping_a_missing_verdict_is_no_error(tmp_path: Path) -> None:
    drop_verdict(tmp_path, "job_1")
    made(tmp_path, "jobs/job_1/verdict.json")
    drop_verdict(tmp_path, "job_1")
    assert there(tmp_path) == set()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "jobs").write_text("a file where a folder should be")
    drop_verdict(tmp_path / "other", "job_1")


def test_job_files_are_not_accessed_through_links(tmp_path: Path) -> None:
    kept, job = tmp_path / "kept", tmp_path / "job"
    kept.write_text("kept")
    job.mkdir()
    (job / "votes.jsonl").symlink_to(kept)
    (job / "evaluation").symlink_to(tmp_path)
    for name in ("votes.jsonl", "evaluation/kept"):
        file = JobFile(job, name)
        for use in (partial(file.append, b"x", flush=False), file.open, file.size, file.read):
            with pytest.raises(OSError, match=r"link|symbolic"):
                use()
    JobFile(job, "votes.jsonl").write(b"new")  # replaces the link itself
    with pytest.raises(OSError, match="link"):
        JobFile(job, "evaluation/kept").remove()
    assert kept.read_text() == "kept"
