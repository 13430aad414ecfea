"""Certificates on a terminal, whatever a backend says."""

from __future__ import annotations

import contextlib
import json
from argparse import Namespace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.http_client import Response
from arkor_dev.cli.commands import forget
from arkor_dev.cli.commands.forget import NOT_PROVED, _certificate, exit_code, lines
from arkor_dev.contract.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ESCAPE = "\x1b]52;c;aGk=\x07"
COPY = {"id": "0", "kind": "file", "name": f"a{ESCAPE}", "deletable": False}
WHOLE: dict[str, Any] = {
    "job": "job_2",
    "of": "job_1",
    "ofName": f"bot{ESCAPE}",
    "rows": [{"where": f"a.jsonl, line 1{ESCAPE}", "sha256": f"{ESCAPE}0123"}],
    "first": None,
    "start": 4,
    "steps": 10,
    "message": f"Continued.{ESCAPE}",
    "exact": True,
    "before": None,
    "after": f"{ESCAPE}",
    "intact": True,
    "searchedAt": "2026-12-01T10:00:00Z",
    "searchable": True,
    "files": 3,
    "bytes": 100,
    "copies": [],
    "copiesCount": 0,
    "dependents": [{"kind": "adapter", "name": f"x{ESCAPE}", "certain": True, "why": f"y{ESCAPE}"}],
    "unsearched": [],
    "unsearchedCount": 0,
    "deleted": [],
}


def read(**other: Any) -> Any:
    return _certificate(json.dumps({"certificate": WHOLE | other}).encode())


def test_no_text_of_a_backend_reaches_the_terminal_as_it_is() -> None:
    found = read(copies=[COPY], copiesCount=1, unsearched=[f"b{ESCAPE}"], unsearchedCount=1)
    text = "\n".join(lines(found))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "line 1" in text


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: value} for name in WHOLE for value in ([5], {"a": 5}) if WHOLE[name] != value),
        {"copies": 5},
        {"copies": [{**COPY, "kind": ESCAPE}]},
        {"dependents": [{**WHOLE["dependents"][0], "kind": ESCAPE}]},
        {"repeat": {"job": "job_3", "state": ESCAPE}},
    ],
)
def test_an_invalid_certificate_is_refused_in_a_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(BackendError, match="unreadable") as refused:
        read(**wrong)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("name", WHOLE)
def test_a_certificate_without_a_part_is_refused(name: str) -> None:
    part = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(BackendError, match=name):
        _certificate(json.dumps({"certificate": part}).encode())


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({}, 0, "Their text was not found: "),
        (
            {"unsearched": ["venv/ (not searched)"], "unsearchedCount": 1},
            NOT_PROVED,
            "not found in what could be searched",
        ),
        ({"searchable": False}, NOT_PROVED, "cannot be searched for"),
        ({"copies": [COPY], "copiesCount": 1}, 1, "still in these places"),
        ({"copies": [COPY], "copiesCount": 1, "unsearchedCount": 1}, 1, "still in these places"),
        ({"intact": False}, 1, "has been changed since"),
        ({"intact": False, "searchable": False}, 1, "has been changed since"),
        ({"repeat": {"job": "job_3", "state": "completed", "same": True}}, 0, "the same bits"),
        ({"repeat": {"job": "job_3", "state": "completed", "same": False}}, 1, "the weights differ"),
        ({"repeat": {"job": "job_3", "state": "failed"}}, 0, "failed"),
    ],
)
def test_the_exit_code_tells_what_is_disproved_from_what_is_not_proved(
    changed: dict[str, Any], code: int, said: str
) -> None:
    assert exit_code(read(**changed), repeated=False) == code
    assert said in "\n".join(lines(read(**changed)))


def test_a_repetition_that_was_asked_for_and_has_no_result_proves_nothing() -> None:
    same = {"job": "job_3", "state": "completed", "same": True}
    assert exit_code(read(repeat=same), repeated=True) == 0
    assert exit_code(read(repeat={"job": "job_3", "state": "failed"}), repeated=True) == NOT_PROVED


def test_lists_that_are_cut_say_so() -> None:
    found = read(
        rows=WHOLE["rows"] * 31,
        copies=[COPY] * 40,
        copiesCount=50_000,
        dependents=WHOLE["dependents"] * 32,
        unsearched=["a (not text)"] * 100,
        unsearchedCount=1234,
    )
    text = "\n".join(lines(found))
    for count in ("1", "49,970", "2", "1,204"):
        assert f"  and {count} more" in text
    assert "1,234 not searched, so it is not proved" in text


class Recorded:
    """A backend that notes its calls; ``searches`` says whether it can search."""

    def __init__(self, *, searches: bool) -> None:
        self.calls: list[str] = []
        self._searches = searches

    async def forget_rows(self, job: str, body: object) -> Response:
        return Response(200, b'{"job": {"id": "job_2"}}')

    async def search_again(self, job: str, body: object) -> Response:
        self.calls.append(f"search {job}")
        if not self._searches:
            raise BackendError("no answer")
        return Response(200, json.dumps({"certificate": WHOLE}).encode())

    async def delete_job(self, job: str) -> None:
        self.calls.append(f"delete {job}")


@pytest.mark.parametrize("searches", [True, False])
async def test_the_old_job_is_replaced_only_once_there_is_a_certificate(
    monkeypatch: pytest.MonkeyPatch, *, searches: bool
) -> None:
    backend = Recorded(searches=searches)

    @contextlib.asynccontextmanager
    async def joined(*_: object, **__: object) -> AsyncIterator[Recorded]:
        yield backend

    async def jobs_of(_: object) -> list[object]:
        return []

    async def watch(*_: object) -> SimpleNamespace:
        return SimpleNamespace(status="completed", error=None)

    for name, fake in (("joined", joined), ("jobs_of", jobs_of), ("watch", watch)):
        monkeypatch.setattr(forget, name, fake)
    monkeypatch.setattr(forget, "choose_job", lambda *_: {"id": "job_1"})
    arguments = Namespace(rows=["3"], json=False, job="job_1", replace=True, delete=False)
    settings: Any = SimpleNamespace(local=True)
    if searches:
        assert await forget.run_forget(settings, arguments) == 0
        assert backend.calls == ["search job_2", "delete job_1", "search job_2"]
    else:
        with pytest.raises(BackendError):
            await forget.run_forget(settings, arguments)
        assert backend.calls == ["search job_2"]
