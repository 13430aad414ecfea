"""``arkor-dev push`` of a backend that tells of an export what cannot be read, or sends other files."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("huggingface_hub")

from arkor_dev.client import exports
from tests.cli.commands.test_jobs import Command, command
from tests.support.fake_exports import PROOF

from .test_push import ALL, hub, job, left_over, quick

__all__ = ["command", "hub", "job", "quick"]

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.fake_hub import FakeHub


def entry(name: str, text: bytes) -> dict[str, Any]:
    return {"name": name, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


DONE: dict[str, Any] = {
    "id": "exp_9",
    "format": "merged",
    "state": "completed",
    "bytes": 7,
    "files": [entry(name, text) for name, text in ALL.items()],
    "proof": PROOF,
}


UNREADABLE: list[dict[str, Any]] = [
    {"bytes": "7"},
    {"bytes": True},
    {"bytes": -1},
    {"files": [7]},
    {"files": None},
    {"proof": ["same"]},
]


async def test_unreadable_exports_are_skipped(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    for number, told in enumerate(UNREADABLE):
        fake_backend.exports.add(job, {**DONE, **told, "id": f"exp_{number}"})
    await command.run(0, "push", job, "ann/keeper", "--format", "merged", "--yes", "--force")
    assert hub.repos["ann/keeper"].files == ALL


@pytest.mark.parametrize("told", [UNREADABLE[0], *UNREADABLE[2:]])
async def test_an_unreadable_new_export_is_an_error(
    command: Command,
    fake_backend: FakeBackend,
    hub: FakeHub,
    job: str,
    told: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = fake_backend.exports._told
    monkeypatch.setattr(fake_backend.exports, "_told", lambda *how: {**right(*how), **told})
    fake_backend.exports.looks = 0
    said = await command.run(2, "push", job, "ann/keeper", "--format", "merged", "--yes", "--force")
    assert "The backend's response about the export is unreadable" in said
    assert hub.repos == {}


async def test_a_file_longer_than_announced_is_not_read_completely(
    command: Command,
    fake_backend: FakeBackend,
    hub: FakeHub,
    job: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, right, read = "adapter_model.safetensors", hashlib.sha256, []

    class Counting:
        def __init__(self) -> None:
            self.digest = right()

        def update(self, chunk: bytes) -> None:
            read.append(len(chunk))
            self.digest.update(chunk)

        def hexdigest(self) -> str:
            return self.digest.hexdigest()

    fake_backend.exports.files = {name: b"x" * 9 * 2**20}
    fake_backend.exports.named = [{**entry(name, b""), "bytes": 9}]
    monkeypatch.setattr(exports, "hashlib", SimpleNamespace(sha256=Counting))
    said = await command.run(2, "push", job, "ann/keeper", "--yes")
    assert "does not match its size and hash" in said
    assert sum(read) <= 9
    assert left_over(settings) == []
    assert hub.repos == {}
