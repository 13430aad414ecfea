"""Every form of a row, and what is said of one that has none."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.data.forms import COLUMNS, FORMS, Content, Form
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError, RowMessage

USER: RowMessage = {"role": "user", "content": "a"}
SAID: RowMessage = {"role": "assistant", "content": "b"}
SYSTEM: RowMessage = {"role": "system", "content": "s"}
CALL = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}

ROWS: list[tuple[dict[str, Any], str, list[Any]]] = [
    ({"messages": [SYSTEM, USER, SAID], "extra": 1}, "chat", [SYSTEM, USER, SAID]),
    ({"messages": [{"role": "developer", "content": "s"}, USER, SAID]}, "chat", [SYSTEM, USER, SAID]),
    ({"messages": [{"role": "user", "content": [{"text": "a"}]}, SAID]}, "chat", [USER, SAID]),
    (
        {"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"},
                           {"from": "gpt", "value": "b"}]},
        "sharegpt",
        [SYSTEM, USER, SAID],
    ),
    ({"conversations": [USER, SAID], "system": "s"}, "sharegpt", [SYSTEM, USER, SAID]),
    (
        {
            "conversations": [
                {"from": "human", "value": "a"},
                {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
                {"from": "observation", "value": "1"},
                {"from": "gpt", "value": "b"},
            ]
        },
        "sharegpt",
        [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": "1"},
            SAID,
        ],
    ),
    ({"prompt": "a", "completion": "b"}, "prompt-completion", [USER, SAID]),
    ({"prompt": [SYSTEM, USER], "completion": [SAID]}, "prompt-completion", [SYSTEM, USER, SAID]),
    ({"prompt": "[1]", "completion": "[2]"}, "prompt-completion",
     [{"role": "user", "content": "[1]"}, {"role": "assistant", "content": "[2]"}]),
    ({"instruction": "a", "input": "", "output": "b", "text": "all of it"}, "alpaca", [USER, SAID]),
    (
        {"instruction": "a", "input": "i", "output": "b", "system": "s"},
        "alpaca",
        [SYSTEM, {"role": "user", "content": "a\n\ni"}, SAID],
    ),
    (
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "function": {"name": "f", "arguments": '{"x": 1}', "nothing": None}}]}]},
        "chat",
        [USER, {"role": "assistant", "content": "", "tool_calls": [{**CALL, "id": "1"}]}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("record", "form", "messages"), ROWS)
def test_each_form_becomes_messages(
    record: dict[str, Any], form: str, messages: list[dict[str, Any]]
) -> None:
    row = row_of(record, "d, line 1", None, {})
    assert (row.form, row.where, row.text, row.messages) == (form, "d, line 1", None, messages)
    assert row_of(record, "d", form, {}).messages == messages


def test_a_text_row_has_no_messages() -> None:
    row = row_of({"text": " all of it\n"}, "d", None, {})
    assert (row.form, row.text, row.messages) == ("text", " all of it\n", [])


def test_a_configured_form_overrides_detection() -> None:
    assert row_of({"messages": [USER, SAID], "text": "t"}, "d", "text", {}).text == "t"
    with pytest.raises(RowError, match="the form alpaca needs instruction and output") as caught:
        row_of({"text": "t"}, "d", "alpaca", {})
    assert caught.value.kind == "keys"


def test_columns_map_to_the_keys_of_a_form() -> None:
    columns = {"prompt": "Frage", "completion": "text"}
    record = {"Frage": "a", "text": "b", "prompt": "not this"}
    assert row_of(record, "d", None, columns).messages == [USER, SAID]
    with pytest.raises(RowError, match=r"has no column 'Frage' for prompt; it has text"):
        row_of({"text": "b"}, "d", None, columns)


@pytest.mark.parametrize(
    ("record", "hint"),
    [
        ({"question": "a", "answer": "b"}, 'columns = { prompt = "question", completion = "answer" }'),
        ({"id": 1, "Query": "a", "Response": "b"}, 'columns = { prompt = "Query", completion = "Response" }'),
        ({"prompt": "a", "response": "b"}, 'columns = { prompt = "prompt", completion = "response" }'),
        ({"conversation": [USER, SAID]}, "Is conversation meant to be conversations?"),
        (
            {"data": [{"prompt": "a", "completion": "b"}]},
            'If its rows are under "data", save only that list',
        ),
        (
            {"id": "7", "customer message": "a", "agent_reply": "b", "date": "2024-01-01"},
            'columns = { prompt = "customer message", completion = "agent_reply" }',
        ),
        (
            {"id": "7", "Nachricht": "Wo ist es?", "date": "1", "Text": "Auf dem Weg."},
            'columns = { prompt = "Nachricht", completion = "Text" }',
        ),
        ({"Frage": "a", "Antwort": "b", "n": 3}, 'columns = { prompt = "Frage", completion = "Antwort" }'),
        (
            {"problem_source": "forum", "problem": "a", "generation_model": "m", "solution": "b"},
            'columns = { prompt = "problem", completion = "solution" }',
        ),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, 'method = "dpo"'),
    ],
)
def test_unknown_keys_suggest_a_column_mapping(record: dict[str, Any], hint: str) -> None:
    with pytest.raises(RowError) as caught:
        row_of(record, "d", None, {})
    assert hint in str(caught.value)


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": [USER, SAID], "tools": [3]}, "tools must be a list of objects"),
        ({"messages": [USER, SAID], "tools": [nested(900)]}, "tools are nested too deeply"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [nested(900)]}]}, "nested too deeply"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{}]}]}, "needs its function's name"),
        (
            {"messages": [USER, {"role": "assistant", "tool_calls": 3}]},
            "tool_calls must be a list of objects",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": [{"type": "image_url"}]}]},
            "no text in content",
        ),
        ({"conversations": [{"from": "narrator", "value": "x"}]}, "message 1 has the from 'narrator'"),
        ({"conversations": "[" * 1000}, "messages must be a list"),
        ({"text": " "}, "has an empty text"),
        ({"text": "\ud83d"}, "text contains a lone surrogate"),
    ],
)
def test_an_invalid_row_names_the_reason(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError) as caught:
        row_of(record, "d", None, {})
    assert reason in str(caught.value)


def test_every_key_of_a_form_can_be_mapped() -> None:
    assert {key for form in FORMS.values() for key in form.keys} <= set(COLUMNS)


def test_a_training_method_brings_its_own_forms() -> None:
    def read(record: dict[str, Any]) -> Content:
        return Content([USER, {**SAID, "content": record["good"]}], extra={"bad": record["bad"]})

    forms = {"pair": Form("pairs", ("good", "bad"), read)}
    row = row_of({"good": "b", "bad": "c", "source": "x"}, "d", None, {}, forms=forms)
    assert (row.form, row.messages, row.extra, row.origins) == (
        "pair",
        [USER, SAID],
        {"bad": "c"},
        {"source": "x"},
    )
    with pytest.raises(RowError, match="has the keys messages; expected good and bad"):
        row_of({"messages": [USER, SAID]}, "d", None, {}, forms=forms)
    with pytest.raises(RowError, match="the form chat is not for this training method, which takes: pair"):
        row_of({"messages": [USER, SAID]}, "d", "chat", {}, forms=forms)
