"""The metric ``tool_call``: which answers make the wanted calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from arkor_dev.data.forms import FORMS
from arkor_dev.data.rows import Row, RowMessage
from arkor_dev.local.evaluation.tool_call_match import CallFields, call_fault, call_fields, calls_rightly

TOOLS: list[Any] = [{"type": "function", "function": {"name": name}} for name in ("find", "send")]
DEEP = "[" * 5000


def fields(*wanted: tuple[str, Any], tools: list[dict[str, Any]] = TOOLS) -> CallFields:
    """The fields of a row whose last message makes the ``wanted`` calls, read as from a file."""
    calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in wanted]
    last = {"role": "assistant", "content": "", "tool_calls": calls} if calls else {}
    answer = last or {"role": "assistant", "content": "No need."}
    content = FORMS["chat"].read({"messages": [{"role": "user", "content": "?"}, answer]})
    return call_fields(Row(content.messages, "rows.jsonl, line 1", tools=tools))


def right(answer: str, *wanted: tuple[str, Any]) -> bool:
    row = fields(*wanted)
    assert call_fault(row) is None
    return calls_rightly(answer, row["tools"], json.loads(json.dumps(row["calls"])))


def call(name: str, arguments: str) -> str:
    return f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ('{"id": 1, "by": "name"}', {"by": "name", "id": 1}),
        (' { "id" :1.0 } ', {"id": 1}),
        ('{"id": 1e2}', '{"id": 100}'),
        ('"{\\"id\\": 1}"', {"id": 1}),
        ('{"id": 1, "by": null}', {"id": 1}),
        ('{"id": 1}', '{"id": 1, "by": null}'),
        ('{"in": {"b": [1.0, {"c": 2, "a": -0.0}]}}', {"in": {"b": [1, {"a": 0, "c": 2.0}]}}),
        ("{}", ""),
        ("{}", None),
        ('"as text"', "as text"),
    ],
)
def test_arguments_are_compared_as_json(answer: str, wanted: object) -> None:
    assert right(call("find", answer), ("find", wanted))
    assert right(f"I look.\n{call('find', answer)}", ("find", wanted))


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ('{"id": true}', {"id": 1}),
        ('{"id": "1"}', {"id": 1}),
        ('{"id": 1, "more": 2}', {"id": 1}),
        ("{}", {"id": 1}),
        ('{"ids": [2, 1]}', {"ids": [1, 2]}),
        ('"no JSON"', {"id": 1}),
        ("no JSON", {"id": 1}),
        ("5", {"id": 1}),
        ('"' + "[" * 5000 + '"', {"id": 1}),
        ('{"id": ' + "9" * 5000 + "}", {"id": 1}),
        ('{"id": "' + "x" * 1_000_000 + '"}', {"id": 1}),
        ('{"id": NaN}', {"id": 1}),
        ("{}", DEEP),
        ("{}", "9" * 5000),
    ],
)
def test_other_or_hostile_arguments_are_wrong(answer: str, wanted: object) -> None:
    assert not right(call("find", answer), ("find", wanted))


def test_no_depth_of_nesting_raises() -> None:
    for depth in range(200, 1100, 7):
        nested = '{"a": ' + "[" * depth + "]" * depth + "}"
        assert right(call("find", nested), ("find", {"a": 1})) is False
        fields(("find", nested))


def test_calls_of_one_message_may_come_in_any_order() -> None:
    first, second = ("find", {"id": 1}), ("find", {"id": 2})
    answers = [call(name, json.dumps(arguments)) for name, arguments in (first, second)]
    assert right("\n".join(answers), second, first)
    assert not right(answers[0], first, second)
    assert not right("".join(answers), first)
    assert not right(answers[0] * 2, first, second)
    assert not right(call("send", '{"id": 1}'), first)


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        ("It is 5.", True),
        ("", True),
        (call("find", "{}"), False),
        (call("unknown", "{}"), False),
        ('It is <tool_call>{"name": "find"', False),
    ],
)
def test_no_call_is_right_where_none_is_wanted(answer: str, is_right: bool) -> None:
    assert right(answer) is is_right
    assert not right("I would call find.", ("find", {}))


def test_wanted_calls_may_be_written_in_the_text() -> None:
    messages: list[RowMessage] = [{"role": "assistant", "content": call("find", '{"id": 1.0}')}]
    assert call_fields(Row(messages, "", tools=TOOLS))["calls"] == fields(("find", {"id": 1}))["calls"]


def test_rows_without_the_called_tool_are_refused() -> None:
    assert (
        call_fault(fields(tools=[]))
        == "has no tools with a function's name, which the metric tool_call needs"
    )
    assert call_fault(fields(tools=[{"name": "find"}])) == call_fault(fields(tools=[]))
    assert call_fault(fields(("drop", {}))) == 'calls "drop", which is not one of its tools'
