"""Faults have names: one table says their statuses, and nobody but it compares numbers."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract import errors
from arkor_dev.contract.errors import (
    STATUS,
    ArkorError,
    BackendError,
    ConflictError,
    TemporaryError,
    fault_of,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(errors.__file__).parent.parent
TABLE = Path(errors.__file__)


def test_error_classes_round_trip_through_their_status() -> None:
    for kind, status in STATUS.items():
        ours = kind("text")
        theirs = fault_of(status_of(ours), "text")
        assert (type(theirs), status_of(theirs), theirs.answered) == (kind, status, status)
        assert ours.answered is None


@pytest.mark.parametrize("status", [402, 410, 418, 422, 451])
def test_an_unknown_4xx_keeps_its_status_and_is_permanent(status: int) -> None:
    fault = fault_of(status, "no")
    assert (type(fault), status_of(fault)) == (ArkorError, status)


@pytest.mark.parametrize(("status", "shown"), [(425, 425), (507, 507), (599, 599), (600, 502), (999, 502)])
def test_an_unknown_5xx_is_temporary(status: int, shown: int) -> None:
    fault = fault_of(status, "later")
    assert isinstance(fault, TemporaryError)
    assert status_of(fault) == shown


def test_temporary_statuses_are_listed() -> None:
    passing = {status for kind, status in STATUS.items() if issubclass(kind, TemporaryError)}
    assert passing == {408, 429, 500, 501, 502, 503, 504, 507}


def test_a_subclass_has_the_status_of_its_parent() -> None:
    class MovedError(ConflictError):
        pass

    class StrangeError(ArkorError):
        pass

    assert status_of(MovedError("x")) == 409
    assert status_of(StrangeError("x")) == 500


def test_rewording_an_error_keeps_its_class_and_status() -> None:
    fault = fault_of(451, "short", {"Warning": "w"}, reason="law")
    other = fault.reworded("long", more=1)
    assert (other.text, str(other), other.extra) == ("long", "long", {"more": 1})
    assert (type(other), status_of(other), other.headers) == (ArkorError, 451, {"Warning": "w"})
    assert (fault.text, fault.extra) == ("short", {"reason": "law"})
    assert isinstance(BackendError("a").reworded("b"), BackendError)


def statuses_of_faults(source: str) -> Iterator[int]:
    """Lines that look at the status of a caught exception, or compare one of our faults' by number."""
    if not re.search(r"\.(status|answered)\b|\bstatus_of\(", source):
        return  # most of the package: to walk through it all takes seconds
    nodes = list(ast.walk(ast.parse(source)))
    caught = {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
    for node in nodes:
        if not isinstance(node, ast.Compare):
            continue
        for part in ast.walk(node):
            match part:
                case ast.Attribute(value=ast.Name(id=name), attr="status") if name in caught:
                    yield part.lineno
                case ast.Attribute(attr="answered") if any(
                    isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops
                ):
                    pass  # whether a backend has said it, not what
                case ast.Attribute(attr="answered"):
                    yield part.lineno
                case ast.Call(func=ast.Name(id="status_of")):
                    yield part.lineno


def test_no_module_compares_the_status_of_an_error() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != TABLE
        for line in statuses_of_faults(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "handler",
    [
        "if fault.status == 404: pass",
        "if fault.status not in (404, 501): raise",
        "if status_of(fault) >= 500: raise",
        "if fault.answered == 401: raise",
        "x = fault.status < 500 and 1",
    ],
)
def test_a_comparison_would_be_found(handler: str) -> None:
    source = f"try:\n    call()\nexcept Exception as fault:\n    {handler}\n"
    assert list(statuses_of_faults(source)) == [4]
    assert not list(statuses_of_faults("try:\n    a()\nexcept E as fault:\n    b(fault.answered is None)\n"))
