"""Reports of exports while one of them ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.local.exports import formats, service
from arkor_dev.local.exports.service import ExportRequest, Exports
from arkor_dev.local.gguf.installed import install
from arkor_dev.local.jobs.job_folder import (
    export_folder,
    export_ids,
    export_record,
    exports_folder,
    final_folder,
)
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import Export, ExportFile

JOB: Any = {"id": "job_1"}
RECORD: Export = {
    "id": "exp_000000000001",
    "format": "merged",
    "state": "running",
    "createdAt": "2026-01-01T00:00:00.000Z",
}
FILE: ExportFile = {"name": "a.bin", "bytes": 1, "sha256": "6b86b273"}


def test_an_export_that_completes_during_listing_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is written and its order forgotten between the two looks."""
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    done = export_record(tmp_path, "job_1", "exp_000000000000")
    done.write_json({**RECORD, "id": "exp_000000000000", "state": "completed"})
    exports._tasks["exp_000000000001"] = ExportRequest(JOB, tmp_path, RECORD.copy())
    look = export_ids

    def done_meanwhile(data: Path, job_id: str) -> set[str]:
        if exports._tasks.pop("exp_000000000001", None):
            export_record(data, job_id, "exp_000000000001").write_json({**RECORD, "state": "completed"})
        return look(data, job_id)

    monkeypatch.setattr("arkor_dev.local.exports.service.export_ids", done_meanwhile)
    assert {each["id"] for each in exports.list("job_1")} == {"exp_000000000000", "exp_000000000001"}
    assert {each["state"] for each in exports.list("job_1")} == {"completed"}


async def test_an_interrupted_export_restarts_after_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that cannot fit is refused before the end of the process that was killed for it is noticed."""
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    request = exports._tasks["exp_000000000001"] = ExportRequest(
        JOB, tmp_path, {**RECORD, "state": "waiting"}
    )
    made: list[str] = []

    async def make(request: ExportRequest) -> None:
        made.append(request.record["state"])
        if len(made) == 1:
            exports.training_begins()
            raise JobFailure("It was killed (signal 9), most likely because the machine ran out of memory")
        request.record["bytes"] = 7

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(60):
        while "exp_000000000001" in exports._tasks and "error" not in request.record:  # noqa: ASYNC110 - only the report shows the end
            await asyncio.sleep(0.01)
    assert made == ["running", "running"]
    (record,) = exports.list("job_1")
    assert (record["state"], record["bytes"]) == ("completed", 7)


async def test_a_failed_export_keeps_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    for number in (1, 2, 3):
        record: Export = {**RECORD, "id": f"exp_{number:012}", "state": "waiting"}
        exports._tasks[f"exp_{number:012}"] = ExportRequest(JOB, tmp_path, record)

    async def make(request: ExportRequest) -> None:
        if request.record["id"] == "exp_000000000001":
            raise JobFailure("no room")
        if request.record["id"] == "exp_000000000002":
            raise KeyError("x")

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(60):
        while "exp_000000000003" in exports._tasks:  # noqa: ASYNC110 - only the report shows the end
            await asyncio.sleep(0.01)
    assert {each["id"]: (each["state"], each.get("error")) for each in exports.list("job_1")} == {
        "exp_000000000001": ("failed", "no room"),
        "exp_000000000002": ("failed", "the local backend failed: KeyError: 'x'"),
        "exp_000000000003": ("completed", None),
    }


async def test_files_that_fail_the_proof_are_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    request = exports._tasks["exp_000000000001"] = ExportRequest(
        JOB, tmp_path, {**RECORD, "state": "waiting"}
    )
    folder = export_folder(tmp_path, "job_1", "exp_000000000001")
    offered: list[Path] = []

    async def make(request: ExportRequest) -> None:
        folder.mkdir(parents=True)
        (folder / "a.bin").write_bytes(b"1")
        request.record |= {"state": "verifying", "bytes": 1, "files": [FILE]}
        offered.append(exports.file("job_1", "exp_000000000001", "a.bin"))
        raise JobFailure("no memory")

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(60):
        while request.record["state"] != "failed":  # noqa: ASYNC110 - only the report shows the end
            await asyncio.sleep(0.01)
    assert offered == [folder / "a.bin"]
    (record,) = exports.list("job_1")
    assert (record["error"], "files" in record, "bytes" in record) == ("no memory", False, False)
    assert not folder.exists()
    with pytest.raises(NotFoundError):
        exports.file("job_1", "exp_000000000001", "a.bin")


@pytest.mark.parametrize("other_work", ["an export", "a job"])
async def test_a_verification_yields_and_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_work: str
) -> None:
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    merged: Export = {**RECORD, "format": "merged", "state": "waiting"}
    first = exports._tasks["exp_000000000001"] = ExportRequest(JOB, tmp_path, merged)
    killed = asyncio.Event()
    made: list[tuple[str, str]] = []

    async def make(request: ExportRequest) -> None:
        made.append((request.record["id"][-1], request.record["state"]))
        if request is not first or len(made) > 1:
            return
        file = export_folder(tmp_path, "job_1", "exp_000000000001") / "a.bin"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"1")
        request.record |= {"state": "verifying", "bytes": 1, "files": [FILE]}
        request.child = SimpleNamespace(kill=killed.set)  # type: ignore[assignment]
        if other_work == "a job":
            exports.training_begins()
        else:
            record: Export = {**RECORD, "id": "exp_000000000002", "format": "adapter", "state": "waiting"}
            exports._start(record["id"], ExportRequest(JOB, tmp_path, record))
            exports._defer_verification()
        await killed.wait()
        request.child = None
        raise JobFailure("It was killed")

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(60):
        while exports._tasks and "error" not in first.record:
            if first.record["state"] == "verifying":
                assert exports.file("job_1", RECORD["id"], "a.bin").is_file()
            await asyncio.sleep(0.01)
    between = [("2", "running")] if other_work == "an export" else []
    assert made == [("1", "running"), *between, ("1", "verifying")]
    assert {each["state"] for each in exports.list("job_1")} == {"completed"}
    assert exports.file("job_1", RECORD["id"], "a.bin").read_bytes() == b"1"


async def test_the_folder_of_a_deleted_job_is_not_recreated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process makes the folder anew, where it is killed a moment after the job's files were removed."""
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    exports._tasks["exp_000000000001"] = ExportRequest(JOB, tmp_path, {**RECORD, "state": "waiting"})
    folder = exports_folder(tmp_path, "job_1")

    async def make(_: ExportRequest) -> None:
        (folder / "exp_000000000001.part").mkdir(parents=True)
        exports.drop("job_1")
        raise JobFailure("It was killed")

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(60):
        while exports._tasks or folder.parent.exists():  # noqa: ASYNC110 - nothing reports it now
            await asyncio.sleep(0.01)
    assert list(folder.parent.parent.iterdir()) == []


