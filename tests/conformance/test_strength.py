"""How strongly an adapter answers (docs/contract.md#strength), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import QUESTION
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Finished
    from .target import Target


def words(target: Target, **more: Any) -> str:
    frames = target.chat(messages=QUESTION, maxTokens=12, temperature=0, **more)
    assert not [frame for frame in frames if frame.event == "error"]
    deltas = [frame.json["choices"][0]["delta"] for frame in frames[:-1] if frame.event == "message"]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_strengths_0_and_1_are_base_and_adapter(target: Target, finished: Finished) -> None:
    need(target, "strength")
    adapter = {"kind": "final", "jobId": finished.id}
    base, whole = words(target, baseModel=target.quick["model"]), words(target, adapter=adapter)
    for between in (0.5, 1.5):
        words(target, adapter=adapter, adapterStrength=between)
    assert words(target, adapter=adapter, adapterStrength=0) == base
    assert words(target, adapter=adapter, adapterStrength=1) == whole
    assert words(target, adapter=adapter, adapterStrength=None) == whole
    step = finished.of("checkpoint.saved")[-1].json["step"]
    checkpoint = {"kind": "checkpoint", "jobId": finished.id, "step": step}
    assert words(target, adapter=checkpoint, adapterStrength=0) == base


@pytest.mark.parametrize("strength", [-0.1, 1.51, "half", True, [1]], ids=str)
def test_invalid_strengths_are_refused(target: Target, finished: Finished, strength: object) -> None:
    need(target, "strength")
    body = {"messages": QUESTION, "adapter": {"kind": "final", "jobId": finished.id}}
    answer = target.call("POST", "/v1/inference/chat", {**body, "adapterStrength": strength})
    assert (answer.status, bool(answer.error)) == (400, True)


def test_a_base_model_has_no_strength(target: Target) -> None:
    need(target, "strength")
    body = {"messages": QUESTION, "baseModel": target.quick["model"], "adapterStrength": 1}
    answer = target.call("POST", "/v1/inference/chat", body)
    assert (answer.status, bool(answer.error)) == (400, True)
