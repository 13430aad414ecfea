"""OpenAI's requests, read into the contract's chat call, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.local.endpoints.openai import (
    FIELDS,
    LEAST_TOP_P,
    MESSAGES,
    TOKENS,
    OpenAIRequest,
    context_fault,
    read_chat,
    read_completion,
    renamed,
)

USER: dict[str, object] = {"role": "user", "content": "Hi"}
NOW = frozenset({"temperature", "topP", "maxTokens", "tools", "messages"})
"""What the chat call takes at least."""
ALL = NOW | set(FIELDS.values()) | {"prompt"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def read(known: frozenset[str] = ALL, /, **body: Any) -> OpenAIRequest:
    return read_chat({"model": "bot", "messages": [USER], **body}, "bot", known)


def refused(known: frozenset[str] = ALL, /, **body: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as fault:
        read(known, **body)
    assert fault.value.extra["code"]
    return fault.value


def test_a_minimal_request_is_read() -> None:
    assert read() == OpenAIRequest({"messages": [USER]}, 1, False, False)


def test_the_model_is_optional() -> None:
    assert read_chat({"messages": [USER]}, "bot", NOW).answers == 1


def test_another_model_is_a_404() -> None:
    with pytest.raises(NotFoundError) as fault:
        read(model="gpt-4o")
    assert fault.value.extra == {"param": "model", "code": "model_not_found"}


def test_parameters_map_to_the_contract() -> None:
    said = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 3,
        "stop": ["a", "b"],
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "top_k": 5,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [TOOL],
        "tool_choice": "required",
    }
    chat = read(**said).chat
    assert chat == {"messages": [USER], **{FIELDS[name]: value for name, value in said.items()}}


def test_a_response_format_is_read() -> None:
    assert read(response_format={"type": "json_object"}).chat["responseFormat"] == {"type": "json_object"}


def test_max_completion_tokens_is_read() -> None:
    assert read(max_completion_tokens=9).chat["maxTokens"] == 9


def test_top_p_zero_becomes_the_minimum() -> None:
    assert read(top_p=0).chat["topP"] == LEAST_TOP_P


def test_stream_options_and_n_are_read() -> None:
    asked = read(stream=True, stream_options={"include_usage": True}, n=3)
    assert (asked.stream, asked.usage, asked.answers) == (True, True, 3)


def test_neutral_parameters_are_ignored() -> None:
    neutral = {
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logprobs": False,
        "logit_bias": {},
        "response_format": {"type": "text"},
        "tool_choice": "auto",
        "tools": [],
        "seed": None,
        "stop": None,
        "user": None,
        "store": False,
        "metadata": {},
        "service_tier": "auto",
        "modalities": ["text"],
    }
    assert read(NOW, **neutral) == read()


def test_standard_options_without_effect_are_accepted_and_named() -> None:
    without_effect = {"user": "me", "store": True, "metadata": {"a": "b"}, "service_tier": "flex"}
    asked = read(NOW, **without_effect)
    assert asked.ignored == ("metadata", "service_tier", "store", "user")
    assert asked.chat == read().chat
    guessed = {"prediction": {"type": "content", "content": "x"}, "verbosity": "low"}
    cached = {"prompt_cache_retention": "24h", "prompt_cache_options": {"mode": "explicit"}}
    assert read(**guessed, **cached).ignored == tuple(sorted({**guessed, **cached}))
    assert refused(modalities=["text", "audio"]).extra["param"] == "modalities"


@pytest.mark.parametrize("several", [True, False])
def test_whether_calls_may_be_parallel_is_passed_on(several: bool) -> None:
    assert read(parallel_tool_calls=several).chat == {**read().chat, "parallelToolCalls": several}
    assert read(parallel_tool_calls=None).chat == read().chat


@pytest.mark.parametrize(
    ("body", "chat"),
    [
        ({"thinking_token_budget": 64}, {"thinkingBudget": 64}),
        ({"enable_thinking": False}, {"enableThinking": False}),
        ({"chat_template_kwargs": {"enable_thinking": True}}, {"enableThinking": True}),
        ({"chat_template_kwargs": {}}, {}),
        ({"reasoning_effort": "none"}, {"enableThinking": False}),
        ({"reasoning_effort": "high"}, {}),
        ({"reasoning_effort": None}, {}),
    ],
)
def test_thinking_is_that_of_the_chat_call(body: dict[str, Any], chat: dict[str, Any]) -> None:
    """There are no levels of effort: above "none" they have no effect, which the answer's header says."""
    asked = read(**body)
    assert asked.chat == {"messages": [USER], **chat}
    assert asked.ignored == (("reasoning_effort",) if body.get("reasoning_effort") == "high" else ())


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_between_tool_calls_are_passed_on(name: str) -> None:
    """Not those of earlier answers, which chat templates drop."""
    said = {"role": "assistant", "content": "Yes.", name: "Hm."}
    found = {"role": "tool", "tool_call_id": "c1", "content": "here"}
    assert read(messages=[USER, said, USER, said, found]).chat["messages"] == [
        USER,
        {"role": "assistant", "content": "Yes."},
        USER,
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."},
        found,
    ]
    without: Any = read(messages=[USER, {**said, name: None}]).chat["messages"]
    assert without[1] == {"role": "assistant", "content": "Yes."}
    fault = refused(messages=[USER, {**said, name: ["Hm."]}])
    assert fault.extra["param"] == f"messages[1].{name}"


