"""Messages between processes: one class each, and one line of JSON each on the pipe.

A message is a frozen dataclass derived from `Message`; ``kind`` on the pipe is the name of its class. The
receiver decodes the classes that it expects, and refuses anything else: another kind, and a field that is
missing, unknown, or of another type. Fields have JSON's types, `Path`, dataclasses, TypedDicts and unions of
these, messages among them; ``Annotated`` with `Bounds` limits them, with `Others` lets a TypedDict have
unlisted fields, and with `Trusted` leaves it unchecked. The literal ``type`` of TypedDicts says which one of
a union a value is.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, NoReturn, NotRequired, TypeVar, Union

KIND: Final = "kind"
UNIONS: Final = (Union, types.UnionType)
SHOWN: Final = 60  # characters of an invalid value in an error
Read = Callable[[object], Any]  # turns a JSON value into a field's value, or raises ValueError


class Message:
    """Base class of all messages; none may have a field ``kind``."""

    def __init_subclass__(cls) -> None:
        assert KIND not in cls.__annotations__, f"{cls.__name__}.{KIND} would hide the kind of the message"


M = TypeVar("M", bound=Message)
T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """The least and the greatest number, or length of a text or list."""

    low: float
    high: float

    def checked(self, value: Any) -> Any:
        size = value if isinstance(value, int | float) else len(value)
        return value if self.low <= size <= self.high else _fail(value, self)


@dataclass(frozen=True)
class Others:
    """The type of the fields that a TypedDict does not list."""

    hint: object


@dataclass(frozen=True)
class Trusted:
    """Marks an object that the backend has checked by other rules, such as a job's config: it is not checked
    again.
    """


def encode(message: Message) -> bytes:
    """Return the line for ``message``. Raises ValueError for a number that is not finite."""
    line = json.dumps(_as_json(message), separators=(",", ":"), allow_nan=False, default=_as_json)
    return line.encode() + b"\n"


def _as_json(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return {KIND: type(value).__name__, **vars(value)} if isinstance(value, Message) else vars(value)


class Codec(Generic[M]):
    """Decodes messages of ``kinds``: ``Codec[Text | Done](Text, Done)``."""

    def __init__(self, *kinds: type[M]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def decode(self, line: bytes | bytearray) -> M:
        """Return the message in ``line``. Raises ValueError or RecursionError if it is invalid."""
        return self.of(_DECODER.decode(line.decode()))

    def of(self, value: object) -> M:
        """Return the message for a JSON object. Raises ValueError if it is invalid."""
        fields = dict(_exactly(value, dict))
        name = str(fields.pop(KIND, None))
        if (kind := self._kinds.get(name)) is None:
            raise ValueError(f"unexpected message {name[:SHOWN]!r}")
        return typing.cast("M", _object_reader(kind)(fields))  # type: ignore[arg-type]


def read_as(kind: type[T], value: object) -> T:
    """Return a JSON value, such as a record on disk, as the dataclass or TypedDict ``kind``.

    Raises ValueError or RecursionError if it is another one.
    """
    hint: Any = kind  # for the cache, which takes every hint
    read: T = _reader(hint)(value)
    return read


@functools.cache
def _reader(hint: Any) -> Read:
    """Return a function that checks a value by a type hint. Raises TypeError for an unsupported hint."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, object):
        return lambda value: value
    if hint is Path:
        return lambda value: Path(_exactly(value, str))
    choices = parts if origin in UNIONS else (hint,)
    if all(isinstance(choice, type) and issubclass(choice, Message) for choice in choices):
        return Codec(*choices).of
    if is_dataclass(hint) or typing.is_typeddict(hint):
        return _object_reader(hint)
    if origin is Annotated and isinstance(parts[1], Trusted):
        return lambda value: _exactly(value, dict)
    if origin is Annotated and isinstance(parts[1], Others):
        return _object_reader(parts[0], _reader(parts[1].hint))
    if origin is Annotated:
        inner, bounds = _reader(parts[0]), parts[1]
        return lambda value: bounds.checked(inner(value))
    if by_type := _by_type(choices):
        return lambda value: by_type.get(str(_exactly(value, dict).get("type")), _no_choice)(value)
    if origin in UNIONS:
        return functools.partial(_first_of, [_reader(part) for part in parts], hint)
    if origin is list or (origin is tuple and parts[1:] == (...,)):
        each = _reader(parts[0])
        return lambda value: origin([each(part) for part in _exactly(value, list)])
    if origin in (dict, Mapping):
        each = _reader(parts[1])
        return lambda value: {name: each(part) for name, part in _exactly(value, dict).items()}
    if origin is Literal:
        kinds = {type(part) for part in parts}  # True is no 1
        return lambda value: value if type(value) in kinds and value in parts else _fail(value, hint)
    if hint is float:
        return _float
    if hint in (str, int, bool, type(None)):
        return lambda value: _exactly(value, hint)
    raise TypeError(f"messages cannot have fields of type {hint}")


