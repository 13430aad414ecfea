"""Tool calls that cannot work: of unknown tools, with wrong arguments, without a result; and unused tools."""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import counted
from arkor_dev.data.messages import from_text
from arkor_dev.data.prompts import PROMPT

from .finding import SHOWN_ROWS, Check, CheckedRow, FoundRows, be, finding_row, have

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.contract.dataset_shapes import Finding
    from arkor_dev.data.rows import Row

    from .finding import Located

MOST_TOOLS: Final = 1000
"""Maximum number of tools of a data set whose use is followed."""
LONGEST_NAME: Final = 200
"""Longest name of such a tool, in characters: OpenAI's have 64 at most."""
STEPS: Final = 10_000
"""Values, required properties and values of an enum that are compared in one row."""
_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


class ToolCheck(Check):
    """The tools that rows list, and the calls in their messages."""

    def __init__(self) -> None:
        self._unknown, self._invalid, self._unanswered = FoundRows(), FoundRows(), FoundRows()
        self._tools: dict[str, tuple[int, str] | None] = {}
        """The row that lists a tool first, by the tool's name; None once a row calls it."""
        self.full = self.partial = False
        """Whether there were more tools than are followed, and whether rows were left unread."""

    def examine(self, checked: CheckedRow) -> None:
        row = checked.row
        if not row.tools and not any("tool_calls" in message for message in row.messages):
            return
        if not row.extra.get("desirable", True):  # its calls may be what makes it a bad answer
            return
        schemas, all_named = _schemas(row)
        calls = [call for message in row.messages for call in message.get("tool_calls", ())]
        if row.form != PROMPT:  # whose calls are yet to be generated
            self._follow(checked, schemas, [call["function"]["name"] for call in calls])
        unknown = invalid = None
        arguments = _Arguments()
        for call in calls:
            name, value = call["function"]["name"], call["function"]["arguments"]
            if schemas and all_named and name not in schemas:
                unknown = unknown or f"{name} is called; the row lists {', '.join(schemas)}"
            if invalid is None and (error := arguments.error(value, schemas.get(name))):
                invalid = f"{name}: {error}"
        if unknown:
            self._unknown.add(checked, unknown)
        if invalid:
            self._invalid.add(checked, invalid)
        if unanswered := _unanswered(row):
            self._unanswered.add(checked, unanswered)

    def _follow(self, checked: CheckedRow, schemas: Mapping[str, object], called: Sequence[str]) -> None:
        """Note the tools that a row lists and calls."""
        first = checked.number, checked.row.where
        for name, at in [*((name, first) for name in schemas), *((name, None) for name in called)]:
            if len(name) > LONGEST_NAME or (name not in self._tools and len(self._tools) >= MOST_TOOLS):
                self.full = True
            elif at is None or name not in self._tools:
                self._tools[name] = at

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._unknown.count:
            yield self._unknown.finding(
                "unknown-tool",
                "warning",
                f"{'calls' if self._unknown.count == 1 else 'call'} a tool that the row does not list",
                "The model learns to call tools that it was not given; in use, such a call fails.",
                "Add the tool to the row's tools, or correct its name.",
            )
        if self._invalid.count:
            yield self._invalid.finding(
                "tool-arguments",
                "warning",
                f"{have(self._invalid.count)} a tool call with invalid arguments",
                "The model learns calls that the tool's schema does not allow; in use, such a call fails.",
                "Correct the arguments, or the schema in the row's tools.",
            )
        if self._unanswered.count:
            yield self._unanswered.finding(
                "missing-result",
                "warning",
                f"{have(self._unanswered.count)} a tool call without a result",
                "The conversation continues as if there were one, so the model learns to make up results.",
                "Add a tool message with the result after the call, or remove the call.",
            )
        if not self.partial:  # a row that was not read may call them
            yield from self._unused()

    def _unused(self) -> Iterator[Located]:
        names: dict[tuple[int, str], list[str]] = {}
        for name, first in self._tools.items():
            if first:
                names.setdefault(first, []).append(name)
        if names:
            rows = FoundRows(len(names), numbers=array("I", (number for number, _ in names)))
            for (number, where), listed in islice(names.items(), SHOWN_ROWS):
                rows.rows.append(finding_row(number, where, ", ".join(listed)))
            finding = rows.finding(
                "unused-tool",
                "note",
                "",
                "The model sees them and learns never to call them. Each is shown with the first row that "
                "lists it.",
                "Add rows that call them, or remove them, unless the model should learn to ignore them.",
            )
            count = sum(map(len, names.values()))
            finding["title"] = f"{counted(count, 'tool')} {be(count)} never called"
            yield finding


