"""Chat: who answers, in which form, and what is refused (docs/contract.md#chat)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import QUESTION

if TYPE_CHECKING:
    from .conftest import Cancelled, Finished
    from .target import Frame, Target

NAMES = {"message", "ping", "progress", "error", "end"}


def is_answer(frames: list[Frame]) -> bool:
    """Whether a stream is a whole and good answer; a model that has learned nothing may say nothing."""
    assert {frame.event for frame in frames} <= NAMES
    assert not [frame for frame in frames if frame.event == "error"]
    assert frames[-1].data == "[DONE]" or frames[-1].event == "end"
    deltas = [frame.json["choices"][0]["delta"] for frame in frames[:-1] if frame.event == "message"]
    assert all(isinstance(delta.get("content"), str | None) for delta in deltas)
    return bool(deltas)


def answers(target: Target, **more: Any) -> bool:
    return is_answer(target.chat(messages=QUESTION, maxTokens=8, **more))


def test_the_base_model_answers(target: Target) -> None:
    assert answers(target, baseModel=target.quick["model"])


def test_an_answer_is_streamed_by_default(target: Target) -> None:
    body = {"messages": QUESTION, "baseModel": target.quick["model"], "maxTokens": 8}
    assert is_answer(target.chat(**body, stream=True))
    whole = target.call("POST", "/v1/inference/chat", {**body, "stream": False})
    assert whole.status == 200
    assert whole.headers["Content-Type"].startswith("application/json")
    message = whole.json["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert isinstance(message["content"], str)


def test_a_final_adapter_and_each_checkpoint_answer(target: Target, finished: Finished) -> None:
    assert answers(target, adapter={"kind": "final", "jobId": finished.id})
    for frame in finished.of("checkpoint.saved"):
        adapter = {"kind": "checkpoint", "jobId": finished.id, "step": frame.json["step"]}
        assert answers(target, adapter=adapter)


def test_roles_and_settings_are_accepted_and_unknown_ones_ignored(target: Target) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": "On its way."},
        *QUESTION,
    ]
    settings = {"temperature": 0.5, "topP": 0.9, "maxTokens": 4, "aFieldThatNobodyKnows": [1]}
    assert is_answer(target.chat(messages=messages, baseModel=target.quick["model"], **settings))


def test_a_disconnected_reader_affects_nobody(target: Target) -> None:
    body = {"messages": QUESTION, "baseModel": target.quick["model"], "maxTokens": 200}
    with target.open("POST", "/v1/inference/chat", body) as answer:
        assert answer.status == 200
        answer.readline()
    assert answers(target, baseModel=target.quick["model"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": None},
        {"messages": []},
        {"messages": "hello"},
        {"messages": ["hello"]},
        {"messages": [{"content": "no role"}]},
        {"messages": [{"role": "king", "content": "unknown"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"baseModel": None},
        {"baseModel": ""},
        {"baseModel": 5},
        {"adapter": {}},
        {"adapter": "final"},
        {"adapter": {"kind": "best", "jobId": "x"}},
        {"adapter": {"kind": "final"}},
        {"adapter": {"kind": "final", "jobId": 5}},
        {"adapter": {"kind": "checkpoint", "jobId": "x"}},
        {"adapter": {"kind": "checkpoint", "jobId": "x", "step": "last"}},
        {"temperature": "hot"},
        {"temperature": -1},
        {"topP": 2},
        {"maxTokens": 0},
        {"maxTokens": "all"},
        {"tools": "hammer"},
    ],
    ids=str,
)
def test_invalid_chats_are_refused(target: Target, wrong: dict[str, Any]) -> None:
    body = {"messages": QUESTION, "baseModel": target.quick["model"], **wrong}
    answer = target.call("POST", "/v1/inference/chat", body)
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_a_chat_body_must_be_a_json_object(target: Target, body: bytes) -> None:
    answer = target.call("POST", "/v1/inference/chat", body)
    assert answer.status == 400
    assert answer.error


def test_an_unknown_adapter_is_404(target: Target, finished: Finished, cancelled: Cancelled) -> None:
    missing = [
        ({"kind": "final", "jobId": "no-such-job"}, 404),
        ({"kind": "checkpoint", "jobId": "no-such-job", "step": 1}, 404),
        ({"kind": "checkpoint", "jobId": finished.id, "step": 987_654}, 404),
        ({"kind": "final", "jobId": cancelled.id}, 409),
    ]
    for adapter, status in missing:
        answer = target.call("POST", "/v1/inference/chat", {"messages": QUESTION, "adapter": adapter})
        assert (adapter, answer.status) == (adapter, status)
        assert answer.error
