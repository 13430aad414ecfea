"""Answers to fixed prompts while a job trains (docs/contract.md#samples), where the feature is named."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from .test_order import need

if TYPE_CHECKING:
    from .conftest import Extended, Finished
    from .target import Frame, Target

OPTIONAL = {"messages": list, "row": int, "wanted": str, "truncated": bool}


def samples(frames: list[Frame]) -> list[dict[str, Any]]:
    return [frame.json for frame in frames if frame.event == "sample.created"]


def steps_of(frames: list[Frame], event: str) -> set[int]:
    return {frame.json["step"] for frame in frames if frame.event == event}


def test_samples_name_prompt_and_step(target: Target, finished: Finished) -> None:
    need(target, "samples")
    assert samples(finished.frames)
    for told in samples(finished.frames):
        assert type(told["step"]) is type(told["number"]) is int
        assert told["number"] >= 1
        assert isinstance(told["prompt"], str)
        assert isinstance(told["answer"], str)
        for name, kind in OPTIONAL.items():
            assert name not in told or isinstance(told[name], kind)
        for turn in told.get("messages", ()):
            assert turn["role"] in ("system", "user", "assistant", "tool")


def test_base_checkpoints_and_final_adapter_answer_the_same_prompts(
    target: Target, finished: Finished
) -> None:
    need(target, "samples")
    told = samples(finished.frames)
    last = max(steps_of(finished.frames, "training.log"))
    steps = {each["step"] for each in told}  # there may be no time for some of the checkpoints in between
    assert {0, last} <= steps <= {0, last} | steps_of(finished.frames, "checkpoint.saved")
    by_step: dict[int, list[tuple[int, str]]] = {}
    for each in told:
        by_step.setdefault(each["step"], []).append((each["number"], each["prompt"]))
    assert len({tuple(sorted(asked)) for asked in by_step.values()}) == 1
    numbers = sorted(number for number, _ in by_step[0])
    assert numbers == list(range(1, len(numbers) + 1))


def test_samples_follow_their_checkpoint(target: Target, finished: Finished) -> None:
    need(target, "samples")
    seen: list[tuple[str, int]] = [
        (frame.event, frame.json["step"])
        for frame in finished.frames
        if frame.event in ("training.log", "checkpoint.saved", "sample.created")
    ]
    assert next(step for name, step in seen if name == "sample.created") == 0
    answered = {step for name, step in seen if name == "sample.created"}
    for step in answered & steps_of(finished.frames, "checkpoint.saved"):
        assert seen.index(("checkpoint.saved", step)) < seen.index(("sample.created", step))


def test_a_resumed_job_has_each_sample_once(target: Target, extended: Extended | None) -> None:
    need(target, "samples")
    need(target, "extend")
    assert extended is not None
    told = samples(extended.history)
    assert set(Counter((each["step"], each["number"]) for each in told).values()) == {1}
    assert {each["step"] for each in told} >= {0, max(steps_of(extended.history, "training.log"))}


def test_sample_prompts_are_a_setting(target: Target, asked: list[tuple[object, list[Frame]]] | None) -> None:
    need(target, "samples")
    assert asked
    for said, history in asked:
        prompts = [] if said == "off" else said
        assert list(dict.fromkeys(told["prompt"] for told in samples(history))) == prompts


@pytest.mark.parametrize("wrong", [[], ["q"] * 9, [5], 0, False, "two\nlines", ["off", "q"]])
def test_invalid_sample_settings_are_refused(target: Target, wrong: object) -> None:
    need(target, "samples")
    if not target.ours:
        pytest.skip("what a backend refuses of settings that it knows is its own matter")
    answer = target.call("POST", "/v1/jobs", {"name": "n", "config": {**target.quick, "samples": wrong}})
    assert answer.status == 400
    assert answer.error
