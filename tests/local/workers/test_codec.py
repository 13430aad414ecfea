"""One line of JSON for each message, and nothing else accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from arkor_dev.contract.shapes import Progress
from arkor_dev.local.workers.codec import Bounds, Codec, Message, Others, Trusted, encode, read_as


@dataclass(frozen=True)
class Part:
    name: str
    size: float = 1.0


@dataclass(frozen=True)
class Text(Message):
    text: str


@dataclass(frozen=True)
class Done(Message):
    reason: Literal["stop", "length"]
    seconds: float
    tokens: Annotated[int, Bounds(0, 100)] = 0


@dataclass(frozen=True)
class Numbered(Message):
    id: int
    message: Text | Done


class Row(TypedDict):
    type: Literal["row"]
    step: int
    loss: NotRequired[float | None]


class Note(TypedDict):
    type: Literal["note"]
    text: str


@dataclass(frozen=True)
class Told(Message):
    event: Annotated[Row, Others(float)] | Note


@dataclass(frozen=True)
class Sent(Message):
    row: Annotated[Row, Trusted()]


@dataclass(frozen=True)
class Everything(Message):
    folder: Path
    part: Part
    parts: list[Part]
    texts: tuple[Text, ...]
    progress: Progress | None = None
    named: dict[str, int] = field(default_factory=dict)
    anything: Any = None
    short: Annotated[list[str], Bounds(0, 2)] = field(default_factory=list)


ALL = Codec[Text | Done | Numbered | Everything](Text, Done, Numbered, Everything)
PROGRESS: Progress = {"label": "Loading", "done": 1, "total": None, "unit": "B"}


@pytest.mark.parametrize(
    "message",
    [
        Text("a\nb\ud800é"),
        Done("stop", 1.5, 100),
        Numbered(7, Done("length", 2)),
        Everything(
            Path("/a"), Part("x"), [Part("y", 2)], (Text("z"),), PROGRESS, {"n": 1}, [{"a": None}], ["b"]
        ),
    ],
)
def test_a_message_is_decoded_as_it_was_encoded(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert ALL.decode(line) == message
    assert json.loads(line)["kind"] == type(message).__name__


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"kind": "Other"}', "unexpected message 'Other'"),
        ('{"text": "a"}', "unexpected message 'None'"),
        ('{"kind": ["Text"], "text": "a"}', "unexpected message"),
        ("[1]", "is not"),
        ("nonsense", "Expecting value"),
        ('{"kind": "Text"}', "Text: missing or unknown fields: text"),
        ('{"kind": "Text", "text": "a", "more": 1}', "Text: missing or unknown fields: more"),
        ('{"kind": "Text", "text": 1}', "'1' is not"),
        ('{"kind": "Done", "reason": "tired", "seconds": 1}', "'tired' is not"),
        ('{"kind": "Done", "reason": "stop", "seconds": true}', "'True' is not"),
        ('{"kind": "Done", "reason": "stop", "seconds": NaN}', "'NaN' is not a JSON value"),
        ('{"kind": "Done", "reason": "stop", "seconds": 1, "tokens": 101}', "'101' is not Bounds"),
        ('{"kind": "Done", "reason": "stop", "seconds": 1, "tokens": 1.0}', "'1.0' is not"),
        ('{"kind": "Numbered", "id": 1, "message": {"kind": "Numbered"}}', "unexpected message 'Numbered'"),
    ],
)
def test_an_invalid_message_is_refused_with_the_reason(line: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        ALL.decode(line.encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("folder", 1),
        ("part", {"size": 1}),
        ("parts", {"name": "y"}),
        ("texts", [{"kind": "Done", "reason": "stop", "seconds": 1}]),
        ("progress", {"label": "Loading", "done": "1", "total": None, "unit": "B"}),
        ("named", {"n": "1"}),
        ("short", ["a", "b", "c"]),
    ],
)
def test_a_nested_value_of_another_type_is_refused(field: str, value: object) -> None:
    fields = json.loads(encode(Everything(Path("/a"), Part("x"), [], ())))
    with pytest.raises(ValueError, match=r"is not|missing|unexpected"):
        ALL.of({**fields, field: value})


@pytest.mark.parametrize(
    "event",
    [
        {"type": "row", "step": 1},
        {"type": "row", "step": 1, "loss": None, "another": 0.5},
        {"type": "note", "text": "a"},
    ],
)
def test_an_event_is_decoded_by_its_type(event: dict[str, object]) -> None:
    assert Codec(Told).of({"kind": "Told", "event": event}).event == event


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "other", "step": 1}, "an object of a known type"),
        ({"type": ["row"], "step": 1}, "an object of a known type"),
        ({"step": 1}, "an object of a known type"),
        ("row", "is not"),
        ({"type": "row"}, "Row: missing or unknown fields: step"),
        ({"type": "row", "step": 1, "another": "0.5"}, "'0.5' is not"),
        ({"type": "note", "text": "a", "another": 0.5}, "Note: missing or unknown fields: another"),
    ],
)
def test_an_event_that_breaks_its_class_is_refused(event: object, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Codec(Told).of({"kind": "Told", "event": event})


def test_a_field_that_would_hide_the_kind_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"Hiding\.kind would hide"):
        type("Hiding", (Message,), {"__annotations__": {"kind": "str"}})


def test_a_deeply_nested_line_is_a_recursion_error_and_no_crash() -> None:
    with pytest.raises(RecursionError):
        ALL.decode(b'{"kind": "Text", "text": ' + b"[" * 100_000)


def test_a_number_that_is_not_finite_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(Done("stop", float("nan")))


def test_an_object_that_was_checked_before_is_passed_on_as_it_is() -> None:
    codec = Codec[Sent](Sent)
    row: Any = {"type": "row", "step": "last", "more": [1]}
    assert codec.of({"kind": "Sent", "row": row}).row == row
    with pytest.raises(ValueError, match="is not"):
        codec.of({"kind": "Sent", "row": [row]})


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + 400 * "0"])
def test_a_number_that_no_float_holds_is_refused(number: str) -> None:
    """Python's parser makes infinity of 1e400, which the page could not read."""
    line = f'{{"kind": "Done", "reason": "stop", "seconds": {number}}}'
    with pytest.raises(ValueError, match="is not"):
        ALL.decode(line.encode())


