"""A job goes to another machine whole, or not at all; whatever a file says of itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.local.evaluation import results
from arkor_dev.local.evaluation.votes import add_vote, votes_of
from arkor_dev.local.jobs.archive import reader
from arkor_dev.local.jobs.archive.reader import import_job
from arkor_dev.local.jobs.archive.writer import export_job
from arkor_dev.local.jobs.job_config import check_config
from arkor_dev.local.jobs.job_folder import final_folder, job_folder
from arkor_dev.local.jobs.store import Store

from .test_order import SAID, fill
from .test_store import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.shapes import Artifact, Ballot

ID = "job_0123456789ab"
A = "files/final/a.json"
"""The one file of an archive that is built here."""
BALLOT: Ballot = {
    "voter": "Ann",
    "one": "a",
    "other": "b",
    "choice": "tie",
    "left": "one",
    "question": "Where?",
}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The archive of a finished job with files, notes and events."""
    data = tmp_path / "one"
    store = Store(data_of(data), "local")
    job_id = store.create("d\u00f6ne", CONFIG)["id"]
    final = final_folder(data, job_id)
    adapter: Artifact = {"kind": "adapter", "name": "final", "bytes": 9, "path": str(final)}
    store.append(job_id, [{"type": "training.log", "step": 1, "loss": 2.5}])
    store.finish(job_id, {"type": "training.completed", "artifacts": [adapter]})
    store.edit(job_id, SAID)
    fill(data, job_id)
    add_vote(final.parent, BALLOT)
    final.mkdir()
    (final / "adapter \u00fc.safetensors").write_bytes(b"123456789")
    (final / "own.py").write_text("not of the job")
    (final / "link").symlink_to("/etc/passwd")
    (final.parent / "exports" / "exp_000000000001").mkdir(parents=True)
    (final.parent / "exports" / "exp_000000000001" / "model.safetensors").write_bytes(b"x" * 1000)
    target = tmp_path / "job.tar"
    job = store.get(job_id)
    assert job
    assert export_job(data, job, target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError):
        export_job(data, job, target)
    store.close()
    return target


def data_of(folder: Path) -> Path:
    folder.mkdir()
    return folder / "backend.sqlite"


def test_an_archived_job_is_restored_unchanged(exported: Path, tmp_path: Path) -> None:
    with tarfile.open(exported) as plain:  # any tar reads it
        assert plain.getnames()[:2] == ["job.json", "events.jsonl"]
        assert not [name for name in plain.getnames() if "exports" in name], "they can be written again"
    before = Store(tmp_path / "one" / "backend.sqlite", "local")
    there = Store(data_of(tmp_path / "two"), "local")
    taken = import_job(tmp_path / "two", exported)
    job_id = taken.job["id"]
    taken.install_files()
    job = there.import_job(taken.job, taken.events)
    known: Any = before.get(job_id)
    assert {**job, "projectId": ""} == {**known, "projectId": ""}
    assert there.get(job_id) == job
    old, new = before.events(job_id, 0, 100), there.events(job_id, 0, 100)
    assert [row[:2] for row in new] == [row[:2] for row in old]
    assert json.loads(new[0][2]) == json.loads(old[0][2])
    final = final_folder(tmp_path / "two", job_id)
    assert json.loads(new[-1][2])["artifacts"][0]["path"] == str(final)
    (vote,) = votes_of(final.parent)
    assert BALLOT.items() <= vote.items()
    assert [path.name for path in final.iterdir()] == [
        "adapter \u00fc.safetensors"
    ]  # and no link, no program
    assert (final / "adapter \u00fc.safetensors").read_bytes() == b"123456789"
    with pytest.raises(ConflictError):
        there.import_job(taken.job, taken.events)
    taken.drop()
    assert [path.name for path in (tmp_path / "two" / "jobs").iterdir()] == [job_id]
    before.close()
    there.close()


VERDICT: Any = {
    "verdict": "better",
    "sentence": "Better than the base: loss 1.91 instead of 3.42 on 12 held-out rows.",
    "heldOut": {"name": "held-out rows", "rows": 12},
    "bestStep": 10,
}


