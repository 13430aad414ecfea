"""Validates a job's config before the job is created.

Unknown fields are accepted, since other backends may know them. An invalid value of a known field is
refused with an error that names the field.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.attribution import ROW_PLACES
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.placement import ADDRESS as CLUSTER_ADDRESS
from arkor_dev.contract.placement import CLUSTER, INSECURE, SHARED_STORAGE, STORAGE
from arkor_dev.contract.rules import FILLED, FLAG, TEXT, WEIGHT, Rule, string
from arkor_dev.contract.schema import Field, Schema, SchemaError, check, check_as
from arkor_dev.contract.settings import wire_problem
from arkor_dev.contract.settings.conflicts import conflicts
from arkor_dev.contract.settings.own_sets import FIELD, sets_fault
from arkor_dev.contract.shapes import DatasetSource, JobConfig
from arkor_dev.data.exclusions import MAX_ENTRIES, are_entries
from arkor_dev.data.forms import COLUMNS
from arkor_dev.data.methods import form_names
from arkor_dev.data.reviews import ALL, ONLY, ReviewsError, read_reviews
from arkor_dev.data.sources import SourceError, check_mixture, inside, parts_of, sources_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHA256: Final = re.compile(r"[0-9a-f]{64}")
ADDRESS: Final = string(
    "an address that begins with http:// or https://",
    lambda text: text.startswith(("http://", "https://")),
)
MAPPED: Final = Rule(
    "object",
    noun=f"an object of texts with any of the keys {', '.join(COLUMNS)}",
    test=lambda value: all(key in COLUMNS and isinstance(name, str) for key, name in value.items()),
)
EXCLUDED: Final = Rule("other", noun=f"a list of up to {MAX_ENTRIES:,} hashes of rows", test=are_entries)
PARTS: Final = Rule("list", 1, 100, noun="a list of up to 100 data sets")
SOURCES: Final = {
    "file": Field("path", FILLED, needed=True),
    "huggingface": Field("name", FILLED, needed=True),
    "blob": Field("url", ADDRESS, needed=True),
    "list": Field("sources", PARTS, needed=True),
}
"""The kinds of data sets, each with the field that identifies it."""


def _is_adjustment(value: object) -> bool:
    if not isinstance(value, dict) or type(value.get("step")) is not int:
        return False
    settings = value.get("settings")
    return isinstance(settings, dict) and all(
        isinstance(pair, list) and len(pair) == 2 for pair in settings.values()
    )


SOURCE: Final = Schema(
    Field("type", Rule("choice", choices=tuple(SOURCES)), needed=True),
    *(Field(name, TEXT, null=True) for name in ("split", "subset", "token", "group")),
    Field("form", Rule("choice", choices=tuple(form_names())), null=True),
    Field("columns", MAPPED, null=True),
    Field("exclude", EXCLUDED, null=True),
    Field("only", Rule("choice", choices=ONLY), null=True),
    Field("reviewed", Rule("whole", 0, 2**40), null=True),
    Field("weight", WEIGHT, null=True),
)

LEFT_OUT: Final = "leftOut"
"""Config field of a repeated job: ``{rows, hash}``, the locations of the rows whose weight becomes zero, and
the hash of all rows of the original job.
"""
ADJUSTED: Final = "adjusted"
"""Config field that the backend writes: ``[{step, settings: {field: [old, new]}}]``, the settings that were
changed while the job continued, and after which step.
"""
LEAVES_OUT: Final = Schema(
    Field("rows", ROW_PLACES, needed=True),
    Field("hash", string("a SHA-256 in hexadecimal", SHA256.fullmatch), needed=True),
)
CONFIG: Final = Schema(
    Field(
        "setByHand",
        Rule("list", 0, 200, "a list of fields", test=lambda names: all(isinstance(n, str) for n in names)),
        null=True,
    ),
    Field(LEFT_OUT, Rule("object"), null=True, inner=LEAVES_OUT),
    Field(
        ADJUSTED,
        Rule("list", 0, 1000, "a list of changes", test=lambda made: all(map(_is_adjustment, made))),
        null=True,
    ),
    Field(CLUSTER, CLUSTER_ADDRESS, null=True),
    Field(INSECURE, FLAG, null=True),
    Field(STORAGE, SHARED_STORAGE, null=True),
)
"""The fields that the backend's settings and data sets do not include."""
DATA_SETS: Final = ("datasetSource", "evalDatasetSource")


