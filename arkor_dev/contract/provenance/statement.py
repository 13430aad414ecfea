"""The statement in ``provenance.json``: in-toto with SLSA's predicate (docs/provenance.md).

Its author is not trusted: types and sizes are checked, and file names must stay inside their folder.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict, TypeGuard

from arkor_dev.contract import strict_json
from arkor_dev.contract.regular_files import read_small

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE: Final = "provenance.json"
CARD: Final = "README.md"
BESIDE: Final = frozenset({FILE, CARD, "manifest.json"})
"""Files that may accompany the subjects: they describe them and may be rewritten."""
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
PARENT: Final = "parent/"
DATA: Final = {
    "datasetSource": "data/",
    "evalDatasetSource": "evalData/",
    "replayDataset": "replay/",
    "corpus": "corpus/",
}
"""Prefixes of dependency names; of data files, by the config's field."""


class StatementError(Exception):
    """A statement is unusable; ``str()`` completes a sentence about it."""


class Resource(TypedDict):
    """A file with its SHA-256, as in in-toto; a subject's ``annotations`` are ``bytes`` and ``optional``."""

    name: str
    digest: dict[str, str]
    annotations: NotRequired[Mapping[str, object]]


class BuildDefinition(TypedDict):
    """The request, the resolved settings, and every input file."""

    buildType: str
    externalParameters: dict[str, object]
    internalParameters: dict[str, object]
    resolvedDependencies: list[Resource]


class RunDetails(TypedDict):
    """The program, the job, its times and its figures."""

    builder: dict[str, object]
    metadata: dict[str, object]
    byproducts: NotRequired[list[dict[str, object]]]


class Predicate(TypedDict):
    """SLSA's provenance, version 1."""

    buildDefinition: BuildDefinition
    runDetails: RunDetails


class Statement(TypedDict):
    """The whole file; ``subject`` lists the files that it describes."""

    _type: str
    subject: list[Resource]
    predicateType: str
    predicate: Predicate


def read_statement(folder: Path) -> Statement:
    """Read the statement in ``folder``. Raises StatementError, or FileNotFoundError without one."""
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
    """Validate ``value`` as a statement of ours. Raises StatementError."""
    try:
        _check(value)
    except (KeyError, TypeError, AttributeError):
        raise StatementError("is not a statement by arkor-dev") from None
    return value  # type: ignore[return-value]


def _check(value: Any) -> None:
    build = value["predicate"]["buildDefinition"]
    if (value["_type"], value["predicateType"]) != (STATEMENT, PREDICATE):
        raise StatementError("is not a provenance statement")
    if build["buildType"] != BUILD:
        raise StatementError("was written by another program, or by a later arkor-dev")
    _check_resources(value["subject"], "file", least=1)
    for entry in value["subject"]:  # without a size, an endless file would be read
        if not _is_size(entry.get("annotations", {}).get("bytes")):
            raise StatementError(f"has no size of {entry['name']}")
    _check_resources(build["resolvedDependencies"], "dependency")
    if any(entry["name"].partition("/")[0] in BESIDE for entry in value["subject"]):
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
    products = details.get("byproducts", [])
    if not isinstance(products, list) or not all(isinstance(entry, dict) for entry in products):
        raise TypeError


def _check_resources(listed: Any, noun: str, least: int = 0) -> None:
    if not isinstance(listed, list) or not least <= len(listed) <= FILES_LIMIT:
        raise StatementError(f"names no {noun}, or too many")
    names = set()
    for entry in listed:
        name, digest, notes = entry["name"], entry["digest"]["sha256"], entry.get("annotations", {})
        if not isinstance(name, str) or not is_safe(name):
            raise StatementError(f"names a {noun} that would lie elsewhere")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise StatementError(f"has no SHA-256 of {name}")
        if not isinstance(notes, dict):
            raise TypeError
        names.add(name.casefold())
    if len(names) != len(listed):
        raise StatementError(f"names a {noun} twice")


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def is_safe(name: str) -> bool:
    """Return whether the name stays inside its folder."""
    parts = name.split("/")
    return (
        len(name) <= NAME_LIMIT
        and len(parts) <= DEPTH_LIMIT
        and all(_PART.fullmatch(part) and part.strip(" .") for part in parts)
    )


# Accessors for readers


def external(statement: Statement) -> Mapping[str, Any]:
    """Return the request: ``settings``, and the kind of ``data``."""
    return statement["predicate"]["buildDefinition"]["externalParameters"]


def internal(statement: Statement) -> Mapping[str, Any]:
    """Return the resolved settings."""
    return statement["predicate"]["buildDefinition"]["internalParameters"]


def object_at(parameters: Mapping[str, object], key: str) -> dict[str, Any]:
    """Return the object ``key`` of the parameters; empty if it is not an object."""
    value = parameters.get(key)
    return value if isinstance(value, dict) else {}


def dependencies(statement: Statement, begin: str) -> Iterator[Resource]:
    """Yield the dependencies whose names begin with ``begin``."""
    for resource in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
        if resource["name"].startswith(begin):
            yield resource


def builder(statement: Statement) -> Mapping[str, object]:
    """Return the program: ``version`` by package, and the hash of its code."""
    return statement["predicate"]["runDetails"]["builder"]


def job_id(statement: Statement) -> str:
    """Return the job's id; empty if unknown."""
    value = statement["predicate"]["runDetails"]["metadata"].get("invocationId")
    return value if isinstance(value, str) else ""


def figures(statement: Statement) -> dict[str, float]:
    """Return the run's finite figures by name."""
    for product in statement["predicate"]["runDetails"].get("byproducts", []):
        if product.get("name") == "figures":
            values = object_at(product, "annotations").items()
            return {key: float(value) for key, value in values if is_number(value)}
    return {}


def is_number(value: object) -> TypeGuard[float]:
    """Return whether ``value`` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