def test_an_archive_contains_the_verdict(tmp_path: Path) -> None:
    store = Store(data_of(tmp_path / "one"), "local")
    job_id = store.create("judged", CONFIG)["id"]
    store.append(job_id, [{"type": "evaluation.completed", "evaluation": VERDICT}])
    store.finish(job_id, {"type": "training.completed"})
    result = {
        "evaluation": VERDICT,
        "rows": [{"row": 1, "base": 3.0, "adapter": 1.0}],
        "scores": {"rows": "a", "tokens": "b", "groups": [0], "adapter": [1.0], "margin": 0.01},
    }
    results.write(results.result_file(fill(tmp_path / "one", job_id), None), result)
    job = store.get(job_id)
    assert job
    export_job(tmp_path / "one", job, tmp_path / "judged.tar")
    store.close()
    there = Store(data_of(tmp_path / "two"), "local")
    taken = import_job(tmp_path / "two", tmp_path / "judged.tar")
    taken.install_files()
    assert there.import_job(taken.job, taken.events)["evaluation"] == VERDICT
    assert json.loads(there.listing())["jobs"][0]["evaluation"] == VERDICT
    stored = results.result(job_folder(tmp_path / "two", job_id), None, None)
    assert stored == {**result, "answers": []}
    there.close()


@pytest.mark.parametrize(
    "verdict",
    [
        "better",
        [],
        {"verdict": "better"},
        {"verdict": 7, "sentence": ""},
        {"verdict": "better", "sentence": "x" * 70_000},
        {**VERDICT, "sets": ["x" * 70_000]},
    ],
    ids=["text", "list", "without a sentence", "number", "long", "large"],
)
def test_an_invalid_verdict_is_not_imported(tmp_path: Path, verdict: object) -> None:
    (tmp_path / "hostile.tar").write_bytes(whole(*built(evaluation=verdict)))
    taken = import_job(data_of(tmp_path / "there").parent, tmp_path / "hostile.tar")
    store = Store(tmp_path / "there" / "backend.sqlite", "local")
    job = store.import_job(taken.job, taken.events)
    assert "evaluation" not in job
    assert job["status"] == "completed"
    store.close()


def test_imported_jobs_run_no_project_functions(tmp_path: Path) -> None:
    asked = [
        {"name": "own", "path": "data/a.jsonl", "metric": "deploy:main"},
        {"name": "plain", "path": "data/a.jsonl", "metric": "contains"},
        {"name": "loss", "path": "data/a.jsonl"},
    ]
    (tmp_path / "hostile.tar").write_bytes(whole(*built(config={**CONFIG, "evaluations": asked})))
    taken = import_job(data_of(tmp_path / "there").parent, tmp_path / "hostile.tar")
    store = Store(tmp_path / "there" / "backend.sqlite", "local")
    job = store.import_job(taken.job, taken.events)
    assert [each["name"] for each in job["config"]["evaluations"]] == ["plain", "loss"]
    store.close()


def test_an_imported_job_loses_its_environment(tmp_path: Path) -> None:
    asked = {"method": "grpo", "environment": "env:Desk", "maxTurns": 3, "maxEpisodeTokens": 300}
    (tmp_path / "hostile.tar").write_bytes(whole(*built(config={**CONFIG, **asked})))
    taken = import_job(data_of(tmp_path / "there").parent, tmp_path / "hostile.tar")
    assert taken.job["config"]["method"] == "grpo"
    assert not (asked.keys() - {"method"}) & taken.job["config"].keys()


