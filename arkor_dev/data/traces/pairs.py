"""Finds the request and the response of an API call in a logged record, under the names that loggers use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.data.messages import from_text
from arkor_dev.data.rows import RowError

if TYPE_CHECKING:
    from .conversation import Record

REQUEST: Final = ("request", "request_body", "requestBody", "request_data", "kwargs")
RESPONSE: Final = ("response", "response_body", "responseBody", "response_data", "completion")
FAULT: Final = 400
SHOWN: Final = 150


class Pair(NamedTuple):
    """The bodies of a call; either is empty if the record lacks it."""

    request: Record
    response: Record


def pair_of(record: Record) -> Pair:
    """Return the bodies in a record: under their own keys, perhaps as JSON text, or in the record itself."""
    return Pair(
        _body(record, REQUEST) or (record if "messages" in record or "input" in record else {}),
        _body(record, RESPONSE) or (record if "choices" in record else {}),
    )


def check_answered(record: Record, pair: Pair) -> None:
    """Raise RowError if the call failed, or a body is missing."""
    fault = from_text(pair.response.get("error")) or from_text(record.get("error"))
    if isinstance(fault, dict):
        fault = fault.get("message")
    codes = (part.get(key) for part in (record, *_whole(record)) for key in ("status_code", "status"))
    code = next((code for code in codes if type(code) is int and code >= FAULT), None)
    if fault or code is not None:
        said = f": {fault[:SHOWN]}" if isinstance(fault, str) else ""
        raise RowError(f"the request failed{'' if code is None else f' with {code}'}{said}")
    if not pair.request:
        raise RowError("has a response without its request: log both in one record")
    if not pair.response:
        raise RowError("has a request without its response")
    if str(pair.response.get("object", "")).endswith(".chunk"):
        raise RowError("its response is a chunk of a stream: log the whole response")


def _whole(record: Record) -> list[Record]:
    """Return the responses with what surrounds their bodies."""
    values = (from_text(record.get(key)) for key in RESPONSE)
    return [value for value in values if isinstance(value, dict)]


def _body(record: Record, keys: tuple[str, ...]) -> Record:
    for key in keys:
        value = from_text(record.get(key))
        if isinstance(value, dict):
            inner: object = from_text(value.get("body"))
            return inner if isinstance(inner, dict) else value
    return {}
