"""``arkor-dev export``: files in a folder, whole or not at all, and what the proof says."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.client import background_work
from tests.support.fake_exports import FILES, PROOF, USAGE

from .test_jobs import Command, command

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend

__all__ = ["command"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_work, "LOOK_SECONDS", 0.01)


@pytest.fixture
def job(signed_in: None, fake_backend: FakeBackend) -> str:
    del signed_in
    fake_backend.features = ["exports"]
    return fake_backend.add_job("completed", name="keeper")


async def test_export_writes_verified_files(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    out = tmp_path / "صادر 🦜"
    said = await command.run(0, "export", job, "--out", str(out))
    assert PROOF["sentence"] in said
    assert f'PeftModel.from_pretrained(base, "{out}")' in said
    assert {path.name: path.read_bytes() for path in out.iterdir()} == FILES
    assert list(tmp_path.glob(".صادر*")) == []
    assert fake_backend.exports.of(job) == {}, "what lies here need not lie there too"
    found = json.loads(await command.run(0, "export", job, "--out", str(tmp_path / "b"), "--json"))
    assert (found["export"]["proof"], found["path"]) == (PROOF, str(tmp_path / "b"))


async def test_an_export_keeps_its_subfolders(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    """As those of sentence-transformers, which has a module's settings in a folder of its own."""
    fake_backend.exports.files = {"modules.json": b"[]", "1_Pooling/config.json": b"{}"}
    out = tmp_path / "out"
    await command.run(0, "export", job, "--format", "merged", "--out", str(out))
    assert (out / "modules.json").read_bytes() == b"[]"
    assert (out / "1_Pooling" / "config.json").read_bytes() == b"{}"


