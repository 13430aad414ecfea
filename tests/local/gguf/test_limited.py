"""The child process for work with files of others: its time, its memory, its secrets, its end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.gguf import limited
from arkor_dev.local.gguf.limited import GIB, run
from arkor_dev.local.workers.errors import JobFailure
from tests.local.harness import until
from tests.support.processes import alive

from .obedient import Environment, Order

if TYPE_CHECKING:
    from pathlib import Path

CHILD = "tests.local.gguf.obedient"


def nothing(*_: Any) -> None:
    """Hears how far it has come."""


def test_the_limited_child_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for name in ("MY_API_KEY", "STORAGE_KEY", "DB_PASS", "PIP_INDEX_URL", "HTTPS_PROXY", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "https://ann:secret@example.org")
    told: list[Any] = []
    found = run(
        CHILD, Order("environment", GIB), 60, lambda *how: told.append(how), "It", Environment
    ).variables
    assert "hf_secret" not in found.values()
    assert "secret" not in str(found)
    assert "SSH_AUTH_SOCK" not in found
    assert found["PATH"] == os.environ["PATH"]
    assert (found["HF_HUB_OFFLINE"], told) == ("1", [("Looking", 1, 2, "B")])


def test_a_timeout_kills_all_descendants(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    for seconds in (1, 3, 10, 30):
        with pytest.raises(JobFailure, match="took longer than"):
            run(CHILD, Order("hang", GIB, str(place)), seconds, nothing, "It", Environment)
        if place.exists() and place.read_text():  # else the machine was too busy for it to start anything
            break
    until(lambda: not alive(int(place.read_text())))


def test_the_memory_of_the_child_is_limited() -> None:
    with pytest.raises(JobFailure, match="MemoryError"):
        run(CHILD, Order("eat", GIB // 2), 60, nothing, "It", Environment)


def test_an_invalid_message_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "MESSAGE_LIMIT", 2**20)
    for what in ("no JSON", "no object", "no end"):
        with pytest.raises(JobFailure, match="It sent an invalid message"):
            run(CHILD, Order("say", GIB, what), 60, nothing, "It", Environment)


def test_the_exit_of_the_child_is_reported() -> None:
    with pytest.raises(JobFailure, match="no good today"):
        run(CHILD, Order("fail", GIB), 60, nothing, "It", Environment)
    with pytest.raises(JobFailure, match="It ended with exit status 3: the last word"):
        run(CHILD, Order("crash", GIB), 60, nothing, "It", Environment)
