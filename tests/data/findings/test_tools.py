"""What the check says of rows with tools: their calls, the arguments of these, and their results."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.findings import tools
from arkor_dev.data.findings.check import check_data
from arkor_dev.data.forms import FORMS
from arkor_dev.data.preferences import RATINGS
from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.reader import DataFile

from .test_findings import filler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DataCheck, Finding
    from arkor_dev.data.forms import Form

CITY = {"type": "string"}
WEATHER = {
    "type": "object",
    "properties": {
        "city": CITY,
        "days": {"type": "integer"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "places": {"type": "array", "items": {"type": "object", "properties": {"lat": {"type": "number"}}}},
        "note": {"type": ["string", "null"]},
    },
    "required": ["city", "note"],
    "additionalProperties": False,
}


def tool(name: str, schema: object = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "…", "parameters": schema}}


def call(name: str, arguments: object = None, **more: object) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments or {}}, **more}


def calling(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def result(content: str = "21", **more: str) -> dict[str, Any]:
    return {"role": "tool", "content": content, **more}


def asked(number: int) -> dict[str, Any]:
    return {"role": "user", "content": filler(2 * number, 6)}


def answered(number: int) -> dict[str, Any]:
    return {"role": "assistant", "content": filler(2 * number + 1)}


WEATHERS = [tool("weather", WEATHER)]


def row(number: int, *messages: dict[str, Any], given: object = None) -> dict[str, Any]:
    """A question, the ``messages`` and an answer, with a tool that they may call."""
    messages = (asked(number), *messages, answered(number))
    return {"messages": list(messages), "tools": WEATHERS if given is None else given}


def report(folder: Path, rows: list[Any], forms: Mapping[str, Form] = FORMS, **how: Any) -> DataCheck:
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = DataFile(folder / "d.jsonl", "d.jsonl", forms=forms)
    return check_data([file], **how)


def found(folder: Path, *rows: Any, forms: Mapping[str, Form] = FORMS) -> dict[str, Finding]:
    return {finding["code"]: finding for finding in report(folder, list(rows), forms)["findings"]}


PARIS = {"city": "Paris", "note": "now"}
USED = row(900, calling(call("weather", PARIS)), result())
"""A row that calls the tool of all rows."""


def test_valid_tool_rows_have_no_findings(tmp_path: Path) -> None:
    both = {"role": "assistant", "content": "I look it up.", "tool_calls": [call("weather", PARIS, id="b")]}
    fits = {"city": "Rome", "days": 2.0, "unit": "celsius", "places": [{"lat": 1, "x": []}], "note": None}
    sharegpt = {
        "conversations": [
            {"from": "human", "value": filler(1, 6)},
            {"from": "function_call", "value": json.dumps([{"name": "time", "arguments": {}}] * 2)},
            {"from": "observation", "value": json.dumps(["9:00", "10:00"])},
            {"from": "gpt", "value": filler(2)},
        ],
        "tools": json.dumps([{"name": "time", "parameters": {"zone": {"type": "str", "required": True}}}]),
    }
    rows = [
        row(1, calling(call("weather", json.dumps(fits), id="a")), result(tool_call_id="a")),
        row(2, calling(call("weather", fits), call("weather", PARIS)), result(), result()),
        row(3, calling(call("weather", PARIS, id="a")), result(tool_call_id="a"), both,
            result(tool_call_id="b")),
        {"messages": [asked(4), calling(call("weather", {"city": "Oslo"}))], "tools": WEATHERS},
        row(5, calling(call("search", {"q": "x"})), result(), given=[*WEATHERS, {"type": "web_search"}]),
        row(6, calling(call("search", {"q": "x"})), result(), given=[{"type": "web_search"}]),
        row(7, calling(call("anything", {"q": "x"})), result(), given=[]),
        sharegpt,
    ]  # fmt: skip
    assert found(tmp_path, *rows) == {}


def test_a_call_of_an_unlisted_tool_is_found(tmp_path: Path) -> None:
    ends = {"messages": [asked(2), calling(call("wether", PARIS))], "tools": WEATHERS}
    findings = found(tmp_path, USED, row(1, calling(call("wether")), result()), row(3), ends)
    assert findings.keys() == {"unknown-tool"}
    finding = findings["unknown-tool"]
    assert (finding["level"], finding["count"]) == ("warning", 2)
    assert finding["title"] == "2 rows call a tool that the row does not list"
    assert finding["rows"][0] == {
        "row": 2, "where": "d.jsonl, line 2", "excerpt": "wether is called; the row lists weather",
    }  # fmt: skip
    assert finding["rows"][1]["row"] == 4


INVALID: list[tuple[object, str]] = [
    ({"days": 2}, "city is missing"),
    ({"city": 3}, "city: integer instead of string"),
    ({"city": "Rome", "days": "2"}, "days: string instead of integer"),
    ({"city": "Rome", "days": True}, "days: boolean instead of integer"),
    ({"city": "Rome", "days": 2.5}, "days: number instead of integer"),
    ({"city": "Rome", "note": 1}, "note: integer instead of string or null"),
    ({"city": "Rome", "unit": "kelvin"}, "unit: not a value of the enum"),
    ({"city": "Rome", "country": "Italy"}, "country is not in the schema"),
    ({"city": "Rome", "places": [{}, {"lat": "1"}]}, "places: item 1: lat: string instead of number"),
    ('{"city": null}', "city: null instead of string"),
    ("city=Rome", "the arguments are not a JSON object but string"),
    ('{"city": "Rome"', "the arguments are not a JSON object but string"),
    (["Rome"], "the arguments are not a JSON object but array"),
]


@pytest.mark.parametrize(("arguments", "excerpt"), INVALID, ids=[excerpt for _, excerpt in INVALID])
def test_arguments_that_break_the_schema_are_found(tmp_path: Path, arguments: object, excerpt: str) -> None:
    calls = calling(call("weather", PARIS), call("weather", arguments))
    findings = found(tmp_path, USED, row(1, calls, result(), result()))
    assert findings.keys() == {"tool-arguments"}
    finding = findings["tool-arguments"]
    assert (finding["level"], finding["title"]) == ("warning", "1 row has a tool call with invalid arguments")
    assert [(row["row"], row["excerpt"]) for row in finding["rows"]] == [(2, f"weather: {excerpt}")]


SATISFIED: list[tuple[object, object]] = [
    (None, {"a": 1}),
    ("object", {"a": 1}),
    ({"type": "dict", "properties": {"a": {"type": "float"}}}, {"a": "1"}),
    ({"type": [["object"]], "properties": {"a": {"type": []}}}, {"a": 1}),
    ({"properties": ["a"], "required": "a", "enum": "a", "items": 3}, {"b": [1]}),
    ({"required": [["a"], 3, True]}, {}),
    ({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["a"]}, {}),
    ({"properties": {"a": {"type": "string", "nullable": True}}, "required": ["a"]}, '{"a": null}'),
    ({"properties": {"a": {"type": "integer", "minimum": 3}}, "minProperties": 4}, {"a": 1}),
    ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x1": 1}),
    ({"$ref": "#/$defs/a", "required": ["a"]}, {}),
    ({"properties": {"a": {"prefixItems": [{}], "items": {"type": "string"}}}}, {"a": [1]}),
    ({"additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({"properties": {"a": {"enum": [[1], {"b": 2}]}}}, {"a": [2]}),
    ({"properties": {"a": True}, "additionalProperties": True}, {"a": 1, "b": []}),
]


@pytest.mark.parametrize(("schema", "arguments"), SATISFIED)
def test_what_a_schema_does_not_clearly_forbid_is_allowed(
    tmp_path: Path, schema: object, arguments: object
) -> None:
    given = [tool("f", schema)]
    assert found(tmp_path, row(1, calling(call("f", arguments)), result(), given=given)) == {}


UNANSWERED = [
    [calling(call("weather", PARIS))],
    [calling(call("weather", PARIS, id="a"), call("weather", PARIS, id="b")), result(tool_call_id="a")],
    [calling(call("weather", PARIS, id="a")), result(tool_call_id="b")],
    [calling(call("weather", PARIS), call("weather", PARIS)), result()],
    [calling(call("weather", PARIS)), asked(5), answered(5), asked(6), answered(6), asked(7)],
]


@pytest.mark.parametrize("messages", UNANSWERED)
def test_a_call_without_a_result_is_found(tmp_path: Path, messages: list[dict[str, Any]]) -> None:
    finding = found(tmp_path, USED, row(1, *messages))["missing-result"]
    assert (finding["level"], finding["title"]) == ("warning", "1 row has a tool call without a result")
    assert finding["rows"][0]["excerpt"] == "weather is called without a result"
    assert finding["rows"][0]["row"] == 2


def test_a_tool_that_no_row_calls_is_a_note(tmp_path: Path) -> None:
    given = [*WEATHERS, tool("time"), tool("news")]
    last = {"messages": [asked(8), calling(call("mail"))], "tools": [tool("mail"), tool("time")]}
    rows = [row(1, given=given), row(2, given=[*given, tool("chess")]), USED, last]
    findings = found(tmp_path, *rows)
    assert findings.keys() == {"unused-tool"}
    finding = findings["unused-tool"]
    assert (finding["level"], finding["title"]) == ("note", "3 tools are never called")
    assert [(row["row"], row["excerpt"]) for row in finding["rows"]] == [(1, "time, news"), (2, "chess")]
    assert finding["count"] == 2
    assert found(tmp_path, row(1))["unused-tool"]["title"] == "1 tool is never called"


def test_no_tool_is_called_unused_before_all_rows_were_read(tmp_path: Path) -> None:
    assert report(tmp_path, [row(1), USED], seconds=0)["findings"] == []


def test_prompts_and_bad_answers_may_have_any_calls(tmp_path: Path) -> None:
    """A prompt's calls are yet to be generated, and wrong ones may be what makes an answer bad."""
    prompts = [{"prompt": filler(n, 6), "answer": filler(n), "tools": WEATHERS} for n in range(9)]
    assert found(tmp_path, *prompts, forms=PROMPTS) == {}
    bad = calling(call("wether", "?"))
    ratings = [
        {"prompt": filler(n, 6), "completion": [bad], "label": False, "tools": WEATHERS} for n in range(30)
    ]
    assert found(tmp_path, *ratings, forms=RATINGS).keys() <= {"one-rating", "same-answer"}


