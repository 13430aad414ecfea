"""Spans and log records of OpenTelemetry's GenAI conventions (opentelemetry.io/docs/specs/semconv/gen-ai).

The messages are in attributes of the span, or of an event with its details (from 1.37 on); in one event a
message (before that); or in numbered attributes (``gen_ai.prompt.0.content``, of OpenLLMetry). A record of an
OTLP JSON file has many spans; one of an exporter that prints spans has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.messages import DEPTH, from_text
from arkor_dev.data.rows import RowError

from .conversation import NotAnAnswer, TracedPrompt, TraceFormat, conversations
from .messages import read_answer, read_message, read_messages, read_tools
from .openai_chat import check_complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.data.rows import RowMessage

    from .conversation import Outcome, Record

INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
DETAILS: Final = "gen_ai.client.inference.operation.details"
CHOICE: Final = "gen_ai.choice"
ROLES: Final = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
"""Events with one message each, and its role."""
NUMBERED: Final = ("gen_ai.prompt.", "gen_ai.completion.", "llm.request.functions.")
ANSWERS: Final = (None, "chat", "text_completion", "generate_content")
"""Operations that are a model's answer; an agent's span would repeat those inside it, without their calls."""
SHOWN: Final = 80
DIGITS: Final = 20
"""Longest whole number: those of OTLP have 64 bits."""


def _matches(record: Record) -> bool:
    nested = ("resourceSpans", "scopeSpans", "spans", "resourceLogs", "scopeLogs", "logRecords")
    if any(isinstance(record.get(key), list) for key in nested):
        return True
    return isinstance(record.get("attributes"), dict | list) and ("spanId" in record or "context" in record)


def _read(record: Record) -> Iterator[Outcome]:
    for resource in _listed(record, "resourceSpans") or [record]:
        for scope in _listed(resource, "scopeSpans") or [resource]:
            for span in _listed(scope, "spans"):
                yield from _of_span(span)
    by_span: dict[tuple[str, str], list[Record]] = {}
    for resource in _listed(record, "resourceLogs") or [record]:
        for scope in _listed(resource, "scopeLogs") or [resource]:
            for entry in _listed(scope, "logRecords"):
                by_span.setdefault((str(entry.get("traceId")), str(entry.get("spanId"))), []).append(entry)
    for (_, identity), events in by_span.items():
        yield from _of_span({"name": "log records of", "spanId": identity, "events": events})
    if "attributes" in record:
        yield from _of_span(record)


def _listed(record: Record, key: str) -> list[Record]:
    """Return the objects in a list, empty without one. Raises RowError if it is anything else."""
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise RowError(f"{key} must be a list of objects")
    return value


def _of_span(span: Record) -> Iterator[Outcome]:
    """Yield the answers of a span, whose name precedes each reason."""
    context = span.get("context")
    identity = span.get("spanId") or (context.get("span_id") if isinstance(context, dict) else None)
    where = f"span {str(span.get('name'))[:SHOWN]} ({str(identity)[:SHOWN]})"
    try:
        for outcome in _answers(span):
            yield RowError(f"{where}: {outcome}") if isinstance(outcome, RowError) else outcome
    except RowError as fault:
        yield RowError(f"{where}: {fault}")


def _answers(span: Record) -> Iterator[Outcome]:
    attributes = _attributes(span.get("attributes"))
    operation = attributes.get("gen_ai.operation.name")
    if operation not in ANSWERS:
        yield NotAnAnswer()
        return
    events = [(_name(event), event) for event in _listed(span, "events")]
    for name, event in events:
        if name == DETAILS:
            attributes |= _attributes(event.get("attributes"))
            if attributes.get("gen_ai.operation.name") not in ANSWERS:
                yield NotAnAnswer()
                return
    _check_status(span, attributes)
    if INPUT in attributes or OUTPUT in attributes:
        yield from conversations(_prompt(attributes), _outputs(attributes.get(OUTPUT)))
    elif any(name in ROLES or name == CHOICE for name, _ in events):
        yield from _by_events(events, attributes)
    elif any(name.startswith(NUMBERED[:2]) for name in attributes):
        yield from _numbered(attributes)
    elif operation is not None or any(name.startswith("gen_ai.request.") for name in attributes):
        raise RowError("its messages were not recorded: capturing content is off by default")
    else:
        yield NotAnAnswer()


def _check_status(span: Record, attributes: Record) -> None:
    status = span.get("status")
    code = status.get("code", status.get("status_code")) if isinstance(status, dict) else None
    if code in (2, "STATUS_CODE_ERROR", "ERROR") or "error.type" in attributes:
        raise RowError(f"the call failed ({str(attributes.get('error.type', 'error'))[:SHOWN]})")


def _prompt(attributes: Record) -> TracedPrompt:
    messages = read_messages(attributes.get(INPUT), INPUT)
    told = from_text(attributes.get("gen_ai.system_instructions"))
    if told:
        messages[:0] = read_message({"role": "system", "content": told}, "gen_ai.system_instructions")
    return TracedPrompt(messages, read_tools(attributes.get("gen_ai.tool.definitions")))


def _outputs(value: object) -> Iterator[RowMessage | RowError]:
    value = from_text(value)
    if not isinstance(value, list) or not value:
        yield RowError(f"it has no {OUTPUT}")
        return
    for index, output in enumerate(value):
        yield _answer(output, f"{OUTPUT}[{index}]")


def _answer(output: object, where: str) -> RowMessage | RowError:
    try:
        if isinstance(output, dict):
            check_complete(output.get("finish_reason"))
        return read_answer(output, where)
    except RowError as fault:
        return fault


def _by_events(events: list[tuple[str, Record]], attributes: Record) -> Iterator[Outcome]:
    """Yield the answers of a span with one event a message, in the order of time."""
    messages: list[RowMessage] = []
    answers: list[RowMessage | RowError] = []
    for name, event in sorted(events, key=_time):
        body = _body(event)
        if name in ROLES:
            identity = {"tool_call_id": body["id"]} if "id" in body else {}
            messages += read_message({**identity, **body, "role": ROLES[name]}, name)
        elif name == CHOICE:
            spoken = from_text(body.get("message"))
            spoken = (
                {**spoken, "role": "assistant"} if isinstance(spoken, dict) else {**body, "role": "assistant"}
            )
            answers.append(_answer({**spoken, "finish_reason": body.get("finish_reason")}, CHOICE))
    if not messages or not answers:
        raise RowError("its events have no prompt, or no choice")
    tools = read_tools(attributes.get("gen_ai.tool.definitions"))
    yield from conversations(TracedPrompt(messages, tools), answers)


def _time(named: tuple[str, Record]) -> int:
    for key in ("timeUnixNano", "observedTimeUnixNano"):
        value = named[1].get(key)
        if isinstance(value, int | str) and str(value).isdecimal() and len(str(value)) <= DIGITS:
            return int(value)
    return 0


def _body(event: Record) -> Record:
    """Return an event's content: a log record's body, JSON in an attribute, or the attributes themselves."""
    attributes = _attributes(event.get("attributes"))
    body = event.get("body")
    values = (
        _value(body),
        from_text(attributes.get("gen_ai.event.content")),
    )
    return next((value for value in values if isinstance(value, dict)), attributes)


def _name(event: Record) -> str:
    named = event.get("eventName") or event.get("name")
    return str(named or _attributes(event.get("attributes")).get("event.name"))


def _numbered(attributes: Record) -> Iterator[Outcome]:
    """Yield the answers of a span whose messages are spread over numbered attributes."""
    prompt, completion, functions = (_tree(attributes, start) for start in NUMBERED)
    messages = read_messages([_with_calls(message) for message in prompt], NUMBERED[0].rstrip("."))
    answers = [
        _answer({"role": "assistant", **_with_calls(one)}, NUMBERED[1].rstrip(".")) for one in completion
    ]
    if not answers:
        raise RowError("it has no completion")
    yield from conversations(TracedPrompt(messages, read_tools(functions)), answers)


def _with_calls(message: Record) -> Record:
    calls = message.get("tool_calls")
    return {**message, "tool_calls": _in_order(calls)} if isinstance(calls, dict) else message


def _tree(attributes: Record, start: str) -> list[Record]:
    """Return ``start`` + ``0.tool_calls.0.name`` and the like as a list of objects. Raises RowError."""
    root: Record = {}
    for key, value in attributes.items():
        if not key.startswith(start):
            continue
        *path, last = key.removeprefix(start).split(".")
        at = root
        for name in path[:DEPTH]:
            inner = at.setdefault(name, {})
            if not isinstance(inner, dict):
                raise RowError(f"{key[:SHOWN]} is both a value and more than one")
            at = inner
        at[last] = value
    return [one for one in _in_order(root) if isinstance(one, dict)]


def _in_order(by_number: Record) -> list[object]:
    numbers = sorted(int(key) for key in by_number if key.isascii() and key.isdecimal() and len(key) < 6)
    return [by_number[str(number)] for number in numbers if str(number) in by_number]


def _attributes(value: object) -> Record:
    """Return attributes as an object, whether they are one or OTLP's list of keys and values."""
    if isinstance(value, dict):
        return dict(value)
    entries = value if isinstance(value, list) else []
    return {
        entry["key"]: _value(entry.get("value"))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("key"), str)
    }


def _value(value: object, depth: int = 0) -> object:
    """Return the JSON value of OTLP's ``{stringValue: …}``. Raises RowError if it is nested too deeply."""
    if depth > DEPTH:
        raise RowError("an attribute is nested too deeply")
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind in ("arrayValue", "kvlistValue"):
        listed = inner.get("values") if isinstance(inner, dict) else None
        entries = listed if isinstance(listed, list) else []
        if kind == "arrayValue":
            return [_value(entry, depth + 1) for entry in entries]
        return {
            entry["key"]: _value(entry.get("value"), depth + 1)
            for entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("key"), str)
        }
    if kind == "intValue" and isinstance(inner, str):
        return int(inner) if inner.lstrip("-").isdecimal() and len(inner) <= DIGITS else inner
    return inner if kind in ("stringValue", "boolValue", "doubleValue", "intValue", "bytesValue") else value


FORMAT: Final = TraceFormat("OpenTelemetry spans", _matches, _read)