@pytest.mark.parametrize(
    "more",
    [{"response_format": {"type": "json_object"}}, {"tools": [TOOL], "tool_choice": "required"}],
    ids=lambda more: list(more)[-1],
)
def test_a_budget_for_thoughts_is_refused_where_answers_have_none(more: dict[str, Any]) -> None:
    fault = refused(thinking_token_budget=9, **more)
    assert fault.extra["param"] == "thinking_token_budget"
    assert list(more)[-1] in fault.text
    free = {"response_format": {"type": "text"}, "tool_choice": "none", "tools": [TOOL]}
    assert read(thinking_token_budget=9, **free).chat["thinkingBudget"] == 9


@pytest.mark.parametrize(
    "body",
    [
        {"seed": 1},
        {"stop": "x"},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"frequency_penalty": 0.5},
        {"tool_choice": "required", "tools": [TOOL]},
        {"logit_bias": {"5": 1}},
        {"functions": [{"name": "f"}]},
        {"reasoning_effort": "none"},
        {"thinking_token_budget": 9},
        {"chat_template_kwargs": {"documents": []}},
        {"modalities": ["audio"]},
        {"something_new": 5},
    ],
    ids=lambda body: next(iter(body)),
)
def test_unsupported_parameters_are_refused_by_name(body: dict[str, Any]) -> None:
    fault = refused(NOW, **body)
    param = {"reasoning_effort": "enable_thinking"}.get(next(iter(body)), next(iter(body)))
    assert fault.extra == {"param": param, "code": "unsupported_parameter"}
    assert param in fault.text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [USER] * (MESSAGES + 1)}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [USER, {"role": "god", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": TOKENS + 1}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"n": 9}, "n"),
        ({"n": 0}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": 5}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"model": 5}, "model"),
    ],
)
def test_invalid_parameters_are_named(body: dict[str, Any], param: str) -> None:
    fault = refused(**body)
    assert fault.extra == {"param": param, "code": "invalid_value"}


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_must_be_an_object(body: object) -> None:
    with pytest.raises(BadRequestError) as fault:
        read_chat(body, "bot", ALL)
    assert fault.value.extra["param"] is None


def test_messages_map_to_the_contract() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "Be kind."},
        {
            "role": "user",
            "name": "Ann",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "5"},
    ]
    assert read(messages=messages).chat["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "5", "tool_call_id": "c"},
    ]


def test_tool_choice_none_drops_the_tools() -> None:
    for order in (("tools", "tool_choice"), ("tool_choice", "tools")):
        said = {"tools": [TOOL], "tool_choice": "none"}
        assert "tools" not in read(NOW, **{name: said[name] for name in order}).chat


def test_a_text_completion_is_read() -> None:
    asked = read_completion({"model": "bot", "prompt": "Once", "max_tokens": 5, "echo": False}, "bot", ALL)
    assert asked.chat == {"prompt": "Once", "maxTokens": 5}
    assert read_completion({"prompt": ["Once"]}, "bot", ALL).chat == {"prompt": "Once"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, True]}, "prompt"),
        ({"prompt": ["a", ""]}, "prompt"),
        ({"prompt": [[1], [-1]]}, "prompt"),
        ({"prompt": ["a"] * 5, "n": 7}, "prompt"),
        ({"prompt": "a", "logprobs": 21}, "logprobs"),
        ({"prompt": "a", "logprobs": True}, "logprobs"),
        ({"prompt": "a", "top_logprobs": 2}, "top_logprobs"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "echo": "yes"}, "echo"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "tools": [TOOL]}, "tools"),
    ],
)
def test_invalid_text_completions_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as fault:
        read_completion(body, "bot", ALL)
    assert fault.value.extra["param"] == param


def test_token_ids_and_several_prompts_are_read() -> None:
    """As lm-evaluation-harness sends them."""
    sent = {"max_tokens": 1, "logprobs": 1, "echo": True, "seed": 1234, "temperature": 0}
    asked = read_completion({"prompt": [[5, 6], [7]], **sent}, "bot", ALL)
    said = {
        "maxTokens": 1, "logprobs": True, "topLogprobs": 1, "echo": True, "seed": 1234, "temperature": 0,
    }  # fmt: skip
    assert asked.chats == [{**said, "prompt": [5, 6]}, {**said, "prompt": [7]}]
    (one,) = read_completion({"prompt": [5, 6], "max_tokens": 0, "echo": True}, "bot", ALL).chats
    assert one == {"prompt": [5, 6], "maxTokens": 0, "echo": True}


def test_text_completions_need_the_feature() -> None:
    with pytest.raises(BadRequestError, match="use chat/completions"):
        read_completion({"prompt": "Once"}, "bot", NOW)


def test_errors_name_the_openai_parameter() -> None:
    fault = renamed("topLogprobs must be a whole number from 0 to 20, not 50")
    assert fault.text == "top_logprobs must be a whole number from 0 to 20, not 50"
    assert fault.extra["param"] == "top_logprobs"


def test_a_context_overflow_names_no_folder() -> None:
    fault = context_fault(
        "The conversation has 900 tokens, and /home/ann/models/tiny reads at most 128: shorten it"
    )
    assert fault is not None
    assert fault.extra["code"] == "context_length_exceeded"
    # LiteLLM and others know this refusal by OpenAI's words alone, and then ask a model that reads more.
    assert fault.text.startswith("This model's maximum context length is 128 tokens")
    assert "900" in fault.text
    assert "/home" not in fault.text
    assert context_fault("The adapter in /x does not fit") is None
