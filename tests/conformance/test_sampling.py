"""Tests sampling and what an answer reports (docs/contract.md#sampling, #tools), for backends with the
features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import QUESTION
from .test_order import need

if TYPE_CHECKING:
    from .target import Target

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def streamed(target: Target, **more: Any) -> tuple[str, list[dict[str, Any]]]:
    """The text of a streamed answer, and its chunks."""
    frames = target.chat(
        **{
            "messages": QUESTION,
            "baseModel": target.quick["model"],
            "maxTokens": 12,
            "temperature": 0,
            **more,
        }
    )
    assert not [frame for frame in frames if frame.event == "error"], frames
    chunks = [frame.json for frame in frames[:-1] if frame.event == "message"]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks), chunks


def whole(target: Target, **more: Any) -> dict[str, Any]:
    body = {
        "messages": QUESTION,
        "baseModel": target.quick["model"],
        "maxTokens": 12,
        "temperature": 0,
        **more,
    }
    answer = target.call("POST", "/v1/inference/chat", {**body, "stream": False})
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json
    return found


def test_a_seed_gives_the_same_answer_again(target: Target) -> None:
    need(target, "sampling")
    hot = {"temperature": 1.2, "seed": 11}
    assert streamed(target, **hot)[0] == streamed(target, **hot)[0]
    assert streamed(target, topK=1, temperature=3)[0] == streamed(target)[0]


def test_an_answer_ends_before_a_stop_text(target: Target) -> None:
    need(target, "sampling")
    text = streamed(target)[0]
    assert len(text) > 4
    middle = text[len(text) // 2 :][:3]
    for stop in (middle, ["\0 never", middle]):
        assert streamed(target, stop=stop)[0] == text[: text.find(middle)]
        assert whole(target, stop=stop)["choices"][0]["message"]["content"] == text[: text.find(middle)]


def test_the_last_chunk_has_the_usage(target: Target) -> None:
    need(target, "sampling")
    usage = streamed(target)[1][-1]["usage"]
    assert usage == {**whole(target)["usage"], "prompt_tokens_details": usage["prompt_tokens_details"]}
    assert usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]


def test_log_probabilities_are_returned(target: Target) -> None:
    need(target, "sampling")
    text, chunks = streamed(target, logprobs=True, topLogprobs=2)
    told = [
        each for chunk in chunks for each in (chunk["choices"][0].get("logprobs") or {}).get("content", [])
    ]
    assert told
    content = whole(target, logprobs=True)["choices"][0]["logprobs"]["content"]
    assert "".join(each["token"] for each in content) == "".join(each["token"] for each in told)
    assert all(each["logprob"] <= 0 and len(each["top_logprobs"]) == 2 for each in told)
    assert all(set(each) >= {"token", "logprob", "bytes", "top_logprobs"} for each in told)
    assert "logprobs" not in streamed(target)[1][0]["choices"][0]
    assert text


def test_a_raw_prompt_is_continued(target: Target) -> None:
    need(target, "sampling")
    _, chunks = streamed(target, messages=None, prompt="Once upon a time")
    assert chunks[-1]["usage"]["prompt_tokens"] > 0


def test_a_model_without_thoughts_answers_the_same(target: Target) -> None:
    need(target, "sampling")
    assert streamed(target, enableThinking=False, thinkingBudget=4)[0] == streamed(target)[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": 1.5},
        {"seed": "x"},
        {"seed": 2**60},
        {"topK": -1},
        {"topK": 1.5},
        {"minP": 1.1},
        {"repetitionPenalty": 0},
        {"repetitionPenalty": 11},
        {"frequencyPenalty": 3},
        {"presencePenalty": "much"},
        {"stop": ""},
        {"stop": []},
        {"stop": [5]},
        {"stop": ["x"] * 17},
        {"stop": "x" * 201},
        {"enableThinking": 1},
        {"thinkingBudget": -1},
        {"thinkingBudget": 1.5},
        {"logprobs": 3},
        {"logprobs": True, "topLogprobs": 21},
        {"topLogprobs": 2},
    ],
    ids=str,
)
def test_invalid_sampling_settings_are_refused(target: Target, wrong: dict[str, Any]) -> None:
    need(target, "sampling")
    body = {"messages": QUESTION, "baseModel": target.quick["model"], **wrong}
    answer = target.call("POST", "/v1/inference/chat", body)
    assert (answer.status, bool(answer.error)) == (400, True)


def test_null_settings_count_as_unset(target: Target) -> None:
    need(target, "sampling")
    names = (
        "seed",
        "topK",
        "minP",
        "repetitionPenalty",
        "frequencyPenalty",
        "presencePenalty",
        "stop",
        "enableThinking",
        "thinkingBudget",
        "logprobs",
    )
    assert streamed(target, **dict.fromkeys(names))[0] == streamed(target)[0]


def test_tools_and_tool_results_are_accepted(target: Target) -> None:
    need(target, "tools")
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    messages = [
        *QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "12 degrees"},
    ]
    for choice in (None, "auto", "none"):
        assert streamed(target, messages=messages, tools=TOOLS, toolChoice=choice)[1]


def test_an_impossible_tool_choice_is_refused(target: Target) -> None:
    need(target, "tools")
    body = {
        "messages": QUESTION,
        "baseModel": target.quick["model"],
        "tools": TOOLS,
        "toolChoice": {"type": "function", "function": {"name": "nobody"}},  # nor where `formats` is named
    }
    answer = target.call("POST", "/v1/inference/chat", body)
    assert (answer.status, "toolChoice" in answer.error) == (400, True)