HOSTILE_IDS = (
    "..",
    "../../job_x",
    "exp_../../..",
    "exp_",
    "exp_*",
    "",
    "exp_0123456789ab/../..",
)


async def test_a_foreign_record_accesses_no_other_files(tmp_path: Path) -> None:
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    other = tmp_path / "jobs" / "job_x"
    (tmp_path / "outside").mkdir(parents=True)
    (tmp_path / "outside" / "kept").write_text("secret")
    other.mkdir(parents=True)
    (other / "kept").write_text("kept")
    folder, good = exports_folder(tmp_path, "job_1"), "exp_0123456789ab"
    (folder / good).mkdir(parents=True)
    names = ["../../../../outside/kept", "/etc/passwd", "..", ".", "a/b", "link", "folder", "\0"]
    (folder / good / "link").symlink_to(tmp_path / "outside" / "kept")
    (folder / good / "folder").mkdir()
    record: Export = {**RECORD, "state": "completed", "files": [{**FILE, "name": name} for name in names]}
    for name in ("exp_a.json", "exp_..json", f"{good}.json"):
        (folder / name).write_text(json.dumps({**record, "id": "../../../../outside"}))
    assert exports.list("job_1") == []
    (folder / f"{good}.json").write_text(json.dumps({**record, "id": good}))
    for hostile in HOSTILE_IDS:
        with pytest.raises(NotFoundError):
            exports.get("job_1", hostile)
        with pytest.raises(NotFoundError):
            await exports.remove("job_1", hostile)
    for name in names:
        with pytest.raises(NotFoundError):
            exports.file("job_1", good, name)
    await exports.remove("job_1", good)
    assert not (folder / good).exists()
    assert (tmp_path / "outside" / "kept").read_text() == "secret"
    assert (other / "kept").read_text() == "kept"


def test_a_file_in_a_subfolder_is_offered_but_none_behind_a_link(tmp_path: Path) -> None:
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    outside, folder = tmp_path / "outside", export_folder(tmp_path, "job_1", RECORD["id"])
    for path in (outside / "config.json", folder / "1_Pooling" / "config.json"):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    (folder / "linked").symlink_to(outside)
    names = ["1_Pooling/config.json", "linked/config.json", "1_Pooling/../../config.json"]
    files: list[ExportFile] = [{**FILE, "name": name} for name in names]
    export_record(tmp_path, "job_1", RECORD["id"]).write_json(
        {**RECORD, "state": "completed", "files": files}
    )
    assert exports.file("job_1", RECORD["id"], names[0]) == folder / names[0]
    for name in names[1:]:
        with pytest.raises(NotFoundError):
            exports.file("job_1", RECORD["id"], name)