def test_the_use_of_more_tools_than_the_limit_is_reported_as_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "MOST_TOOLS", 2)
    names = ["a", "b", "c" * 300, "d"]
    checked = report(tmp_path, [row(1, calling(call("b")), result(), given=[*map(tool, names)])])
    assert [finding["title"] for finding in checked["findings"]] == ["1 tool is never called"]
    assert any(text.startswith("Whether tools beyond the first") for text in checked["leftOut"])


def nested(depth: int, inner: str) -> str:
    return '{"a": ' * depth + inner + "}" * depth


@pytest.mark.slow
def test_hostile_tools_take_linear_time_and_never_raise(tmp_path: Path) -> None:
    """What compares each call with each part of a schema takes minutes for these."""
    many = [f"k{n}" for n in range(30_000)]
    deep: Any = {"type": "string"}
    for _ in range(25):
        deep = {"type": "object", "properties": {"a": deep}}
    calls = [call("f", {"a": "x"}) for _ in range(6_000)]
    long = "k" * 300_000
    rows = [
        row(1, calling(*calls), given=[tool("f", {"required": ["a"] * 30_000})]),
        row(2, calling(*calls), given=[tool("f", {"properties": {"a": {"enum": [*many, "x"]}}})]),
        row(3, calling(*calls), given=[tool("f", {"properties": {"a": {"type": ["null"] * 30_000}}})]),
        row(4, calling(call("f", nested(900, "1")), call("f", nested(30, "1"))), given=[tool("f", deep)]),
        row(5, calling(call("f", {long: dict.fromkeys(many, 1)})),
            given=[tool("f", {"additionalProperties": {"additionalProperties": {"type": "integer"}}})]),
        row(6, *[calling(call(long[:99] + str(n), id=str(n))) for n in range(1500)], given=[tool("f")]),
        row(7, *[result("[" * 3000)] * 300, calling(call("f", id=3), call("f", id=["a"]))),
        row(8, calling(call(long), call("")), given=[tool(long), tool(""), tool("f"), {"function": 3}, {}]),
        row(9, calling(call("\ud800", {"\udfff": 1})), given=[tool("\ud801")]),
    ]  # fmt: skip
    taken: list[float] = []
    while len(taken) < 3 and min(taken, default=math.inf) >= 2:  # others may use the processor, too
        began = time.process_time()
        findings = found(tmp_path, *rows)
        taken.append(time.process_time() - began)
    assert min(taken) < 2
    assert "wrong-content" not in findings
    json.dumps(findings, ensure_ascii=False).encode()  # without lone surrogates
    assert all(len(row["excerpt"]) <= 120 for finding in findings.values() for row in finding["rows"])
