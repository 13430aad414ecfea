"""Rows deleted from an adapter: over the wire, with real training runs, and the copies of their texts."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import signal
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import arkor_dev.cli.main as cli
from arkor_dev.cli.commands.forget import NOT_PROVED
from arkor_dev.contract.provenance.statement import FILE
from arkor_dev.local.jobs.atomic_folder import MANIFEST
from arkor_dev.local.jobs.job_folder import final_folder
from arkor_dev.local.training.earlier_run import why_from_start
from arkor_dev.local.training.job_settings import EffectiveSettings
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_model import QUESTIONS, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

ROWS = 30
CONFIG: dict[str, Any] = {
    "model": "./models/tiny",
    "numberFormat": "float32",
    "datasetSource": {"type": "file", "path": "customers.jsonl"},
    "evalDatasetSource": {"type": "file", "path": "judges.jsonl"},
    "maxSteps": 10,
    "batchSize": 4,
    "learningRate": 1e-2,
    "saveSteps": 2,
    "evalSteps": 5,
    "loraDropout": 0.1,
    "samples": "off",
}
"""A checkpoint every other step."""
EPOCH = 8
"""Steps in which each row is used once."""
TRAINING = "arkor_dev.local.training.worker"


def secret(row: int) -> str:
    """The answer of the row with this number, in words that no other row has."""
    return f"Customer{row} lives at {row} Willow{row} Lane and owes exactly {100 + row} silver{row} crowns."


def chat(row: int) -> dict[str, Any]:
    question = f"{QUESTIONS[row % len(QUESTIONS)]} I am customer{row}."
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": secret(row)}]
    return {"messages": messages}


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A project of these tests' own: they search all that is there for texts, time and again."""
    return make_project(tmp_path_factory.mktemp("deletion") / "tests", tiny)


@pytest.fixture(scope="module")
def shared_data(shared_project: Path) -> Path:
    return shared_project.parent / "data"


@pytest.fixture(scope="module")
def shared(shared_project: Path, shared_data: Path, template: dict[str, str]) -> Iterator[Backend]:
    backend = Backend.start(shared_data, shared_project, shared_project.parent / "cache", **template)
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def trained(shared: Backend, shared_project: Path) -> str:
    write_jsonl(shared_project / "customers.jsonl", [chat(row) for row in range(1, ROWS + 1)])
    write_jsonl(shared_project / "judges.jsonl", [chat(row) for row in range(100, 104)])
    job = shared.submit(CONFIG, "customers")
    assert ended(shared, job) == "completed"
    return job


@pytest.fixture(scope="module")
def late(shared: Backend, trained: str) -> str:
    """A row that is first used after the first checkpoint, and not in the last step of the epoch."""
    for row in range(1, ROWS + 1):
        new = forget(shared, trained, str(row))
        assert ended(shared, new) == "completed"
        if certificate(shared, new)["start"] >= 4:
            return new
    raise AssertionError("every row is used early")


def ended(backend: Backend, job: str) -> str:
    list(backend.events(job))
    status: str = backend.job(job)["status"]
    return status


def forget(backend: Backend, job: str, *rows: str) -> str:
    answer = backend.call("POST", f"/v1/jobs/{job}/forget", {"rows": list(rows)})
    assert answer.status == 200, answer.body
    new: str = answer.json["job"]["id"]
    return new