async def test_an_export_whose_record_cannot_be_read_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version may write fields that this one does not know: another export must not delete it."""
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    known, other = "exp_000000000000", "exp_0123456789ab"
    for export_id in (known, other):
        folder = export_folder(tmp_path, "job_1", export_id)
        folder.mkdir(parents=True)
        (folder / "a.bin").write_bytes(b"a")
    done = {**RECORD, "state": "completed", "files": [FILE]}
    export_record(tmp_path, "job_1", known).write_json({**done, "id": known})
    export_record(tmp_path, "job_1", other).write_json({**done, "id": other, "createdAt": 7, "signed": True})
    monkeypatch.setattr(service, "saved_folder", lambda *_: tmp_path)
    monkeypatch.setattr(service, "refusal", lambda *_: None)
    job: Any = {"id": "job_1", "name": "a", "status": "completed", "config": {}}
    new = await exports.request(job, {"format": "merged"})
    listed = {record["id"]: record for record in exports.list("job_1")}
    assert listed.keys() == {known, other, new["id"]}
    assert (listed[other]["state"], listed[other]["format"]) == ("failed", "merged")
    assert "record" in listed[other]["error"]
    assert (export_folder(tmp_path, "job_1", other) / "a.bin").exists()
    with pytest.raises(NotFoundError):
        exports.file("job_1", other, "a.bin")
    await exports.remove("job_1", other)
    assert not export_folder(tmp_path, "job_1", other).exists()
    exports.drop("job_1")


async def test_an_unattended_export_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client was killed; one that was ordered on the page goes on."""
    monkeypatch.setattr(service, "EXPIRY_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(service, "ATTENDED_SECONDS", 0.2)
    job: Any = {"id": "job_1", "name": "n", "status": "completed", "config": {}}
    final_folder(tmp_path, "job_1").mkdir(parents=True)
    (final_folder(tmp_path, "job_1") / "adapter_config.json").write_text("{}")
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: True)  # type: ignore[arg-type]
    async with exports.running(), asyncio.timeout(60):
        page = await exports.request(job, {"format": "adapter"})
        killed = await exports.request(job, {"format": "adapter", "attended": True})
        attended = await exports.request(job, {"format": "adapter", "attended": True})
        while killed["id"] in exports._tasks:
            exports.get("job_1", attended["id"])
            await asyncio.sleep(0.01)
    assert {each["id"] for each in exports.list("job_1")} == {page["id"], attended["id"]}


async def test_impossible_formats_are_refused_in_advance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: True)  # type: ignore[arg-type]
    job: Any = {"id": "job_1", "name": "n", "status": "completed", "config": {}}
    assert exports.formats(job) == [], "nothing has been saved"
    final = final_folder(tmp_path, "job_1")
    final.mkdir(parents=True)

    def problems() -> dict[str, str]:
        return {each["format"]: each["problem"] for each in exports.formats(job) if "problem" in each}

    monkeypatch.setattr(formats, "lacking", lambda: None)
    assert list(problems()) == ["adapter", "gguf-lora"], "of a model that was trained whole"
    (final / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    assert problems() == {}
    job["config"] = {"loadIn4bit": True}
    assert list(problems()) == ["gguf-lora"], "the others are written from the weights multiplied out"
    job["config"] = {}
    monkeypatch.setattr(formats, "lacking", lambda: "GGUF needs llama.cpp.")
    assert problems() == dict.fromkeys(("gguf", "gguf-lora", "ollama"), "GGUF needs llama.cpp.")
    assert [each["install"] for each in exports.formats(job)[2:]] == 3 * [install()]
    for form, reason in problems().items():
        with pytest.raises(ConflictError, match=reason):
            await exports.request(job, {"format": form})


def test_an_embedder_of_dora_has_no_other_strength(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scaled, such an adapter is not between its base and itself."""
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "use_dora": true}')
    (tmp_path / "embedder.json").write_text("{}")
    monkeypatch.setattr(formats, "find_spec", lambda _: True)
    config: Any = {}
    assert formats.refusal(tmp_path, config, "merged") is None
    assert "no other strength than 1" in str(formats.refusal(tmp_path, config, "merged", 0.5))


def test_the_service_imports_no_training_library() -> None:
    """`lint-imports` leaves out the classes that the formats' records load in the worker."""
    code = (
        "import sys, arkor_dev.local.exports.service; "
        "print(sorted({'torch', 'transformers', 'peft', 'llama_cpp'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