UNREADABLE: Final[JobConfig] = {
    "model": "unknown",
    "datasetSource": {"type": "file", "path": "unknown"},
}
"""Shown in place of a stored config that is damaged."""


def left_out_of(config: JobConfig) -> list[str]:
    """Return the locations of the rows that a job leaves out."""
    left_out = config.get("leftOut")
    return list(left_out["rows"]) if left_out else []


def check_config(config: object) -> JobConfig:
    """Return ``config`` unchanged. Raises `BadRequestError` that names the field and the valid values."""
    if not isinstance(config, dict):
        raise BadRequestError("config must be an object with model and datasetSource")
    problem = wire_problem(config) or next((text for _, text in conflicts(config, "config.{}".format)), None)
    if problem is None and config.get(FIELD) is not None:
        problem = sets_fault(config[FIELD])
    if problem is not None:
        raise BadRequestError(problem)
    try:
        _check_source(config.get("datasetSource"), "config.datasetSource")
        if config.get("evalDatasetSource") is not None:
            _check_source(config["evalDatasetSource"], "config.evalDatasetSource")
            if any(part.get("weight") is not None for part in parts_of(config["evalDatasetSource"])):
                raise SchemaError(
                    "config.evalDatasetSource must have no weight: each of its rows counts once"
                )
        return check_as(JobConfig, config, CONFIG, "config", "config.")
    except SchemaError as fault:
        raise BadRequestError(str(fault)) from None


def check_files(config: JobConfig, project: Path) -> None:
    """Raise `BadRequestError` for a missing file of a valid config's data sets."""
    for field, source in sources_of(config):
        for part in parts_of(source):
            try:
                if part["type"] == "file":
                    inside(project, part["path"])
            except SourceError as fault:
                raise BadRequestError(f"config.{field}: {fault}") from None
    try:
        check_mixture(config["datasetSource"], project)
    except SourceError as fault:
        raise BadRequestError(f"config.datasetSource {fault}") from None
    for evaluation_set in config.get(FIELD) or ():
        try:
            inside(project, evaluation_set["path"])
        except SourceError as fault:
            raise BadRequestError(f"config.{FIELD}, {evaluation_set['name']}: {fault}") from None


def with_current_reviews(config: JobConfig, project: Path) -> JobConfig:
    """Return a valid config whose files exist, with the current review judgements copied into it.

    A job that is paused then resumes with the same rows. Raises `BadRequestError` for a missing file, and for
    judgements that cannot be read.
    """
    check_files(config, project)
    try:
        changed = read_reviews(project).changed
    except ReviewsError as fault:
        raise BadRequestError(str(fault)) from None

    def fixed(source: DatasetSource) -> DatasetSource:
        if source["type"] == "list":
            return {**source, "sources": [fixed(part) for part in source["sources"]]}
        if source.get("only") == ALL:
            return source
        return {**source, "reviewed": changed.get(source.get("only") or "", 0)}

    current: JobConfig = {**config, "datasetSource": fixed(config["datasetSource"])}
    if evaluated := config.get("evalDatasetSource"):
        current["evalDatasetSource"] = fixed(evaluated)
    return current


def public(config: Mapping[str, object]) -> JobConfig:
    """Return a config without the data sets' access tokens, which only the worker may see."""
    masked = {name: _without_token(config[name]) for name in DATA_SETS if name in config}
    shown: Any = {**config, **masked}
    public_config: JobConfig = shown
    return public_config


def _without_token(source: object) -> object:
    if not isinstance(source, dict):
        return source
    masked = {**source, "token": "***"} if source.get("token") else source
    if isinstance(source.get("sources"), list):
        masked = {**masked, "sources": [_without_token(part) for part in source["sources"]]}
    return masked


def _check_source(source: object, path: str) -> None:
    checked = check(source, SOURCE, path, f"{path}.")
    check(checked, Schema(SOURCES[checked["type"]]), path, f"{path}.")
    for index, part in enumerate(checked["sources"] if checked["type"] == "list" else []):
        part_path = f"{path}.sources[{index}]"
        if isinstance(part, dict) and part.get("type") == "list":
            raise SchemaError(f"{part_path} must be a data set itself, not a list of them")
        _check_source(part, part_path)
