"""Which jobs may have learned from deleted rows, by what their configs say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from arkor_dev.local.deletion.dependents import dependents
from arkor_dev.local.jobs.job_folder import final_folder

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import Job


def job(job_id: str, path: str, **config: Any) -> Job:
    source = {"type": "file", "path": path}
    return cast("Job", {"id": job_id, "name": job_id, "config": {"datasetSource": source, **config}})


@pytest.mark.parametrize("path", ["data/x.jsonl", "./data/x.jsonl", "data/", "data//../data/x.jsonl", "."])
@pytest.mark.parametrize("replayed", [False, True])
def test_the_same_file_is_recognised_in_other_spellings_and_in_folders(
    tmp_path: Path, path: str, *, replayed: bool
) -> None:
    deleting = job(
        "job_1", "data/x.jsonl", leftOut={"rows": ["data/x.jsonl, line 1"], "hash": ""}, forgets=[]
    )
    other = job("job_2", "else.jsonl", replayDataset=path) if replayed else job("job_2", path)
    final_folder(tmp_path, "job_2").mkdir(parents=True)
    (one,) = dependents(tmp_path, deleting, [deleting, other], [])
    assert (one["name"], one["certain"]) == ("job_2", False)


def test_other_files_are_not_named(tmp_path: Path) -> None:
    deleting = job(
        "job_1", "data/x.jsonl", leftOut={"rows": ["data/x.jsonl, line 1"], "hash": ""}, forgets=[]
    )
    final_folder(tmp_path, "job_2").mkdir(parents=True)
    for path in ("data/x.jsonl.old", "x.jsonl", "dat", "other/data/x.jsonl"):
        assert dependents(tmp_path, deleting, [job("job_2", path)], []) == []
