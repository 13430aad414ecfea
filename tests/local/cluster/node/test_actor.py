"""A node takes files by the hash that they were sent with, reads none twice, and tells what is said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster.node import actor as module
from arkor_dev.local.execution.messages import JobRequest, Leave
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.process import Child
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = b"weights of a model, in some pieces"
SHA256 = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[module.HostedJob]:
    """One without its watch, which would end this process when nobody speaks to it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nobody = SimpleNamespace(Thread=lambda **_: SimpleNamespace(start=lambda: None), Event=threading.Event)
    monkeypatch.setattr(module, "threading", nobody)
    made = module.HostedJob("job_1", "name", "00", 60)
    yield made
    made._lock.close()
    made._spool.close()


async def put(node: module.HostedJob, text: bytes, sha256: str = SHA256, pieces: int = 3) -> None:
    step = -(-len(text) // pieces)
    for offset in range(0, len(text), step):
        await node.put(sha256, offset, text[offset : offset + step], len(text))


async def test_an_upload_is_visible_once_complete(
    node: module.HostedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_again(_: Path) -> Any:
        raise AssertionError("a file of many gigabytes takes longer to read than a call may take")

    monkeypatch.setattr(module, "file_entry", read_again)
    assert await node.missing_files({SHA256: len(TEXT)}) == f'["{SHA256}"]'.encode()
    await put(node, TEXT)
    assert await node.missing_files({SHA256: len(TEXT)}) == b"[]"
    await node.place_files({"project/model/model.safetensors": SHA256}, {})
    assert (node._home / "project/model/model.safetensors").read_bytes() == TEXT
    empty = hashlib.sha256().hexdigest()
    await node.put(empty, 0, b"", 0)
    assert await node.missing_files({empty: 0}) == b"[]"


async def test_an_interrupted_upload_restarts(node: module.HostedJob) -> None:
    await node.put(SHA256, 0, TEXT[:7], len(TEXT))
    await put(node, TEXT)
    assert await node.missing_files({SHA256: len(TEXT)}) == b"[]"


async def test_an_upload_with_another_hash_is_refused(node: module.HostedJob) -> None:
    with pytest.raises(OSError, match="different content"):
        await put(node, TEXT[:-1] + b"!")
    with pytest.raises(OSError, match="different content"):
        await put(node, TEXT + b"!")
    await node.put(SHA256, 0, TEXT[:7], len(TEXT))
    with pytest.raises(OSError, match="missing or repeated"):
        await node.put(SHA256, 9, TEXT[9:], len(TEXT))
    with pytest.raises(OSError, match="not a SHA-256"):
        await put(node, TEXT, "../../evil")
    assert await node.missing_files({SHA256: len(TEXT)}) == f'["{SHA256}"]'.encode()
    assert list(node._files.iterdir()) == []


async def test_the_last_message_of_an_ended_worker_is_returned_at_once(
    node: module.HostedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 60)
    child = await Child.start("tests.local.execution.speaking")
    child.send(JobRequest("job_1", config_of({"ends": "failed"}), "", ""))
    child.send(Model("model", Path("model")))
    child.send(Leave(hold=False))
    node._create_task(node._read_messages(child))
    said: list[dict[str, Any]] = []
    over = None
    async with asyncio.timeout(30):
        while not over:
            told = json.loads(await node.poll(len(said), 0, 1))
            said, over = [*said, *told["messages"]], told["over"]
    assert said[-1]["kind"] == "Ended"
    assert said[-1]["event"]["type"] == "training.failed"


def test_waiting_for_storage_keeps_the_actor_alive(node: module.HostedJob) -> None:
    node._last_call = 0.0
    node._storage._keep_alive()
    assert node._last_call > 0