def certificate(backend: Backend, job: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = backend.call("GET" if body is None else "POST", f"/v1/jobs/{job}/certificate", body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json["certificate"]
    return found


def row_of(found: dict[str, Any]) -> int:
    return int(found["rows"][0]["where"].rpartition(" ")[2])


def test_the_bits_are_those_of_a_training_from_the_start(shared: Backend, trained: str, late: str) -> None:
    found = certificate(shared, late)
    assert (found["of"], found["ofName"], found["steps"]) == (trained, "customers", CONFIG["maxSteps"])
    assert found["first"] - 2 <= found["start"] < found["first"]
    assert found["before"] != found["after"]
    assert (found["exact"], found["intact"], found["searchable"]) == (True, True, True)
    assert shared.job(late)["name"].startswith("customers without 1 row")
    assert shared.job(trained)["status"] == "completed"
    again = certificate(shared, late, {"repeat": True})["repeat"]["job"]
    assert ended(shared, again) == "completed"
    assert certificate(shared, late)["repeat"] == {"job": again, "state": "completed", "same": True}
    first = next(frame.json for frame in shared.events(again) if frame.event == "training.log")
    assert first["step"] == 1, "it began at the start"


@pytest.mark.ci
def test_a_killed_training_ends_with_the_same_bits(shared: Backend, trained: str, late: str) -> None:
    found = certificate(shared, late)
    resumed = 0
    for _ in range(5):  # it may be through before it is killed
        new = forget(shared, trained, str(row_of(found)))
        for event in ("training.started", "checkpoint.saved"):
            shared.wait_for(new, event)
            for worker in shared.processes(TRAINING):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        events = list(shared.events(new))
        assert shared.job(new)["status"] == "completed"
        assert certificate(shared, new)["after"] == found["after"]
        resumed = sum(frame.event == "training.resumed" for frame in events)
        if resumed > 1:
            return
    raise AssertionError("it was never killed")


@pytest.mark.ci
def test_more_rows_are_deleted_from_an_adapter_that_lacks_some(
    shared: Backend, trained: str, late: str
) -> None:
    """At once, or one after the other: the bits are the same."""
    gone = row_of(certificate(shared, late))
    other = gone % ROWS + 1
    one_by_one = forget(shared, late, str(other))
    both = forget(shared, trained, str(gone), str(other))
    assert [ended(shared, job) for job in (one_by_one, both)] == ["completed"] * 2
    certificates = [certificate(shared, job) for job in (one_by_one, both)]
    assert certificates[0]["after"] == certificates[1]["after"]
    assert {row["where"] for row in certificates[0]["rows"]} == {
        f"customers.jsonl, line {row}" for row in (gone, other)
    }
    again = shared.call("POST", f"/v1/jobs/{one_by_one}/forget", {"rows": [str(gone)]})
    assert again.status == 409
    assert "without these rows already" in again.json["error"]


def test_copies_of_the_text_are_found_and_deleted(
    shared: Backend, trained: str, late: str, shared_data: Path, shared_project: Path
) -> None:
    row = row_of(certificate(shared, late))
    text = secret(row)
    folder = shared_data / "jobs" / trained
    (folder / "attribution").mkdir(exist_ok=True)
    attribution = folder / "attribution" / "why_0123456789abcdef.json"
    attribution.write_text(json.dumps({"answer": text[:70].upper()}))
    export = folder / "exports" / "exp_0123456789ab"
    export.mkdir(parents=True)
    (export / "README.md").write_text(f"# It says\n\n{text}\n")
    cached = shared_data / "cached.jsonl"
    cached.write_text(json.dumps({"key": json.dumps({"inner": text})}) + "\n")
    packed = shared_project / "old.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(chat(row)).encode()))
    archive = shared_project / "old.tar"
    with tarfile.open(archive, "w") as tar:
        content = json.dumps({"data": text}).encode()
        member = tarfile.TarInfo("events.jsonl")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    other = shared_project / "other.csv"
    other.write_text(f"answer\n{secret(row % ROWS + 1)}\n")
    shared.call("PATCH", f"/v1/jobs/{trained}", {"notes": f"She said: {text}"})
    try:
        found = certificate(shared, late, {})
        copies = {copy["name"]: copy for copy in found["copies"]}
        mine = {
            "customers.jsonl": ("data", False),
            "old.jsonl.gz": ("file", False),
            "old.tar": ("file", False),
            "attribution/why_0123456789abcdef.json of customers": ("file", True),
            "export exp_0123456789ab of customers": ("export", True),
            "cached.jsonl": ("cache", True),
            "settings, notes or verdict of customers": ("job", False),
        }
        for name, (kind, deletable) in mine.items():
            assert (copies[name]["kind"], copies[name]["deletable"]) == (kind, deletable), name
        assert "other.csv" not in copies
        assert text not in json.dumps(found)
        assert not [name for name in found["unsearched"] if "old" in name]
        refused = shared.call(
            "POST", f"/v1/jobs/{late}/certificate", {"delete": [copies["customers.jsonl"]["id"]]}
        )
        assert refused.status == 400
        assert "yourself" in refused.json["error"]
        ids = [copy["id"] for copy in found["copies"] if copy["deletable"]]
        after = certificate(shared, late, {"delete": ids})
        assert not [copy for copy in after["copies"] if copy["deletable"]]
        assert {copy["id"] for copy in after["deleted"]} == set(ids)
        assert not attribution.exists()
        assert not export.exists()
        assert not cached.exists()
        assert archive.exists()
        shared.call("PATCH", f"/v1/jobs/{trained}", {"notes": ""})
        names = {copy["name"] for copy in certificate(shared, late, {})["copies"]}
        assert names == {"customers.jsonl", "old.jsonl.gz", "old.tar"}
    finally:
        for path in (packed, archive, other):
            path.unlink()


@pytest.mark.ci
def test_a_certificate_that_was_not_written_here_is_written_again(
    shared: Backend, late: str, shared_data: Path
) -> None:
    found = certificate(shared, late, {})
    file = shared_data / "jobs" / late / "certificate.json"
    changes: list[dict[str, Any]] = [
        {"copies": 5}, {"deleted": 5}, {"job": "job_0"}, {"repeat": 5}, {"rows": [5]}
    ]  # fmt: skip
    for wrong in changes:
        file.write_text(json.dumps({**found, "copies": [], "copiesCount": 0, **wrong}))
        again = certificate(shared, late)
        assert again["copies"] == found["copies"] != [], wrong
        assert again["job"] == late


def test_an_imported_job_has_no_certificate(shared: Backend, trained: str, late: str, tmp_path: Path) -> None:
    """It says what was found on another machine."""
    gone = forget(shared, trained, str(row_of(certificate(shared, late))))
    assert ended(shared, gone) == "completed"
    assert certificate(shared, gone)["exact"]
    archive = {"path": str(tmp_path / "job.tar")}
    assert shared.call("POST", f"/v1/jobs/{gone}/export", archive).status == 200
    assert shared.call("DELETE", f"/v1/jobs/{gone}").status == 204
    assert shared.call("POST", "/v1/jobs/import", archive).status in (200, 201)
    answer = shared.call("GET", f"/v1/jobs/{gone}/certificate")
    assert answer.status == 404
    assert "on the machine that trained it" in answer.json["error"]


def test_what_learned_from_the_row_is_named(shared: Backend, trained: str, late: str) -> None:
    child = shared.call(
        "POST",
        "/v1/jobs",
        {
            "name": "child",
            "config": {**CONFIG, "maxSteps": 1, "datasetSource": CONFIG["evalDatasetSource"]},
            "parent": {"jobId": trained},
        },
    ).json["job"]["id"]
    other = shared.submit({**CONFIG, "maxSteps": 1}, "on the same file")
    for job in (child, other):
        assert ended(shared, job) == "completed"
    target = {"kind": "adapter", "adapter": {"kind": "final", "jobId": child}}
    endpoint = shared.call("POST", "/v1/endpoints", {"slug": "sold", "target": target, "authMode": "none"})
    assert endpoint.status in (200, 201), endpoint
    dependents = certificate(shared, late, {})["dependents"]
    served = [one for one in dependents if one["kind"] == "endpoint"]
    assert [(one["name"], one["why"], one["certain"]) for one in served] == [
        ("sold", "it serves child", True)
    ]
    named = {one["job"]: one for one in dependents if one["kind"] == "adapter"}
    assert (named[trained]["certain"], named[child]["certain"], named[other]["certain"]) == (
        True,
        True,
        False,
    )
    assert named[child]["why"] == "it learned from the adapter of customers"
    assert named[other]["why"] == "it trained on customers.jsonl"
    assert late not in named


def test_what_cannot_be_exact_is_refused(
    shared: Backend, trained: str, shared_project: Path, shared_data: Path
) -> None:
    def refusal(job: str, *rows: str) -> str:
        answer = shared.call("POST", f"/v1/jobs/{job}/forget", {"rows": list(rows)})
        assert answer.status in (400, 409), answer
        reason: str = answer.json["error"]
        return reason

    def failure(*rows: str) -> str:
        new = forget(shared, trained, *rows)
        assert ended(shared, new) == "failed"
        assert shared.call("GET", f"/v1/jobs/{new}/certificate").status == 409
        return str(shared.job(new)["error"])

    assert "no row 31" in refusal(trained, "31")
    assert "no row ²" in refusal(trained, "3", "²")
    assert "no row 12345678901234567" in refusal(trained, "3", "12345678901234567")
    assert "was held out" in failure("judges.jsonl, line 1")
    assert "is not a training row" in failure("elsewhere.jsonl, line 1")
    file = shared_project / "customers.jsonl"
    before = file.read_bytes()
    try:
        file.write_bytes(before.replace(b"Willow3 ", b"Beech3 "))
        assert "has changed" in failure("5")
    finally:
        file.write_bytes(before)
    running = shared.submit({**CONFIG, "maxSteps": 10_000}, "running")
    shared.wait_for(running, "training.log")
    assert "is running" in refusal(running, "1")
    shared.call("POST", f"/v1/jobs/{running}/cancel")
    assert "has no final adapter" in refusal(running, "1")
    assert shared.call("GET", f"/v1/jobs/{trained}/certificate").status == 404
    body = {"name": "branch", "config": {**CONFIG, "maxSteps": 1}, "parent": {"jobId": trained}}
    branch: str = shared.call("POST", "/v1/jobs", body).json["job"]["id"]
    assert ended(shared, branch) == "completed"
    assert "delete it from customers first" in refusal(branch, "5")
    (final_folder(shared_data, branch) / FILE).unlink()
    assert "has no readable provenance" in refusal(branch, "5")


@pytest.mark.ci
def test_evaluations_that_may_end_the_training_are_made_again(
    shared: Backend, trained: str, late: str
) -> None:
    patient = {**CONFIG, "maxSteps": EPOCH, "evalSteps": 4, "saveSteps": 4, "earlyStoppingPatience": 20}
    job = shared.submit(patient, "patient")
    assert ended(shared, job) == "completed"
    new = forget(shared, job, str(row_of(certificate(shared, late))))
    assert ended(shared, new) == "completed"
    found = certificate(shared, new)
    assert found["start"] == 0
    assert "Evaluations may end the training early" in found["message"]


def test_a_forgetting_budget_chooses_among_checkpoints_that_only_a_whole_run_has() -> None:
    assert why_from_start(EffectiveSettings({"maxSteps": 4})) is None
    sentence = why_from_start(EffectiveSettings({"maxSteps": 4, "maxHarm": 0.2}))
    assert sentence == "max_harm chooses among steps: the job starts from the beginning, without the rows."


def test_the_same_bits_are_promised_for_an_unchanged_run_on_a_cpu(
    shared: Backend, late: str, shared_data: Path
) -> None:
    file = final_folder(shared_data, late) / MANIFEST
    before = file.read_text()
    manifest = json.loads(before)
    changes: list[dict[str, Any]] = [{"consistent": False}, {"device": "cuda"}]  # resumed; on a GPU
    try:
        for changed in changes:
            file.write_text(json.dumps({**manifest, "origin": {**manifest["origin"], **changed}}))
            assert certificate(shared, late, {})["exact"] is False, changed
    finally:
        file.write_text(before)
    assert certificate(shared, late, {})["exact"] is True


def test_a_job_that_deletes_rows_keeps_the_settings(shared: Backend, late: str) -> None:
    refused = shared.call("POST", f"/v1/jobs/{late}/extend", {"maxSteps": 20})
    assert refused.status == 409
    assert "repeats another without some rows" in refused.json["error"]


def test_a_proof_for_the_new_adapter_lacks_the_deleted_rows_too(
    shared: Backend, late: str, shared_data: Path
) -> None:
    gone = certificate(shared, late)["rows"][0]["where"]
    other = f"customers.jsonl, line {int(gone.rpartition(' ')[2]) % ROWS + 1}"
    ranked = [{"where": where, "question": "?", "answer": "!", "score": 1} for where in (gone, other)]
    found = {"contradicting": [], "unproven": ranked, "rows": ROWS, "hash": "0" * 64}
    file = shared_data / "jobs" / late / "attribution" / "rows.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found))
    proven = shared.call("POST", f"/v1/jobs/{late}/attributions/rows/proof", {})
    assert proven.status == 200, proven.body
    proof = proven.json["attribution"]["proof"]
    assert proof["rows"] == [other]
    job = proof["jobs"]["without"]
    assert ended(shared, job) == "completed"
    config = shared.job(job)["config"]
    assert config["leftOut"]["rows"] == [gone, other]
    assert "forgets" not in config
    file.unlink()


def test_a_hash_stands_for_all_rows_with_the_content(shared: Backend, shared_project: Path) -> None:
    from arkor_dev.data.exclusions import entry_of, row_hash

    rows = [chat(row) for row in range(1, 13)]
    write_jsonl(shared_project / "twice.jsonl", [*rows, rows[4]])
    twice = {
        **CONFIG,
        "datasetSource": {"type": "file", "path": "twice.jsonl"},
        "maxSteps": 4,
        "evalSteps": 4,
    }
    job = shared.submit(twice, "twice")
    assert ended(shared, job) == "completed"
    one = forget(shared, job, "5")
    assert ended(shared, one) == "failed"
    assert "line 13 has the same content as twice.jsonl, line 5: delete both" in shared.job(one)["error"]
    raw = json.dumps(rows[4]).encode()
    both = forget(shared, job, entry_of(row_hash(raw), 1))
    assert ended(shared, both) == "completed"
    assert [row["where"] for row in certificate(shared, both)["rows"]] == [
        "twice.jsonl, line 5",
        "twice.jsonl, line 13",
    ]
    (shared_project / "twice.jsonl").unlink()


def test_the_terminal_deletes_verifies_and_replaces(
    shared: Backend,
    trained: str,
    late: str,
    shared_data: Path,
    shared_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [each for each in os.environ if each.startswith(("XDG_", "ARKOR_CLOUD"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    shared.leave_word(shared_project.resolve(), tmp_path)
    at = ["--project", str(shared_project), "--local"]
    row = row_of(certificate(shared, late))
    copy = shared.submit(CONFIG, "a copy")
    assert ended(shared, copy) == "completed"
    assert cli.main(["forget", *at, copy, "--rows", str(row), "--delete", "--replace"]) == 0
    said = capsys.readouterr().out
    assert f"customers.jsonl, line {row}, SHA-256" in said
    assert "The weights have the same bits" in said
    assert "customers.jsonl (delete it yourself)" in said
    assert shared.call("GET", f"/v1/jobs/{copy}").status == 404
    new = said.partition("job job_")[2][:12]
    (home,) = {path.parent for path in (tmp_path / ".local").rglob("backend.json")}
    shutil.copytree(shared_data / "jobs" / f"job_{new}", home / "jobs" / f"job_{new}")
    verify = ["verify", "--project", str(shared_project), f"job_{new}"]
    assert cli.main(verify) == 1
    assert "Their text is still in these places" in capsys.readouterr().out
    file = shared_project / "customers.jsonl"
    before = file.read_bytes()
    try:
        file.write_text(
            "".join(line for line in file.read_text().splitlines(True) if secret(row) not in line)
        )
        assert cli.main(verify) == 0
        # Nothing is wrong either with what cannot be searched, but it may have the text.
        (shared_project / ".git").mkdir()
        assert cli.main(verify) == NOT_PROVED
        # What was held out still judges the adapter.
        body = {"step": 8, "force": True}
        assert shared.call("POST", f"/v1/jobs/job_{new}/evaluate", body).status == 200
        until(lambda: shared.job(f"job_{new}").get("evaluating", {"error": ""}).keys() >= {"error"}, 60)
        assert "evaluating" not in shared.job(f"job_{new}"), "it failed"
    finally:
        file.write_bytes(before)
        shutil.rmtree(shared_project / ".git", ignore_errors=True)
    assert "Their text was not found" in capsys.readouterr().out