def test_an_archive_has_no_certificate_of_deleted_rows(exported: Path, tmp_path: Path) -> None:
    """It says what was found on another machine, and its hashes let others test guesses of the text."""
    store = Store(tmp_path / "one" / "backend.sqlite", "local")
    (row,) = json.loads(store.listing())["jobs"]
    folder = job_folder(tmp_path / "one", row["id"])
    for name in ("forgotten.json", "certificate.json"):
        (folder / name).write_text("{}")
        with pytest.raises(BadRequestError, match="a file that no job has"):
            reader._check_file(name, 2)
    export_job(tmp_path / "one", row, tmp_path / "again.tar")
    store.close()
    with tarfile.open(tmp_path / "again.tar") as plain:
        assert not [name for name in plain.getnames() if "forgotten" in name or "certificate" in name]


@pytest.mark.parametrize(
    "wrong", [{"forgets": [5]}, {"forgets": [{"job": "job_1"}]}, {"leftOut": {"rows": 5, "hash": ""}}]
)
def test_what_a_job_deleted_is_checked(wrong: dict[str, Any]) -> None:
    job = {"id": ID, "name": "x", "status": "completed", "createdAt": "2026-01-01T00:00:00Z"}
    assert reader.check_job({**job, "config": CONFIG})
    with pytest.raises(BadRequestError, match=r"config\.(forgets|leftOut)"):
        reader.check_job({**job, "config": {**CONFIG, **wrong}})


def test_an_imported_job_loses_its_cluster(tmp_path: Path) -> None:
    hostile = {**CONFIG, "cluster": "ray://elsewhere:10001", "insecureCluster": True, "storage": "/etc"}
    (tmp_path / "hostile.tar").write_bytes(whole(*built(config=hostile)))
    taken = import_job(data_of(tmp_path / "there").parent, tmp_path / "hostile.tar")
    assert not {"cluster", "insecureCluster", "storage"} & taken.job["config"].keys()


def test_an_imported_job_loses_its_blob_addresses(
    tmp_path: Path,
) -> None:
    inner = {"type": "blob", "url": "http://127.0.0.1:8080/data/a.jsonl?x=/b", "token": "***", "form": "chat"}
    parts = [inner, CONFIG["datasetSource"], {"type": "blob", "url": "https://localtest.me/"}]
    hostile = {
        **CONFIG,
        "reportTo": ["wandb"],
        "datasetSource": {"type": "list", "sources": parts},
        "evalDatasetSource": {"type": "blob", "url": "http://[::1"},
    }
    (tmp_path / "hostile.tar").write_bytes(whole(*built(config=hostile)))
    config = import_job(data_of(tmp_path / "there").parent, tmp_path / "hostile.tar").job["config"]
    assert "reportTo" not in config
    assert config["datasetSource"]["sources"] == [
        {"type": "file", "path": "a.jsonl", "form": "chat"},
        CONFIG["datasetSource"],
        {"type": "file", "path": "data.jsonl"},
    ]
    assert config["evalDatasetSource"] == {"type": "file", "path": "data.jsonl"}
    check_config(config)


# --- hostile files --------------------------------------------------------------------------------------