class Settings(TypedDict, total=False):
    steps: int
    name: str
    rate: float
    log: bool
    size: int | str
    width: Literal[1, 2]
    values: list[int] | Row
    figures: tuple[float, ...]


class OfRun(Settings):
    losses: dict[str, float | None]
    row: NotRequired[Row]


def test_a_record_is_read_as_its_class() -> None:
    assert read_as(Settings, {"steps": 3}) == {"steps": 3}  # no field of a total=False class is needed
    for wrong in ({"steps": "3"}, {"more": 1}, None):
        with pytest.raises(ValueError, match=r"is not|unknown fields: more"):
            read_as(Settings, wrong)


@pytest.mark.parametrize(
    "fields",
    [
        {"rate": 1},
        {"rate": 0.5, "log": False},
        {"size": 1},
        {"size": "1"},
        {"width": 2},
        {"values": [1]},
        {"values": {"type": "row", "step": 1, "loss": None}},
        {"losses": {"1": 1, "2": 0.5, "3": None}},
        {"row": {"type": "row", "step": 1}},
    ],
    ids=str,
)
def test_values_of_json_are_read_unchanged(fields: dict[str, object]) -> None:
    read = read_as(OfRun, {"losses": {}, **fields})
    assert repr(read) == repr({"losses": {}, **fields})  # an int stays an int, also as a float


@pytest.mark.parametrize(
    "fields",
    [
        {"losses": None},
        {"losses": {"1": True}},
        {"losses": {"1": float("nan")}},
        {"steps": 1.0},
        {"steps": True},
        {"steps": None},
        {"rate": True},
        {"rate": float("inf")},
        {"rate": 10**400},
        {"log": 1},
        {"size": True},
        {"size": 1.5},
        {"width": True},
        {"width": 1.0},
        {"width": [1]},
        {"values": ["1"]},
        {"values": {"type": "row"}},
        {"figures": [1, "2"]},
        {"row": {"type": "row", "step": 1, "more": 1}},
        {"row": None},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_values_of_another_type_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"is not|missing or unknown"):
        read_as(OfRun, {"losses": {}, **fields})


def test_a_list_is_read_as_a_tuple_of_any_length_alone() -> None:
    assert read_as(OfRun, {"losses": {}, "figures": [1, 2.5]})["figures"] == (1, 2.5)
    pair: Any = tuple[int, str]
    with pytest.raises(TypeError, match="cannot have fields"):
        read_as(pair, [1, 2])
