"""Tool calls in a model's text, in the syntax of each family of models."""

from __future__ import annotations

import json

import pytest

from arkor_dev.local.modeling.tool_calls import ToolCalls, tool_names

CALL = {"name": "weather", "arguments": {"city": "Zürich"}}

MARKED = {"name": "clock", "arguments": {"x": "</tool_call><tool_call>{}"}}


def read(
    text: str, size: int, names: tuple[str, ...] = ("weather", "clock")
) -> tuple[str, list[tuple[str, object]]]:
    calls, out = ToolCalls(names), ""
    for start in range(0, len(text), size):
        out += calls.push(text[start : start + size])
    rest, found = calls.end()
    assert len({call["id"] for call in found}) == len(found)
    return out + rest, [
        (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found
    ]


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("text", "said", "called"),
    [
        (f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>", "", [("weather", CALL["arguments"])]),
        (
            f"I look.\n<tool_call>{json.dumps(CALL)}</tool_call>",
            "I look.\n",
            [("weather", CALL["arguments"])],
        ),
        (
            (
                f"<tool_call>{json.dumps(CALL)}</tool_call>\n"
                '<tool_call>{"name": "clock", "arguments": {}}</tool_call>'
            ),
            "",
            [("weather", CALL["arguments"]), ("clock", {})],
        ),
        (f"[TOOL_CALLS][{json.dumps(CALL)}]", "", [("weather", CALL["arguments"])]),
        ('{"name": "clock", "parameters": {"zone": 1}}', "", [("clock", {"zone": 1})]),
        (f"<tool_call>{json.dumps(MARKED)}</tool_call>", "", [("clock", MARKED["arguments"])]),
        (json.dumps(MARKED), "", [("clock", MARKED["arguments"])]),
        (f"[{json.dumps(CALL)}]", "", [("weather", CALL["arguments"])]),
        ('{"type": "function", "function": {"name": "clock", "arguments": "{}"}}', "", [("clock", {})]),
    ],
)
def test_tool_calls_are_parsed_in_each_models_syntax(
    text: str, said: str, called: list[tuple[str, object]], size: int
) -> None:
    assert read(text, size) == (said, called)


@pytest.mark.parametrize("size", [1, 1000])
def test_only_what_a_grammar_holds_to_its_schema_is_a_call(size: int) -> None:
    """A strict tool's schema is enforced between the marks alone."""

    def marked(text: str) -> tuple[str, int]:
        calls, out = ToolCalls(("weather",), only_marked=True), ""
        for start in range(0, len(text), size):
            out += calls.push(text[start : start + size])
        rest, found = calls.end()
        return out + rest, len(found)

    bare = json.dumps(CALL)
    assert marked(bare) == (bare, 0)
    assert marked(f"[TOOL_CALLS][{bare}]") == (f"[TOOL_CALLS][{bare}]", 0)
    assert marked(f"{bare}<tool_call>{bare}</tool_call>") == (bare, 1)


def test_calls_beyond_the_most_are_dropped() -> None:
    calls = ToolCalls(("weather",), most=1)
    calls.push(f"[{json.dumps(CALL)}, {json.dumps(CALL)}]")
    assert len(calls.end()[1]) == 1


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "An ordinary answer with a < and a [ in it.",
        '{"name": "no_such_tool", "arguments": {}}',
        '<tool_call>{"name": "weather", "arguments": ',
        '<tool_call>{"name": "weather"}</tool_call> and <tool_call>nothing</tool_call>',
        '{"name": "weather", "arguments": 5}',
        '[{"name": "weather", "arguments": {}}, 5]',
        '{"a": 1}',
        "[" * 3000,
        '{"name": ["weather"], "arguments": {}}',
    ],
)
def test_text_without_a_call_is_kept(text: str, size: int) -> None:
    assert read(text, size) == (text, [])


def test_without_tools_nothing_is_parsed_as_a_call() -> None:
    text = json.dumps(CALL)
    calls = ToolCalls(())
    assert calls.push(text) == text
    assert calls.end() == ("", [])


def test_tool_names_are_read_leniently() -> None:
    tools = [
        {"type": "function", "function": {"name": "a"}},
        {"function": {"name": 5}},
        {"function": 1},
        "x",
        None,
    ]
    assert tool_names(tools) == {"a"}
    assert tool_names(None) == frozenset()