def member(name: str, content: bytes = b"", **how: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in how.items():
        setattr(info, key, value)
    return info.tobuf(how.pop("format", tarfile.USTAR_FORMAT)) + content + bytes(-len(content) % 512)


def described(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def built(
    *, files: dict[str, bytes] | None = None, events: bytes = b"", **job: Any
) -> tuple[dict[str, Any], list[bytes]]:
    """A manifest and the members after it."""
    files = {"final/a.json": b"x"} if files is None else files
    facts = {"id": ID, "name": "n", "status": "completed", "config": CONFIG}
    listed = [{"path": name, **described(content)} for name, content in files.items()]
    manifest = {
        "format": 1,
        "job": {**facts, "createdAt": "2026-01-01T00:00:00Z", **job},
        "events": described(events),
        "files": listed,
    }
    members = [member(f"files/{name}", content) for name, content in files.items()]
    return manifest, [member("events.jsonl", events), *members]


def whole(manifest: object, members: list[bytes]) -> bytes:
    return member("job.json", json.dumps(manifest).encode()) + b"".join(members) + bytes(1024)


def with_member(odd: bytes) -> bytes:
    manifest, members = built()
    return whole(manifest, [members[0], odd])


def with_manifest(**other: Any) -> bytes:
    manifest, members = built()
    return whole({**manifest, **other}, members)


def changed(old: bytes, new: bytes) -> bytes:
    content = whole(*built(files={"final/a.json": b"good content"}))
    assert old in content
    return content.replace(old, new)


def too_large(name: str, size: int) -> bytes:
    return with_manifest(files=[{"path": name, "bytes": size, "sha256": ""}])


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"no archive" * 1000,
    "gzip": lambda: b"\x1f\x8b" + bytes(2000),
    "cut": lambda: whole(*built(files={"final/a.json": b"x" * 5000}))[:3000],
    "symlink": lambda: with_member(member(A, type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "hard link": lambda: with_member(member(A, type=tarfile.LNKTYPE, linkname="job.json")),
    "device": lambda: with_member(member(A, type=tarfile.CHRTYPE)),
    "fifo": lambda: with_member(member(A, type=tarfile.FIFOTYPE)),
    "folder": lambda: with_member(member(A, type=tarfile.DIRTYPE)),
    "sparse": lambda: with_member(member(A, type=tarfile.GNUTYPE_SPARSE)),
    "long name": lambda: with_member(member(A, type=tarfile.GNUTYPE_LONGNAME)),
    "pax": lambda: with_member(member(A, type=tarfile.XHDTYPE)),
    "dots": lambda: whole(*built(files={"final/../../../../out.json": b"x"})),
    "dots inside": lambda: whole(*built(files={"final/../../../out.json": b"x"})),
    "absolute": lambda: whole(*built(files={"/tmp/final/out.json": b"x"})),
    "empty name": lambda: whole(*built(files={"": b"x"})),
    "control": lambda: whole(*built(files={"final/a\x1b.json": b"x"})),
    "backslash": lambda: whole(*built(files={"final/..\\out.json": b"x"})),
    "deep": lambda: whole(*built(files={"final/" + "a/" * 30 + "b.json": b"x"})),
    "twice": lambda: whole({**built()[0], "files": built()[0]["files"] * 2}, [*built()[1], built()[1][-1]]),
    "file as a folder": lambda: whole(*built(files={"final/a.json": b"x", "final/a.json/b.json": b"x"})),
    "other member": lambda: with_member(member("files/final/b.json", b"x")),
    "changed": lambda: changed(b"good content", b"evil content"),
    "larger than said": lambda: whole(
        {**built()[0], "files": [{"path": "final/a.json", **described(b"xy")}]}, built()[1]
    ),
    "bomb": lambda: with_manifest(files=[{"path": "final/a.json", "bytes": 1 << 60, "sha256": ""}]),
    "events' bomb": lambda: with_manifest(events={"bytes": 1 << 32, "sha256": ""}),
    "many files": lambda: with_manifest(files=[{"path": "final/a.json", "bytes": 0, "sha256": ""}] * 10_001),
    "negative": lambda: with_manifest(files=[{"path": "final/a.json", "bytes": -1, "sha256": ""}]),
    "no list": lambda: with_manifest(files={"a": 1}),
    "later format": lambda: with_manifest(format=2),
    "no job": lambda: with_manifest(job=[]),
    "deep json": lambda: member("job.json", b"[" * 100_000),
    "other id": lambda: whole(*built(id="../../etc")),
    "running": lambda: whole(*built(status="running")),
    "name": lambda: whole(*built(name="a\x1b[31m")),
    "notes": lambda: whole(*built(notes="\u202e")),
    "tags": lambda: whole(*built(tags=["a,b"])),
    "config": lambda: whole(*built(config={"model": 5})),
    "time": lambda: whole(*built(createdAt="soon")),
    "metrics": lambda: whole(*built(metrics=[1])),
    "a step as text": lambda: whole(*built(metrics={"step": "1"})),
    "error": lambda: whole(*built(error={"a": 1})),
    "event": lambda: whole(*built(events=b'["a", 5]\n')),
    "event's name": lambda: whole(*built(events=b'["\\u001b", {}]\n')),
    "half a character": lambda: whole(*built(events=b'["a", {"x": "\\ud800"}]\n')),
    "no json": lambda: whole(*built(events=b"nonsense\n")),
    "two events in a line": lambda: whole(*built(events=b'["a", {}],["b", {}]\n')),
    "figure of 400 digits": lambda: whole(*built(events=b'["a", {"loss": 1%s}]\n' % (b"0" * 400))),
    "infinite figure": lambda: whole(*built(events=b'["a", {"loss": 1e999}]\n')),
    "end": lambda: whole(*built(events=b'["end", {}]\n["training.log", {}]\n')),
    "no name": lambda: whole(*built(name=None)),
    "status": lambda: whole(*built(status=["completed"])),
    "time as a number": lambda: whole(*built(createdAt=20260101)),
    "large figures": lambda: whole(*built(metrics={"step": 1, "x": "x" * 70_000})),
    "large settings": lambda: whole(*built(settings={"x": "x" * 70_000})),
    "large config": lambda: whole(*built(config={**CONFIG, "x": "x" * (1 << 20)})),
    "votes' bomb": lambda: too_large("votes.jsonl", 5 << 20),
    "result's bomb": lambda: too_large("evaluation/final.json", 9 << 20),
    "card's bomb": lambda: too_large("checkpoints/5/README.md", 2 << 20),
    "text's bomb": lambda: too_large("final/tokenizer.json", 300 << 20),
}
for _name in (
    "exports/exp_0123456789ab.json",
    "exports/exp_0123456789ab/model.safetensors",
    "reports/wandb.json",
    "verdict.json",
    "job.json",
    "scratch/rows.jsonl",
    "final/adapter_model.bin",
    "final/modeling.py",
    "final.part/a.json",
    "checkpoints/5.part/a.json",
    "checkpoints/a/a.json",
    "checkpoints/007/a.json",
    "resume/../exports/a.json",
    "final",
):
    HOSTILE[_name] = lambda name=_name: whole(*built(files={name: b"{}"}))  # type: ignore[misc]


def test_a_valid_archive_is_imported(tmp_path: Path) -> None:
    content = whole(
        *built(
            files={"final/b.json": b"x"}, events=b'["log", {"x": 1, "artifacts": [{"path": "../../etc"}]}]\n'
        )
    )
    (tmp_path / "good.tar").write_bytes(content)
    taken = import_job(tmp_path, tmp_path / "good.tar")
    with contextlib.closing(sqlite3.connect(taken.events)) as db:
        (event,) = db.execute("SELECT id, name, data FROM events").fetchall()
    assert event[:2] == (1, "log")
    assert json.loads(event[2]) == {"x": 1, "artifacts": [{}], "jobId": ID}
    taken.install_files()
    assert (tmp_path / "jobs" / ID / "final" / "b.json").read_bytes() == b"x"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "job.tar").write_bytes(HOSTILE[name]())
    before = sorted(tmp_path.iterdir())

    with pytest.raises(BadRequestError):
        import_job(data, tmp_path / "job.tar")
    assert sorted(tmp_path.iterdir()) == before
    assert [path for path in data.rglob("*") if path != data / "jobs"] == []


def test_a_fifo_and_a_missing_archive_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "none"):
        with pytest.raises(BadRequestError):
            import_job(tmp_path, tmp_path / name)


def test_imported_events_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_EVENTS", 100)
    (tmp_path / "job.tar").write_bytes(whole(*built(events=b'["a", {}]\n' * 101)))
    with pytest.raises(BadRequestError, match="more than 100 events"):
        import_job(tmp_path, tmp_path / "job.tar")
    assert list((tmp_path / "jobs").iterdir()) == []


def test_an_import_without_disk_space_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SPARE", 1 << 60)
    (tmp_path / "job.tar").write_bytes(whole(*built()))
    with pytest.raises(BadRequestError, match=r"free\. Nothing was changed\. To make room"):
        import_job(tmp_path, tmp_path / "job.tar")