def _by_type(choices: tuple[object, ...]) -> dict[str, Read]:
    """Return the readers of a union of TypedDicts by their ``type``; empty for other unions."""
    found: dict[str, Read] = {}
    for choice in choices:
        kind = typing.get_args(choice)[0] if typing.get_origin(choice) is Annotated else choice
        named = typing.get_type_hints(kind).get("type") if typing.is_typeddict(kind) else None
        if typing.get_origin(named) is not Literal:
            return {}
        found |= dict.fromkeys(typing.get_args(named), _reader(choice))
    return found


@functools.cache
def _object_reader(kind: Any, others: Read | None = None) -> Read:
    """Return a function that checks a JSON object by the fields of a dataclass or TypedDict.

    ``others`` reads fields that a TypedDict does not list; without it they are refused.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    make: Callable[..., Any] = dict if typing.is_typeddict(kind) else kind
    if make is dict:
        optional = {name for name, hint in hints.items() if typing.get_origin(hint) is NotRequired}
        hints |= {name: typing.get_args(hints[name])[0] for name in optional}
        optional |= kind.__optional_keys__  # of a class with total=False
    else:
        own = fields(kind)
        optional = {f.name for f in own if (f.default, f.default_factory) != (MISSING, MISSING)}
        hints = {field.name: hints[field.name] for field in own}
    readers, needed = {name: _reader(hint) for name, hint in hints.items()}, hints.keys() - optional

    def read(value: object) -> object:
        names = _exactly(value, dict).keys()
        if not needed <= names or (not others and names - readers.keys()):
            wrong = ", ".join(sorted((needed - names) | (names - readers.keys())))
            raise ValueError(f"{kind.__name__}: missing or unknown fields: {wrong[:SHOWN]}")
        return make(**{name: (readers.get(name) or others)(part) for name, part in value.items()})  # type: ignore[attr-defined,misc]

    return read


def _no_choice(value: object) -> object:
    return _fail(value, "an object of a known type")


def _first_of(readers: list[Read], hint: object, value: object) -> object:
    for reader in readers:
        with contextlib.suppress(ValueError):
            return reader(value)
    return _fail(value, hint)


def _exactly(value: object, *accepted: type) -> Any:
    return value if type(value) in accepted else _fail(value, accepted)  # isinstance takes True for an int


def _float(value: object) -> float:
    """Check a number, which may be an int. Raises ValueError also for one that no float holds."""
    number: float = _exactly(value, int, float)
    return number if abs(number) <= sys.float_info.max else _fail(number, "a finite number")


def _fail(value: object, wanted: object) -> NoReturn:
    raise ValueError(f"{str(value)[:SHOWN]!r} is not {wanted}")


_DECODER: Final = json.JSONDecoder(
    parse_constant=lambda name: _fail(name, "a JSON value"), parse_float=lambda text: _float(float(text))
)