async def test_export_downloads_before_the_proof(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    fake_backend.exports.proving = 2
    said = await command.run(0, "export", job, "--out", str(tmp_path / "out"))
    assert said.index("sha256") < said.index(f"Verified. {PROOF['sentence']}")
    fake_backend.exports.failing[job] = "the machine ran out of memory"
    said = await command.run(2, "export", job, "--out", str(tmp_path / "b"))
    assert "the machine ran out of memory" in said
    assert f"The files in {tmp_path / 'b'} have not been verified: do not rely on them." in said
    assert "Verified." not in said
    assert {path.name for path in (tmp_path / "b").iterdir()} == set(FILES)


async def test_the_vllm_command_is_omitted_where_it_fails(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "vllm serve BASE" in await command.run(0, "export", job, "--out", str(tmp_path / "out"))
    monkeypatch.setitem(USAGE, "adapter", USAGE["adapter"][:1])
    said = await command.run(0, "export", job, "--out", str(tmp_path / "again"))
    assert "vLLM: not possible with this kind of adapter; export the job with --format merged" in said


async def test_the_best_checkpoint_is_exported_if_significantly_better(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    fake_backend.emit(job, "checkpoint.saved", step=20)
    fake_backend.emit(job, "checkpoint.saved", step=40)
    told: dict[str, object] = {"bestStep": 20, "bestVerdict": "better", "bestKept": True}

    async def exported(name: str, *how: str) -> object:
        await command.run(0, "export", job, "--out", str(tmp_path / name), *how)
        return fake_backend.last("POST /v1/jobs/{id}/exports").json().get("step")

    assert await exported("a") is None
    fake_backend.jobs[job]["evaluation"] = told
    assert await exported("b") == 20
    assert await exported("c", "--checkpoint", "final") is None
    assert await exported("d", "--checkpoint", "40") == 40
    changes: list[dict[str, object]] = [{"bestVerdict": "same"}, {"bestKept": False}, {"bestStep": "x"}]
    for number, change in enumerate(changes):
        fake_backend.jobs[job]["evaluation"] = told | change
        assert await exported(f"e{number}") is None
    assert "valid number of steps" in await command.run(2, "export", job, "--checkpoint", "last")


async def test_an_export_that_differs_fails(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    fake_backend.exports.proof = PROOF | {
        "verdict": "differs",
        "faults": ["Its template\x1b[31m is another."],
    }
    said = await command.run(1, "export", job, "--format", "merged", "--out", str(tmp_path / "out"))
    assert "Its template is another." in said
    assert "from_pretrained" not in said
    assert (tmp_path / "out" / "adapter_config.json").exists()


async def test_gguf_options_are_sent(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    fake_backend.features = ["exports", "gguf"]
    fake_backend.exports.files = {"model.gguf": b"GGUF" * 9}
    out = tmp_path / "my out"
    how = ("--format", "gguf", "--quantization", "q4_k_m", "--strength", "0.5")
    said = await command.run(0, "export", job, "--out", str(out), *how)
    assert fake_backend.last("POST /v1/jobs/{id}/exports").json() == {
        "format": "gguf",
        "quantization": "q4_k_m",
        "strength": 0.5,
        "attended": True,
    }
    assert "gguf q4_k_m" in said
    assert hashlib.sha256(b"GGUF" * 9).hexdigest() in said
    assert f"llama-cli -m '{out}/model.gguf'" in said
    for line in (
        ("--format", "zip"),
        ("--format", "gguf", "--quantization", "q3"),
        ("--strength", "2"),
        ("--strength", "much"),
    ):
        await command.run(2, "export", job, "--out", str(tmp_path / "b"), *line)
    # What does not go together is said by the backend.
    both = ("--format", "merged", "--quantization", "q4_0")
    assert "quantization" in await command.run(2, "export", job, "--out", str(tmp_path / "b"), *both)


async def test_gguf_needs_the_feature(command: Command, job: str, tmp_path: Path) -> None:
    said = await command.run(2, "export", job, "--out", str(tmp_path / "out"), "--format", "gguf")
    assert "format has to be" in said


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('echo "$@" > "$0.asked"', "Added to Ollama as keeper: ollama run keeper"),
        ('echo "no \x1b[31mserver" >&2; exit 3', "Ollama rejected it: no server"),
        ("exit 3", "Ollama rejected it: exit status 3"),
    ],
)
async def test_ollama_imports_an_export(
    command: Command,
    fake_backend: FakeBackend,
    job: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    said: str,
) -> None:
    fake_backend.features = ["exports", "gguf"]
    fake_backend.exports.files = {"model.gguf": b"GGUF", "Modelfile": b"FROM ./model.gguf"}
    out, path = tmp_path / "out", tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    told = await command.run(0, "export", job, "--out", str(out), "--format", "ollama")
    assert f"ollama create keeper -f {out}/Modelfile" in told, "without Ollama the line is to be copied"
    (path / "ollama").write_text(f"#!/bin/sh\n{script}\n")
    (path / "ollama").chmod(0o755)
    assert said in await command.run(0, "export", job, "--out", str(out), "--format", "ollama", "--replace")
    asked = path / "ollama.asked"
    if asked.exists():
        assert asked.read_text().split() == ["create", "keeper", "-f", f"{out}/Modelfile"]
    asked.unlink(missing_ok=True)
    fake_backend.exports.proof = PROOF | {"verdict": "differs"}
    await command.run(1, "export", job, "--out", str(out), "--format", "ollama", "--replace")
    assert not asked.exists(), "what is another model is not taken in"


async def test_existing_files_are_not_overwritten(command: Command, job: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "--replace" in await command.run(2, "export", job, "--out", str(out))
    assert (out / "mine.txt").read_text() == "mine"
    await command.run(0, "export", job, "--out", str(out), "--replace")
    assert {path.name for path in out.iterdir()} == set(FILES)
    (tmp_path / "file").write_text("")
    assert "not a folder" in await command.run(2, "export", job, "--out", str(tmp_path / "file"))
    assert "No such folder" in await command.run(2, "export", job, "--out", str(tmp_path / "no" / "out"))
    assert "--out" in await command.run(2, "export", job)


async def test_files_that_do_not_match_their_hash_are_deleted(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    for named, said in (
        ([{"name": "adapter_config.json", "bytes": 8, "sha256": "0" * 64}], "does not match its size"),
        ([{"name": "adapter_config.json", "bytes": 9, "sha256": "0" * 64}], "does not match its size"),
        ([{"name": "../evil", "bytes": 8, "sha256": ""}], "unsafe file name"),
        ([{"name": "..", "bytes": 8, "sha256": ""}], "unsafe file name"),
        ([{"name": "a/../../evil", "bytes": 8, "sha256": ""}], "unsafe file name"),
        ([{"name": "/tmp/evil", "bytes": 8, "sha256": ""}], "unsafe file name"),
        ([{"name": "a\0b", "bytes": 8, "sha256": ""}], "unsafe file name"),
        ([{"name": "\ud800", "bytes": 8, "sha256": ""}], "unsafe file name"),
        ([{"name": "a", "bytes": 10**400, "sha256": ""}], "unreadable"),
        ([{"name": "a", "bytes": None, "sha256": ""}], "unreadable"),
        ([{"name": "a", "bytes": 10**18, "sha256": ""}], "The export takes 1000000 TB, and "),
        ([], "unreadable"),
        (["x"], "unreadable"),
    ):
        fake_backend.exports.named = named  # type: ignore[assignment]
        assert said in await command.run(2, "export", job, "--out", str(tmp_path / "out"))
        assert list(tmp_path.glob("*out*")) == list(tmp_path.glob(".*part*")) == []
        assert not (tmp_path / "evil").exists()


async def test_a_failed_export_has_its_reason(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path
) -> None:
    out = ("--out", str(tmp_path / "out"))
    fake_backend.exports.failing[job] = "the disk\x1b[31m is full"
    assert "Export failed: the disk is full" in await command.run(2, "export", job, *out)
    running = fake_backend.add_job("running")
    assert "is running" in await command.run(2, "export", running, *out)
    fake_backend.features = []
    assert "This backend can't export" in await command.run(2, "export", job, *out)


async def test_an_unwritable_output_folder_is_named(
    command: Command, fake_backend: FakeBackend, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await command.run(2, "export", job, "--out", str(tmp_path / ("x" * 300)))
    assert os.strerror(errno.ENAMETOOLONG) in said
    assert fake_backend.exports.of(job) == {}, "nothing was ordered"
    await command.run(0, "export", job, "--out", str(tmp_path / ("x" * 240)))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        said = await command.run(2, "export", job, "--out", str(tmp_path / "out"))
    assert os.strerror(errno.ENOSPC) in said
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkdtemp", full)
        said = await command.run(2, "export", job, "--out", str(tmp_path / "out"))
    assert os.strerror(errno.ENOSPC) in said
    assert [path.name for path in tmp_path.iterdir() if "export" in path.name or path.name == "out"] == []
    assert fake_backend.exports.of(job) == {}
    assert fake_backend.last("POST /v1/jobs/{id}/exports").json()["attended"] is True
