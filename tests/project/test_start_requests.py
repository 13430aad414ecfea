"""Requests to start a run: who waits, who may answer, and what becomes of those whose program has ended."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError
from arkor_dev.project import start_requests
from arkor_dev.project.start_requests import COUNT_SECONDS, MOST, PendingStart, WaitingCount, answer, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import StartRequest

SAID: dict[str, Any] = {
    "client": "test\u202e", "name": "bot", "model": "m", "data": "d.jsonl", "changes": [["a", "1"]],
    "dryRun": False,
}  # fmt: skip


def test_a_start_request_is_answered_once_and_deleted(tmp_path: Path) -> None:
    for allow in (True, False):
        with PendingStart(tmp_path, SAID) as request:
            (shown,) = waiting(tmp_path)
            assert (shown["id"], shown["client"], shown["changes"]) == (request.id, "test", [["a", "1"]])
            assert request.answer() is None
            answer(tmp_path, request.id, allow=allow)
            assert request.answer() is allow
            assert list(waiting(tmp_path)) == []
            with pytest.raises(NotFoundError):
                answer(tmp_path, request.id, allow=not allow)
            assert request.answer() is allow
        assert list(tmp_path.iterdir()) == []


async def test_pending_requests_are_counted_at_most_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, now = 0, 100.0

    def counted(folder: Path) -> Iterator[StartRequest]:
        nonlocal listed
        listed += 1
        return waiting(folder)

    monkeypatch.setattr(start_requests, "waiting", counted)
    count = WaitingCount(tmp_path, clock=lambda: now)
    assert await asyncio.gather(*(count.get() for _ in range(50))) == [0] * 50
    assert listed == 1
    monkeypatch.undo()
    with PendingStart(tmp_path, SAID):
        assert await count.get() == 0
        now += COUNT_SECONDS
        assert await count.get() == 1


def test_invalid_late_and_excess_answers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "requests"
    with PendingStart(folder, SAID) as request:
        for name in ("../x", "", request.id[:-1], "."):
            with pytest.raises(NotFoundError):
                answer(folder, name, allow=True)
        others = [PendingStart(folder, SAID).__enter__() for _ in range(MOST - 1)]
        with pytest.raises(ConflictError, match="Answer those first"), PendingStart(folder, SAID):
            pass
        monkeypatch.setattr("arkor_dev.project.start_requests.time.time", lambda: time.monotonic() + 1e12)
        assert list(waiting(folder)) == []
        with pytest.raises(NotFoundError):
            answer(folder, request.id, allow=True)
        with pytest.raises(ConflictError, match="Nobody answered"):
            request.answer()
        for each in others:
            each.__exit__()
    assert list(folder.iterdir()) == []


def test_requests_of_ended_programs_are_not_listed(tmp_path: Path) -> None:
    abandoned = tmp_path / f"{'a' * 32}.json"
    abandoned.write_text(json.dumps({**SAID, "expiresAt": time.time() + 100}))
    (tmp_path / "link.json").symlink_to("/etc/passwd")
    assert list(waiting(tmp_path)) == []
    assert not abandoned.exists()


@pytest.mark.parametrize(
    "hidden",
    [
        {"model": "y" * 10_000},
        {"data": "safe.jsonl\u202e"},
        {"changes": "x" * 500},
        {"changes": [["epochs", "1"], ["epochs", "9999"]]},
        {"changes": [["a", "1" * 10_000]]},
        {"changes": [[f"a{number}", "1"] for number in range(1000)]},
    ],
)
def test_a_request_that_cannot_be_displayed_is_refused(tmp_path: Path, hidden: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match="cannot show"):
        PendingStart(tmp_path, {**SAID, **hidden})
    with PendingStart(tmp_path, SAID) as request:
        path = tmp_path / f"{request.id}.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **hidden}))
        assert list(waiting(tmp_path)) == []
        with pytest.raises(NotFoundError):
            answer(tmp_path, request.id, allow=True)
