"""Parses an untrusted JSON Schema into one that can be enforced completely; refuses others with the name of
the unsupported keyword.

The result is built anew from enforced keywords only: no address to fetch, no library option, no annotation.
Its size, and the size of what it can generate, are limited.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote

from arkor_dev.contract.rules import quoted

if TYPE_CHECKING:
    from arkor_dev.contract.json_types import Json, JsonObject

DEPTH: Final = 32
"""Maximum nesting of schemas."""
SCHEMAS: Final = 1_000
"""Maximum number of schemas in one format."""
VALUES: Final = 2_000
"""Maximum number of values of ``enum`` and ``const``, including nested ones."""
CHARACTERS: Final = 64_000
"""Maximum number of characters of names, patterns and texts in total."""
PATTERN: Final = 1_000
"""Maximum length of a pattern, in characters."""
COUNT: Final = 100_000
"""Maximum value of minLength, maxItems and so on."""
MOST_WHOLE_NUMBER: Final = 2**53 - 1
"""Maximum integer that every JSON parser represents exactly."""
LEAST_MULTIPLE: Final = 1e-6
TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
FORMATS: Final = (
    *("date-time", "time", "date", "duration"),
    *("email", "hostname", "ipv4", "ipv6", "uuid", "uri"),
)
LENGTHS: Final = {"date-time": 35, "time": 24, "duration": 60}
"""Maximum length of texts in formats that allow any number of digits: a model may write them forever.

Enough for a time with nanoseconds and an offset.
"""
COUNTS: Final = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)
BOUNDS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
SINGLE: Final = frozenset({"items", "additionalProperties"})
LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
SAME_VALUE: Final = frozenset({"anyOf", "oneOf", "allOf"})
"""Keywords whose schemas apply to the same value instead of a part of it."""
REFUSED: Final = frozenset(
    {
        *("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems"),
        *("propertyNames", "dependencies", "dependentRequired", "dependentSchemas", "additionalItems"),
        *("unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef", "$vocabulary"),
    }
)
"""JSON Schema keywords that constrain a value and are not supported here."""
POINTER_LENGTH: Final = 80


class _Kind(Enum):
    NOTHING = auto()


_NOTHING: Final = _Kind.NOTHING
"""What `_SchemaReader` returns for a keyword that constrains nothing; null is a value."""


class FormatError(ValueError):
    """Why a format is refused, as the end of a sentence: ``uniqueItems in #/properties/tags is …``."""


def read(schema: object, location: str = "#") -> Json:
    """Return the enforceable form of ``schema``; ``location`` is its location in a larger schema.

    Raises FormatError for an invalid or unenforceable part, with its location.
    """
    reader = _SchemaReader(location)
    result = reader.schema(schema, "#", 0)
    reader.check_references()
    return result