def _schemas(row: Row) -> tuple[dict[str, object], bool]:
    """Return the schemas of a row's tools by name, and whether all its tools have one name."""
    schemas: dict[str, object] = {}
    all_named = True
    for tool in row.tools:
        function = tool.get("function", tool)
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(function, dict) and isinstance(name, str):
            schemas[name] = function.get("parameters")
        else:  # a vendor's own tool, or a list of functions: what it can be called is unknown
            all_named = False
    return schemas, all_named


def _unanswered(row: Row) -> str | None:
    """Return which call's result is missing from the tool messages behind it, if any is.

    The calls of the last message need none.
    """
    calls: list[tuple[object, str]] = []
    results: list[tuple[object, str]] = []
    for at, message in enumerate(row.messages, 1):
        if message["role"] == "tool":
            results.append((message.get("tool_call_id"), message["content"]))
            continue
        if results or message["role"] != "assistant":
            if missing := _missing(calls, results):
                return missing
            calls, results = [], []
        if at < len(row.messages):
            calls += [(call.get("id"), call["function"]["name"]) for call in message.get("tool_calls", ())]
    return _missing(calls, results)


def _missing(calls: Sequence[tuple[object, str]], results: Sequence[tuple[object, str]]) -> str | None:
    """Return which of the ``calls`` has no result: by their ids, or by number where an id is absent."""
    answered = {identifier for identifier, _ in results if isinstance(identifier, str)}
    if all(isinstance(identifier, str) for identifier, _ in [*calls, *results]):
        missing = [name for identifier, name in calls if identifier not in answered]
    else:
        missing = [name for _, name in calls][sum(_count(content) for _, content in results) :]
    return f"{missing[0]} is called without a result" if missing else None


def _count(content: str) -> int:
    """Return how many results a tool message may hold: ShareGPT's has those of several calls in a list."""
    results = from_text(content)
    return max(1, len(results)) if isinstance(results, list) else 1


class _Arguments:
    """Comparison of a row's arguments with the schemas of its tools, in a limited number of steps.

    It knows the keywords that tools commonly have. Others, and what exceeds a limit, count as satisfied.
    """

    def __init__(self) -> None:
        self._left = STEPS

    def error(self, arguments: object, schema: object) -> str | None:
        """Return the first thing that is wrong with a call's ``arguments``, or None."""
        if not isinstance(arguments, dict):
            return f"the arguments are not a JSON object but {_type_of(arguments)}"
        return self._error(arguments, schema)

    def _error(self, value: object, schema: object) -> str | None:
        # No deeper than the schema, whose depth is limited where rows are read (messages.DEPTH).
        # Beside $ref, older drafts ignore every other keyword.
        if not isinstance(schema, dict) or "$ref" in schema or not self._take(1):
            return None
        if value is None and schema.get("nullable") is True:  # OpenAPI's, which transformers writes, too
            return None
        names, found = _type_names(schema.get("type")), _type_of(value)
        if names and found not in names and not (found == "integer" and "number" in names):
            return f"{found} instead of {' or '.join(names)}"
        enum = schema.get("enum")
        if (
            isinstance(enum, list)
            and not isinstance(value, dict | list)
            and self._take(len(enum))
            and value not in enum
        ):
            return "not a value of the enum"
        if isinstance(value, dict):
            return self._error_of_object(value, schema)
        if isinstance(value, list) and "prefixItems" not in schema:
            for at, item in enumerate(value):
                if error := self._error(item, schema.get("items")):
                    return f"item {at}: {error}"
        return None

    def _error_of_object(self, value: Mapping[str, object], schema: Mapping[str, object]) -> str | None:
        required, known = schema.get("required"), schema.get("properties")
        properties = known if isinstance(known, dict) else {}
        if isinstance(required, list) and self._take(len(required)):
            for name in required:
                if isinstance(name, str) and name not in value:
                    wanted = properties.get(name)
                    # Reading a row removes nulls, so what is missing may have been one.
                    if not wanted or self._error(None, wanted):
                        return f"{name} is missing"
        # Without patternProperties, whose names are not compared.
        others = schema.get("additionalProperties") if "patternProperties" not in schema else None
        for name, item in value.items():
            if name not in properties and others is False:
                return f"{name} is not in the schema"
            if error := self._error(item, properties.get(name, others)):
                return f"{name}: {error}"
        return None

    def _take(self, steps: int) -> bool:
        """Return whether so many steps are left, and use them."""
        self._left -= steps
        return self._left >= 0


def _type_names(wanted: object) -> list[str]:
    """Return the types that a schema allows; none if any is unknown: Python's "float" may mean anything."""
    types = wanted if isinstance(wanted, list) else [wanted]
    names = [name for name in types[: len(_TYPES)] if isinstance(name, str) and name in _TYPES]
    return names if len(names) == len(types) else []


def _type_of(value: object) -> str:
    """Return the JSON type of ``value``; a whole number is an integer, also if it is written as 2.0."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
