"""Compares the tool calls in an answer with those of a row's last assistant message: metric ``tool_call``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

from arkor_dev.contract.rules import quoted
from arkor_dev.local.modeling.tool_calls import MARKS, ToolCall, ToolCalls, tool_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from arkor_dev.data.rows import Row, RowToolCall


class CallFields(TypedDict):
    """The names of a row's ``tools``, and the wanted ``calls`` as `normalised`."""

    tools: list[str]
    calls: list[list[str]]


def call_fields(row: Row) -> CallFields:
    """Return the tools and the wanted calls of a row.

    Some data sets have the calls in the text of the message, as the model writes them.
    """
    last = next(turn for turn in reversed(row.messages) if turn["role"] == "assistant")
    names = tool_names(row.tools)
    return {
        "tools": sorted(names),
        "calls": normalised(last.get("tool_calls") or _parsed(last["content"], names)),
    }


def call_fault(fields: CallFields) -> str | None:
    """Return why answers to a row with these `call_fields` cannot be scored, or None."""
    if not fields["tools"]:
        return "has no tools with a function's name, which the metric tool_call needs"
    unknown = [name for name, _ in fields["calls"] if name not in fields["tools"]]
    return f"calls {quoted(unknown[0])}, which is not one of its tools" if unknown else None


def calls_rightly(answer: str, tools: Collection[str], wanted: Sequence[Sequence[str]]) -> bool:
    """Return whether ``answer`` makes the ``wanted`` calls of these ``tools``, `normalised`, and no other.

    A call's mark without a valid call is wrong even where no call is wanted.
    """
    calls = normalised(_parsed(answer, tools))
    return calls == wanted and bool(calls or not any(mark in answer for mark in MARKS))


def normalised(calls: Sequence[RowToolCall | ToolCall]) -> list[list[str]]:
    """Return the name and normalised arguments of each of ``calls``, in OpenAI's form, sorted.

    The calls of one message are made in parallel, so their order says nothing.
    """
    functions = [call["function"] for call in calls]
    return sorted([function["name"], _arguments(function["arguments"])] for function in functions)


def _parsed(text: str, tools: Collection[str]) -> Sequence[RowToolCall | ToolCall]:
    parser = ToolCalls(tools)
    try:
        parser.push(text)
        return parser.end()[1]
    except RecursionError:
        return ()


def _arguments(arguments: object) -> str:
    """Return ``arguments``, JSON text or a value, as canonical JSON; text that is not JSON as it is."""
    text = ""
    try:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        # Rows have lost their nulls (see `data.messages`), so a null counts as absent on both sides.
        value = json.loads(text or "{}", parse_float=_number, object_hook=_without_nulls)
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _without_nulls(entries: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in entries.items() if value is not None}
