"""Rows are not deleted from an adapter that began with one that may have learned them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.local.checkpoints.origin import FileHashes, hash_of_data
from arkor_dev.local.deletion.ancestors import check_ancestors
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.jobs.job_folder import final_folder
from tests.local.tiny_model import write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import Job

PARENT, CHILD = "job_00000000000a", "job_00000000000b"
ROW = "customers.jsonl, line 2"


def chat(number: int) -> dict[str, Any]:
    said = {"role": "assistant", "content": f"Customer {number} owes {number} crowns."}
    return {"messages": [{"role": "user", "content": f"And customer {number}?"}, said]}


class Family:
    """A project with three customers, and its jobs."""

    def __init__(self, folder: Path) -> None:
        self.data, self.project = folder / "data", folder / "project"
        self.data.mkdir()
        self.project.mkdir()
        self.jobs: dict[str, Job] = {}
        write_jsonl(self.project / "customers.jsonl", [chat(number) for number in (1, 2, 3)])
        write_jsonl(self.project / "others.jsonl", [chat(number) for number in (7, 8, 9)])
        write_jsonl(self.project / "copied.jsonl", [chat(number) for number in (9, 2)])

    def add(
        self, job_id: str, name: str, path: str, parent: str = "", *, consistent: bool = True, **more: Any
    ) -> Job:
        config = {"model": "tiny", "datasetSource": {"type": "file", "path": path}, **more}
        job: Any = {"id": job_id, "name": name, "status": "completed", "config": config}
        if parent:
            job["parent"] = {"jobId": parent, "step": 4, "name": "the parent"}
        digest = hash_of_data(config, self.project, FileHashes(self.data))
        write_atomically(
            final_folder(self.data, job_id),
            lambda folder: (folder / "weights").touch(),
            {"job": job_id, "step": 4, "origin": {"data": digest, "consistent": consistent}},
        )
        self.jobs[job_id] = job
        added: Job = job
        return added

    def refusal(self, job: Job, *rows: str) -> str:
        """Return why rows cannot be deleted from a job's adapter; empty if they can."""
        try:
            check_ancestors(job, self.jobs, rows or (ROW,), self.data, self.project)
        except ConflictError as conflict:
            return str(conflict)
        return ""


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


def test_a_job_without_a_parent_is_not_compared(family: Family) -> None:
    assert not family.refusal(family.add(CHILD, "child", "customers.jsonl"))


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("customers.jsonl", {}),
        ("copied.jsonl", {}),
        ("others.jsonl", {"replayDataset": "customers.jsonl"}),
        ("others.jsonl", {"evalDatasetSource": {"type": "file", "path": "copied.jsonl"}}),
    ],
    ids=["trained on the file", "trained on a copy", "replayed", "held out"],
)
def test_the_parent_had_the_row(family: Family, path: str, more: dict[str, Any]) -> None:
    family.add(PARENT, "parent", path, **more)
    child = family.add(CHILD, "child", "customers.jsonl", PARENT)
    assert "delete it from parent first" in family.refusal(child)
    if path == "copied.jsonl":
        assert not family.refusal(child, "customers.jsonl, line 1")


def test_an_ancestor_further_up_had_the_row(family: Family) -> None:
    grandparent = "job_00000000000c"
    family.add(grandparent, "grandparent", "customers.jsonl")
    family.add(PARENT, "parent", "others.jsonl", grandparent)
    child = family.add(CHILD, "child", "customers.jsonl", PARENT)
    assert "delete it from grandparent first" in family.refusal(child)


def test_an_ancestor_that_learned_from_the_adapter_of_another_job_had_the_row(family: Family) -> None:
    teacher = "job_00000000000c"
    family.add(teacher, "teacher", "customers.jsonl")
    family.add(PARENT, "parent", "others.jsonl", teacherModel=teacher)
    assert "teacher" in family.refusal(family.add(CHILD, "child", "customers.jsonl", PARENT))


def test_a_parent_without_the_row_is_accepted(family: Family) -> None:
    family.add(PARENT, "parent", "others.jsonl")
    assert not family.refusal(family.add(CHILD, "child", "customers.jsonl", PARENT))


def test_a_parent_from_which_the_row_was_deleted_is_accepted(family: Family) -> None:
    family.add(PARENT, "parent", "customers.jsonl", leftOut={"rows": [ROW], "hash": "0" * 64})
    child = family.add(CHILD, "child", "customers.jsonl", PARENT)
    assert not family.refusal(child)
    assert "customers.jsonl, line 3" in family.refusal(child, "customers.jsonl, line 3")


def test_what_cannot_be_told_is_refused(family: Family) -> None:
    child = family.add(CHILD, "child", "customers.jsonl", PARENT)
    assert "the parent: it was deleted" in family.refusal(child)
    family.add(PARENT, "parent", "others.jsonl", consistent=False)
    assert "it continued after a change" in family.refusal(child)
    remote = family.add(PARENT, "parent", "others.jsonl")
    remote["config"]["datasetSource"] = {"type": "huggingface", "name": "someone/chats"}
    assert "its data" in family.refusal(child)
    family.add(PARENT, "parent", "others.jsonl")
    write_jsonl(family.project / "others.jsonl", [chat(5)])
    assert "its data has changed since" in family.refusal(child)
    assert "elsewhere, line 1 is not in its data set" in family.refusal(child, "elsewhere, line 1")
