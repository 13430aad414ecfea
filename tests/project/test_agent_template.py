"""The template agent: its environment pays for what the rules allow; its files are those of its script."""

from __future__ import annotations

import json
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.project.starter import AGENT, AGENT_TEMPLATE, initialize

if TYPE_CHECKING:
    from pathlib import Path


def _desk() -> ModuleType:
    module = ModuleType("desk")  # not imported: that would leave compiled files in the template
    exec((AGENT_TEMPLATE / "desk.py").read_text(), module.__dict__)  # noqa: S102 - our own
    return module


desk: Any = _desk()


def row(task: str, status: str) -> dict[str, Any]:
    """A row of that kind; the rows of the files are all those of some seed."""
    rows = (desk.request(seed) for seed in range(1000))
    return next(row for row in rows if (row["task"], row["status"]) == (task, status))


def play(row: dict[str, Any], calls: list[dict[str, Any]], answer: str) -> float:
    one = desk.Desk()
    one.reset(row)
    for call in calls:
        assert isinstance(one.step(call), str)
    return float(one.reward(answer))


@pytest.mark.parametrize("task", ["where", "move", "money"])
@pytest.mark.parametrize("status", desk.STATUSES)
def test_a_clerk_is_paid_for_every_kind_of_request(task: str, status: str) -> None:
    request = row(task, status)
    look = {"name": "look_up", "arguments": {"parcel": request["parcel"]}}
    calls = [look]
    for name, value in desk.wanted(request):
        argument = "address" if name == "change_address" else "amount"
        calls.append({"name": name, "arguments": {"parcel": request["parcel"], argument: value}})
    said = desk.said(request)
    assert play(request, calls, said) == 1
    assert play(request, calls[1:], said) == 0, "nothing was looked up"
    assert play(request, calls, "Hello.") == 0, "the customer learned nothing"
    wrong = {"name": "refund", "arguments": {"parcel": request["parcel"], "amount": 1}}
    assert play(request, [*calls, wrong], said) == 0, "a refund that no rule allows"
    other = {"name": "look_up", "arguments": {"parcel": "1"}}
    assert play(request, [other, *calls[1:]], said) == 0


def test_every_example_row_is_a_paid_episode() -> None:
    for seed in range(160):
        messages = desk.example(seed)["messages"]
        calls = [call["function"] for turn in messages for call in turn.get("tool_calls", ())]
        assert play(desk.request(seed), calls, messages[-1]["content"]) == 1


@pytest.mark.parametrize(
    ("name", "make", "first"),
    [
        ("calls", "example", 0),
        ("requests", "request", 1000),
        ("unseen", "request", 2000),
        ("check", "decision", 3000),
    ],
)
def test_the_data_is_what_the_script_writes(name: str, make: str, first: int) -> None:
    lines = (AGENT_TEMPLATE / "data" / f"{name}.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        getattr(desk, make)(first + at) for at in range(len(lines))
    ]


def test_no_unseen_request_is_trained_on() -> None:
    files = {name: (AGENT_TEMPLATE / "data" / f"{name}.jsonl").read_text() for name in ("requests", "unseen")}
    prompts = {
        name: {json.loads(line)["prompt"] for line in text.splitlines()} for name, text in files.items()
    }
    assert not prompts["requests"] & prompts["unseen"]


def test_init_writes_both_trainers(tmp_path: Path) -> None:
    written = {file.as_posix() for file in initialize(tmp_path, AGENT)}
    assert written == {
        "arkor.toml",
        "desk.py",
        *(f"data/{name}.jsonl" for name in ("calls", "check", "requests", "unseen")),
    }
    calls, acts = load_trainers(tmp_path)
    assert (calls["name"], calls["rows"]) == ("calls", 160)
    assert acts["name"] == "desk"
    assert acts["config"].get("environment") == "desk:Desk"
