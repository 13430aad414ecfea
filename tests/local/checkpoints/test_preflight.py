"""Before anything is loaded: could a checkpoint be kept?"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.checkpoints.preflight import check_writable
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.workers.errors import JobFailure
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from pathlib import Path


def test_the_preflight_leaves_no_files(tmp_path: Path) -> None:
    check_writable(tmp_path, "job_1")
    assert list((tmp_path / "jobs").iterdir()) == []
    kept = tmp_path / "jobs" / "job_2" / "checkpoints"
    kept.mkdir(parents=True)
    check_writable(tmp_path, "job_2")
    assert list((tmp_path / "jobs" / "job_2").iterdir()) == [kept]


def test_an_unwritable_job_folder_fails_the_job(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file in the folder's place")
    with pytest.raises(JobFailure, match=r"jobs/job_1 cannot be written \(Not a directory\)"):
        check_writable(tmp_path, "job_1")


@pytest.mark.parametrize(
    ("number", "fails"), [(errno.EROFS, True), (errno.EACCES, True), (errno.EIO, True), (errno.ENOSPC, False)]
)
def test_the_preflight_tolerates_a_full_disk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: bool
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if fails:
        with pytest.raises(JobFailure, match="Nothing was loaded"):
            check_writable(tmp_path, "job_1")
    else:
        check_writable(tmp_path, "job_1")
    assert not list((tmp_path / "jobs").rglob("probe*"))


def test_the_preflight_precedes_reading_and_loading(tmp_path: Path) -> None:
    from arkor_dev.local.training.worker import TrainingWork

    (tmp_path / "jobs").write_text("a file in the folder's place")
    # There is no project and no data: had it read on, the reason would be another.
    job = JobRequest("job_1", config_of({}), str(tmp_path), "/nowhere")

    class Link:
        def receive(self, _: object) -> JobRequest:
            return job

        def progress(self, *_: object) -> None:
            pass

    work = TrainingWork.__new__(TrainingWork)
    work.link = Link()  # type: ignore[assignment]
    with pytest.raises(JobFailure, match="cannot be written"):
        work.train()