class _SchemaReader:
    def __init__(self, location: str) -> None:
        self._location = location
        self._schemas = self._values = self._characters = 0
        self._schemas_at: set[str] = set()
        self._references: list[tuple[str, str]] = []
        self._same_value: dict[str, list[str]] = {}
        """For each schema's location, the locations of those for the same value."""

    def schema(self, schema: object, pointer: str, depth: int) -> Json:
        self._schemas += 1
        if self._schemas > SCHEMAS:
            raise FormatError(f"it has more than {SCHEMAS:,} schemas in it")
        if depth > DEPTH:
            raise FormatError(f"its schemas are nested more than {DEPTH} deep")
        self._schemas_at.add(pointer)
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise FormatError(
                f"{_shortened(pointer)} must be a schema, which is an object, not {quoted(schema)}"
            )
        result: JsonObject = {}
        for keyword, value in schema.items():
            if keyword == "$id" and depth:
                raise FormatError(
                    f"$id in {_shortened(pointer)} is not supported: only the outermost may have one"
                )
            if keyword in REFUSED and not (keyword == "uniqueItems" and value is False):
                raise FormatError(f"{keyword} in {_shortened(pointer)} is not supported")
            read = self._keyword(keyword, value, pointer, depth)
            if read is not _NOTHING:
                result[keyword] = read
        if most := LENGTHS.get(str(result.get("format"))):
            own = result.get("maxLength")
            result["maxLength"] = min(most, own) if isinstance(own, int) else most
        least, required = result.get("minProperties"), result.get("required")
        if isinstance(least, int) and least > (len(required) if isinstance(required, list) else 0) + 1:
            # Names that are not listed may occur twice, so their number is unreliable.
            raise FormatError(
                f"minProperties in {_shortened(pointer)} may be 1 more than required names, at most"
            )
        return result

    def _keyword(
        self, keyword: str, value: object, pointer: str, depth: int
    ) -> Json | Literal[_Kind.NOTHING]:
        """Return the enforced form of a keyword; ``_NOTHING`` if it constrains nothing."""
        inside = f"{pointer}/{_escaped(keyword)}"
        if keyword in SINGLE:
            return self.schema(value, inside, depth + 1)
        if keyword in LISTS:
            return self._list(keyword, value, pointer, depth)
        if keyword in MAPS:
            if not isinstance(value, dict):
                raise FormatError(f"{_shortened(inside)} must be an object of schemas, not {quoted(value)}")
            for name in value:
                self._text(name, inside, PATTERN if keyword == "patternProperties" else CHARACTERS)
            return {
                name: self.schema(member, f"{inside}/{_escaped(name)}", depth + 1)
                for name, member in value.items()
            }
        if keyword == "$ref":
            return self._reference(value, pointer)
        if keyword in COUNTS:
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= COUNT:
                raise FormatError(f"{_shortened(inside)} must be a whole number from 0 to {COUNT:,}")
            return value
        if keyword in BOUNDS:
            return self._number(value, inside)
        return self._assertion(keyword, value, inside)

    def _assertion(self, keyword: str, value: object, inside: str) -> Json | Literal[_Kind.NOTHING]:
        match keyword:
            case "enum":
                if not isinstance(value, list) or not value:
                    raise FormatError(f"{_shortened(inside)} must be a list of one or more values")
                return [self._value(member, inside, 0) for member in value]
            case "const":
                return self._value(value, inside, 0)
            case "type":
                types = value if isinstance(value, list) else [value]
                if not types or not all(isinstance(member, str) and member in TYPES for member in types):
                    raise FormatError(
                        f"{_shortened(inside)} must be one of {', '.join(TYPES)}, or a list of them"
                    )
                names: list[Json] = [str(member) for member in dict.fromkeys(types)]
                return names if isinstance(value, list) else names[0]
            case "pattern":
                return self._text(value, inside, PATTERN)
            case "format":
                if not isinstance(value, str) or value not in FORMATS:
                    raise FormatError(
                        f"{_shortened(inside)} {quoted(value)} is not supported: {', '.join(FORMATS)} are"
                    )
                return value
            case "multipleOf":
                if not LEAST_MULTIPLE <= (multiple := self._number(value, inside)) <= 2**31:
                    raise FormatError(f"{_shortened(inside)} must be from {LEAST_MULTIPLE:f} to {2**31}")
                return multiple
            case "required":
                if not isinstance(value, list) or len(value) > SCHEMAS:
                    raise FormatError(f"{_shortened(inside)} must be a list of up to {SCHEMAS:,} names")
                return list(dict.fromkeys(self._text(name, inside, CHARACTERS) for name in value))
        return _NOTHING

    def _list(self, keyword: str, value: object, pointer: str, depth: int) -> list[Json]:
        inside = f"{pointer}/{keyword}"
        if not isinstance(value, list) or not value:
            raise FormatError(
                f"{_shortened(inside)} must be a list of one or more schemas, not {quoted(value)}"
            )
        pointers = [f"{inside}/{number}" for number in range(len(value))]
        if keyword in SAME_VALUE:
            self._same_value.setdefault(pointer, []).extend(pointers)
        return [
            self.schema(member, pointer_of, depth + 1)
            for member, pointer_of in zip(value, pointers, strict=True)
        ]

    def _reference(self, value: object, pointer: str) -> str:
        if not isinstance(value, str) or not re.match(r"#(/|$)", value):
            raise FormatError(
                f"$ref in {_shortened(pointer)} must point into the schema itself (#/$defs/…), not to "
                f"{quoted(value)}: nothing is fetched"
            )
        target = unquote(self._text(value, pointer, CHARACTERS))
        self._references.append((pointer, target))
        self._same_value.setdefault(pointer, []).append(target)
        return self._location + value[1:]

    def _value(self, value: object, pointer: str, depth: int) -> Json:
        self._values += 1
        if self._values > VALUES:
            raise FormatError(f"it has more than {VALUES:,} values in enum and const")
        if depth > DEPTH:
            raise FormatError(f"a value in {_shortened(pointer)} is nested more than {DEPTH} deep")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, pointer, CHARACTERS)
        if isinstance(value, list):
            return [self._value(member, pointer, depth + 1) for member in value]
        if isinstance(value, Mapping):
            return {
                self._text(name, pointer, CHARACTERS): self._value(member, pointer, depth + 1)
                for name, member in value.items()
            }
        return self._number(value, pointer)

    def _number(self, value: object, pointer: str) -> float:
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not abs(value) <= MOST_WHOLE_NUMBER
        ):
            raise FormatError(
                f"{_shortened(pointer)} must be a number from -{MOST_WHOLE_NUMBER:,} to {MOST_WHOLE_NUMBER:,}"
            )
        # A grammar cannot express steps smaller than these.
        if value and math.isclose(value, 0, abs_tol=1e-12):
            raise FormatError(f"{_shortened(pointer)} is too close to 0: {value}")
        return value

    def _text(self, text: object, pointer: str, most: int) -> str:
        if not isinstance(text, str) or len(text) > most:
            raise FormatError(f"{_shortened(pointer)} must have strings of up to {most:,} characters")
        self._characters += len(text)
        if self._characters > CHARACTERS:
            raise FormatError(f"it has more than {CHARACTERS:,} characters of names, patterns and texts")
        return text

    def check_references(self) -> None:
        """Check that every reference leads to a schema, and none back to itself for the same value."""
        for pointer, target in self._references:
            if target not in self._schemas_at:
                raise FormatError(
                    f"$ref in {_shortened(pointer)} points to {quoted(target)}, where there is no schema"
                )
        # A chain of locations for the same value must end; each location is visited once.
        done: set[str] = set()
        for start in self._same_value:
            path: dict[str, None] = {}
            stack: list[tuple[str, bool]] = [(start, False)]
            while stack:
                pointer, leaving = stack.pop()
                if leaving:
                    del path[pointer]
                    done.add(pointer)
                elif pointer in path:
                    raise FormatError(
                        f"$ref in {_shortened(pointer)} refers only to itself, never to a value"
                    )
                elif pointer not in done:
                    path[pointer] = None
                    stack.append((pointer, True))
                    stack += [(target_pointer, False) for target_pointer in self._same_value.get(pointer, ())]


def _escaped(name: str) -> str:
    """Escape a name for a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _shortened(pointer: str) -> str:
    return pointer if len(pointer) <= POINTER_LENGTH else f"{pointer[: POINTER_LENGTH - 1]}…"
