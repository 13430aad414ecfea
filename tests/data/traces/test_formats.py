"""Each format's records become the same row; what cannot be learned is refused with its reason."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from arkor_dev.data.traces.convert import LoggedRecord, TraceConversion, convert
from arkor_dev.data.traces.formats import format_of

from . import samples


def converted(records: list[Any]) -> tuple[TraceConversion, list[Any], list[str]]:
    """Convert records, and return the counts, the rows and the reasons."""
    lines: list[bytes] = []
    reasons: list[str] = []
    logged = [LoggedRecord(f"log.jsonl:{number}", record) for number, record in enumerate(records, 1)]
    counts = convert(logged, lines.append, reasons.append)
    return counts, [json.loads(line) for line in lines], reasons


@pytest.mark.parametrize("name", samples.ALL)
def test_a_logged_conversation_becomes_one_row_with_its_call_and_result(name: str) -> None:
    label, records, merged, others = samples.ALL[name]
    counts, rows, reasons = converted(records)
    assert reasons == []
    assert rows == [samples.ROW]
    assert (counts.merged, counts.others, counts.failed) == (merged, others, 0)
    assert counts.records == {label: len(records)}


@pytest.mark.parametrize("name", samples.ALL)
def test_the_order_of_turns_in_a_log_does_not_matter(name: str) -> None:
    _, records, merged, _ = samples.ALL[name]
    counts, rows, _ = converted(records[::-1])
    assert rows == [samples.ROW]
    assert counts.merged == merged


def chat(messages: list[Any], answer: Any, **more: Any) -> dict[str, Any]:
    choice = {"message": answer, "finish_reason": "stop", **more}
    return {"request": {"messages": messages}, "response": {"choices": [choice]}}


ASK = [{"role": "user", "content": "Hi"}]
SAID = {"role": "assistant", "content": "Hello"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
REFUSED = {
    "log.jsonl:1: the answer was cut off (length)": chat(ASK, SAID, finish_reason="length"),
    "log.jsonl:1: the answer is empty": chat(ASK, {"role": "assistant", "content": " "}),
    'log.jsonl:1: messages[0].content[0] is "image_url", and rows are text': chat(
        [{"role": "user", "content": [PICTURE]}], SAID
    ),
    'log.jsonl:1: messages[0] has the role "critic"; expected system, user, assistant or tool': chat(
        [{"role": "critic", "content": "Hm"}], SAID
    ),
    "log.jsonl:1: choices[0].message is a refusal": chat(ASK, {"role": "assistant", "refusal": "No."}),
    "log.jsonl:1: messages must be a list of messages, not int": {
        "request": {"messages": 7}, "response": {"choices": [{"message": SAID}]}
    },
    'log.jsonl:1: tools[0] is "web_search_20250305": only functions can be learned': {
        "request": {"messages": ASK, "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "response": {"type": "message", "content": [{"type": "text", "text": "Hello"}]},
    },
    "log.jsonl:1: the request failed with 429: Slow down": {
        "request": {"messages": ASK},
        "response": {"status_code": 429, "body": {"error": {"message": "Slow down"}}},
    },
    "log.jsonl:1: has a response without its request: log both in one record": {
        "custom_id": "1", "response": {"status_code": 200, "body": {"choices": [{"message": SAID}]}}
    },
    "log.jsonl:1: has a request without its response": {"request": {"messages": ASK}, "response": None},
    "log.jsonl:1: its response is a chunk of a stream: log the whole response": {
        "request": {"messages": ASK},
        "response": {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "He"}}]},
    },
    "log.jsonl:1: continues a conversation that only the server has (previous_response_id): log whole "
    "inputs": {
        "request": {"input": "Hi", "previous_response_id": "resp_0"},
        "response": {"object": "response", "output": []},
    },
    "log.jsonl:1: the answer was cut off (max_output_tokens)": {
        "request": {"input": "Hi"},
        "response": {
            "object": "response", "status": "incomplete", "output": [],
            "incomplete_details": {"reason": "max_output_tokens"},
        },
    },
    "log.jsonl:1: its output must be one turn of the assistant": {
        "request": {"input": "Hi"},
        "response": {"object": "response", "output": [{"type": "message", "role": "user", "content": "Me"}]},
    },
    "log.jsonl:1: the run failed: ValueError('x')": {
        "run_type": "llm", "inputs": {"messages": [ASK]}, "outputs": None, "error": "ValueError('x')"
    },
    "log.jsonl:1: the call failed: timeout": {
        "traceId": "t", "type": "GENERATION", "input": ASK, "output": None, "level": "ERROR",
        "statusMessage": "timeout",
    },
    "log.jsonl:1: its text was not kept: this endpoint is not set to keep texts": {
        "id": "1", "call": "messages", "status": 200, "promptTokens": 1, "kept": False
    },
    "log.jsonl:1: is a completion of a text, not a conversation": {
        "id": "1", "call": "completions", "status": 200, "promptTokens": 1, "kept": True,
        "messages": ASK, "answers": ["x"],
    },
    "log.jsonl:1: is not a known kind of trace; it has the keys prompt, completion": {
        "prompt": "a", "completion": "b"
    },
    "log.jsonl:1: is not a known kind of trace; it has the keys messages. It is a row already": {
        "messages": ASK
    },
    "log.jsonl:1: is not a known kind of trace; it is str": "hello",
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_learned_is_refused_with_its_reason(reason: str) -> None:
    counts, rows, reasons = converted([REFUSED[reason]])
    assert rows == []
    assert reasons == [reason]
    assert counts.failed == 1


def test_a_span_is_named_in_its_reason() -> None:
    records = copy.deepcopy(samples.OPENTELEMETRY)
    span = records[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["attributes"] = span["attributes"][:2]
    reason = "its messages were not recorded: capturing content is off by default"
    assert converted(records)[2] == [f"log.jsonl:1: span chat gpt-4o (eee19b7ec3c1b174): {reason}"]


def test_every_choice_becomes_a_row() -> None:
    record = chat(ASK, SAID)
    record["response"]["choices"] += [
        {"message": {"role": "assistant", "content": "Hey"}, "finish_reason": "length"}
    ]
    record["response"]["choices"] += [{"message": {"role": "assistant", "content": "Good day"}}]
    counts, rows, reasons = converted([record])
    assert [row["messages"][-1]["content"] for row in rows] == ["Hello", "Good day"]
    assert (counts.failed, reasons) == (1, ["log.jsonl:1: the answer was cut off (length)"])


def test_only_the_longest_of_a_conversation_is_kept() -> None:
    more = [*ASK, SAID, {"role": "user", "content": "And?"}]
    longest = [*more, {"role": "assistant", "content": "Well."}, {"role": "user", "content": "So?"}]
    branch = [*ASK, SAID, {"role": "user", "content": "Else?"}]
    records = [
        chat(more, {"role": "assistant", "content": "Well.\n"}),  # clients trim
        chat(ASK, SAID),
        chat(longest, SAID),
        chat(branch, SAID),
        chat(ASK, SAID),
    ]
    counts, rows, _ = converted(records)
    assert [len(row["messages"]) for row in rows] == [6, 4]
    assert (counts.rows, counts.merged) == (2, 3)


def test_the_same_words_with_other_tools_are_another_conversation() -> None:
    record = chat(ASK, SAID)
    other = copy.deepcopy(record)
    other["request"]["tools"] = [samples.TOOL]
    assert len(converted([record, other])[1]) == 2


def test_thoughts_are_kept_as_reasoning() -> None:
    thinks = [
        {"type": "thinking", "thinking": "Be kind.", "signature": "s"},
        {"type": "text", "text": "Hello"},
    ]
    record = {
        "request": {"messages": ASK, "max_tokens": 9},
        "response": {"type": "message", "content": thinks},
    }
    (row,) = converted([record])[1]
    assert row["messages"][-1] == {"role": "assistant", "content": "Hello", "reasoning_content": "Be kind."}


def test_a_begun_answer_and_its_rest_are_one_message() -> None:
    begun = [*ASK, {"role": "assistant", "content": "{"}]
    rest = [{"type": "text", "text": '"a": 1}'}]
    record = {"request": {"messages": begun}, "response": {"type": "message", "content": rest}}
    (row,) = converted([record])[1]
    assert row["messages"][1:] == [{"role": "assistant", "content": '{"a": 1}'}]


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


WRONG = [
    None,
    7,
    True,
    "x",
    [],
    {},
    [7],
    [[]],
    [{}],
    {"a": 7},
    "[",
    "{",
    '{"a": [',
    float("nan"),
    deep(200),
    "\ud800",
]


@pytest.mark.parametrize("name", samples.ALL)
@pytest.mark.slow
def test_any_wrong_type_anywhere_is_a_sentence(name: str) -> None:
    """Replaces each value in the records by others: a row, a count or a reason comes out, no exception."""
    _, records, _, _ = samples.ALL[name]

    def paths(value: Any, at: tuple[Any, ...] = ()) -> Any:
        yield at
        listed = enumerate(value) if isinstance(value, list) else ()
        for key, inner in value.items() if isinstance(value, dict) else listed:
            yield from paths(inner, (*at, key))

    kept = pickle.dumps(records[0])  # copied some thousand times
    for path in [path for path in paths(records[0]) if path]:
        for wrong in WRONG:
            record = pickle.loads(kept)  # noqa: S301
            at = record
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = wrong
            counts, _, reasons = converted([record])
            assert len(reasons) == counts.failed
            assert counts.rows + counts.others + counts.failed > 0


def test_a_prompt_with_a_hundred_thousand_answers_does_not_fill_the_disk() -> None:
    record = chat([{"role": "user", "content": "x" * 100_000}], SAID)
    record["response"]["choices"] = [
        {"message": {"role": "assistant", "content": str(i)}} for i in range(100_000)
    ]
    counts, _, reasons = converted([record])
    assert counts.rows == 128
    assert reasons == ["log.jsonl:1: has more than 128 answers; the others were not read"]


def test_rows_of_ours_are_not_traces() -> None:
    for record in (
        samples.ROW,
        {"prompt": "a", "completion": "b"},
        {"conversations": [{"from": "human", "value": "a"}]},
        {"instruction": "a", "input": "b", "output": "c"},
        {"input": "b", "output": "c"},
        {"prompt": ASK, "completion": [SAID]},
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"text": "a"},
        {"question": "a", "response": "b"},
    ):
        assert format_of(record) is None, record
