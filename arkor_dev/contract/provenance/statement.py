"""The statement in ``provenance.json``: an in-toto statement with SLSA's predicate (docs/provenance.md).

It may come from anybody: what is read here is data of known kinds and bounded sizes, with file names that
stay in their folder, or it is refused.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from arkor_dev.contract import strict_json
from arkor_dev.contract.regular_files import read_small

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE: Final = "provenance.json"
CARD: Final = "README.md"
BESIDE: Final = frozenset({FILE, CARD, "manifest.json"})
"""What may lie in a folder and is no subject: it is about the others, and may be written again."""
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD: Final = "tag:arkor.ai,2026:arkor-dev/training/v1"
BUILDER: Final = "tag:arkor.ai,2026:arkor-dev/local-backend"
SIZE_LIMIT: Final = 8 << 20
FILES_LIMIT: Final = 10_000
DEPTH_LIMIT: Final = 20
NAME_LIMIT: Final = 1000
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069/\\]{1,255}")

ROWS: Final = "rows"
BASE: Final = "base/"
DATA: Final = ("data/", "evalData/")
PARENT: Final = "parent/"
"""Dependencies by how their names begin."""


class StatementError(Exception):
    """A statement cannot be used; ``str()`` says why, as the end of a sentence about it."""


class Resource(TypedDict):
    """A file by its SHA-256, as in-toto has it; ``annotations`` of a subject: ``bytes``, and ``optional``."""

    name: str
    digest: dict[str, str]
    annotations: NotRequired[dict[str, Any]]


class BuildDefinition(TypedDict):
    """What was asked for, what it came to, and every file that went into it."""

    buildType: str
    externalParameters: dict[str, Any]
    internalParameters: dict[str, Any]
    resolvedDependencies: list[Resource]


class RunDetails(TypedDict):
    """By which program it was made, in which job and when, and its figures."""

    builder: dict[str, Any]
    metadata: dict[str, Any]
    byproducts: NotRequired[list[dict[str, Any]]]


class Predicate(TypedDict):
    """SLSA's provenance, version 1."""

    buildDefinition: BuildDefinition
    runDetails: RunDetails


class Statement(TypedDict):
    """The whole file; ``subject`` are the files that it is about."""

    _type: str
    subject: list[Resource]
    predicateType: str
    predicate: Predicate


def read_statement(folder: Path) -> Statement:
    """The statement that lies in ``folder``; raises StatementError, and FileNotFoundError without one."""
    path = folder / FILE
    if path.is_symlink():
        raise StatementError("is a link")
    try:
        return statement_of(strict_json.parse(read_small(path, SIZE_LIMIT)))
    except FileNotFoundError:
        raise
    except strict_json.StrictJSONError as fault:
        raise StatementError(str(fault)) from None
    except OSError as fault:
        raise StatementError(f"cannot be read: {fault.strerror}") from None


def statement_of(value: object) -> Statement:
    """``value`` as a statement of ours; raises StatementError for anything else."""
    try:
        _check(value)
    except (KeyError, TypeError, AttributeError):
        raise StatementError("is no statement that arkor-dev has written") from None
    return value  # type: ignore[return-value]


def _check(value: Any) -> None:
    build = value["predicate"]["buildDefinition"]
    if (value["_type"], value["predicateType"]) != (STATEMENT, PREDICATE):
        raise StatementError("is no provenance statement")
    if build["buildType"] != BUILD:
        raise StatementError("was written by another program, or by a later arkor-dev")
    _check_resources(value["subject"], "file", least=1)
    for each in value["subject"]:  # without its size a file would be read that has no end
        if not _is_size(each.get("annotations", {}).get("bytes")):
            raise StatementError(f"has no size of {each['name']}")
    _check_resources(build["resolvedDependencies"], "dependency")
    if any(each["name"].partition("/")[0] in BESIDE for each in value["subject"]):
        raise StatementError("names a file that it cannot know the hash of")
    details = value["predicate"]["runDetails"]
    for part in (
        build["externalParameters"],
        build["internalParameters"],
        details["builder"],
        details["metadata"],
    ):
        if not isinstance(part, dict):
            raise TypeError
    made = details.get("byproducts", [])
    if not isinstance(made, list) or not all(isinstance(each, dict) for each in made):
        raise TypeError


def _check_resources(listed: Any, what: str, least: int = 0) -> None:
    if not isinstance(listed, list) or not least <= len(listed) <= FILES_LIMIT:
        raise StatementError(f"names no {what}, or too many")
    names = set()
    for each in listed:
        name, digest, notes = each["name"], each["digest"]["sha256"], each.get("annotations", {})
        if not isinstance(name, str) or not is_safe(name):
            raise StatementError(f"names a {what} that would lie elsewhere")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise StatementError(f"has no SHA-256 of {name}")
        if not isinstance(notes, dict):
            raise TypeError
        names.add(name.casefold())
    if len(names) != len(listed):
        raise StatementError(f"names a {what} twice")


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def is_safe(name: str) -> bool:
    """Whether a file of this name lies in the folder that it is looked for in."""
    parts = name.split("/")
    return (
        len(name) <= NAME_LIMIT
        and len(parts) <= DEPTH_LIMIT
        and all(_PART.fullmatch(part) and part.strip(" .") for part in parts)
    )


# What readers ask for


def external(statement: Statement) -> Mapping[str, Any]:
    """What was asked for: ``settings``, and the kind of ``data``."""
    return statement["predicate"]["buildDefinition"]["externalParameters"]


def internal(statement: Statement) -> Mapping[str, Any]:
    """What it came to."""
    return statement["predicate"]["buildDefinition"]["internalParameters"]


def object_at(parameters: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object ``key`` of some parameters; an empty one where that is none."""
    found = parameters.get(key)
    return found if isinstance(found, dict) else {}


def dependencies(statement: Statement, begin: str) -> Iterator[Resource]:
    """What went into it, of the names that begin with ``begin``."""
    for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
        if each["name"].startswith(begin):
            yield each


def builder(statement: Statement) -> Mapping[str, Any]:
    """The program: its ``version`` by package, and the hash of its code."""
    return statement["predicate"]["runDetails"]["builder"]


def job_id(statement: Statement) -> str:
    """The job that made it; empty where it does not say."""
    found = statement["predicate"]["runDetails"]["metadata"].get("invocationId")
    return found if isinstance(found, str) else ""


def figures(statement: Statement) -> dict[str, float]:
    """The run's figures at that point, by name; those that are finite numbers."""
    for each in statement["predicate"]["runDetails"].get("byproducts", []):
        if each.get("name") == "figures":
            found = object_at(each, "annotations").items()
            return {key: float(value) for key, value in found if is_number(value)}
    return {}


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
