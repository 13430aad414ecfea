"""Decodes a row of the jobs table into the contract's ``Job``, checking its types once.

A damaged disk, or another program, may have changed any column. Such a row fails alone: the list shows it as
a failed job that says how to mend it, and nothing else reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from arkor_dev.contract import strict_json
from arkor_dev.contract.rules import Rule, string
from arkor_dev.contract.schema import Field, Schema, SchemaError, check
from arkor_dev.contract.shapes import TERMINAL

from .job_config import UNREADABLE, public

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import Job, JobConfig

COLUMNS: Final = (
    "id",
    "name",
    "status",
    "config",
    "error",
    "created",
    "started",
    "completed",
    "metrics",
    "settings",
    "forecast",
    "pause",
    "parent",
    "evaluation",
    "sweep",
    "resumable",
    "notes",
    "tags",
    "starred",
)
"""The columns of a row that this module decodes, in order."""
STATUSES: Final = ("queued", "running", "paused", *sorted(TERMINAL))
OPTIONAL: Final = ("error", "settings", "forecast", "pause", "parent", "evaluation", "sweep")
ANNOTATIONS: Final = ("notes", "tags", "starred")
UNKNOWN_TIME: Final = "1970-01-01T00:00:00.000Z"
JSON: Final = ("config", "metrics", "settings", "forecast", "pause", "parent", "evaluation", "sweep", "tags")
TEXT: Final = string("text")
COUNT: Final = Rule("whole", 0, 2**62)
LOSS: Final = Rule("number", -float("inf"))
OBJECT: Final = Rule("object")
TAGS: Final = Rule(
    "other",
    noun="a list of texts",
    test=lambda tags: isinstance(tags, list) and all(map(TEXT.fits, tags)),
)
PHASE: Final = Schema(Field("name", TEXT, needed=True))
METRICS: Final = Schema(
    *(Field(name, COUNT, null=True) for name in ("step", "totalSteps", "peakBytes")),
    *(Field(name, LOSS, null=True) for name in ("loss", "evalLoss", "bestEvalLoss")),
    Field("phase", OBJECT, null=True, inner=PHASE),
)
SOURCE: Final = Schema(Field("type", TEXT, needed=True))
CONFIG: Final = Schema(
    Field("model", TEXT, null=True), Field("datasetSource", OBJECT, null=True, inner=SOURCE)
)
PAUSE: Final = Schema(Field("step", COUNT, needed=True), Field("reason", TEXT, needed=True))
PARENT: Final = Schema(Field("jobId", TEXT, needed=True))
EVALUATION: Final = Schema(Field("verdict", TEXT, needed=True))
IN_SWEEP: Final = Schema(
    Field("id", TEXT, needed=True), Field("name", TEXT, needed=True), Field("trial", COUNT, needed=True)
)
ROW: Final = Schema(
    *(Field(name, TEXT, needed=True) for name in ("id", "name", "created", "notes")),
    *(Field(name, TEXT, null=True) for name in ("error", "started", "completed")),
    Field("status", Rule("choice", choices=STATUSES), needed=True),
    Field("config", OBJECT, needed=True, inner=CONFIG),
    Field("metrics", OBJECT, needed=True, inner=METRICS),
    *(Field(name, OBJECT, null=True) for name in ("settings", "forecast")),
    Field("pause", OBJECT, null=True, inner=PAUSE),
    Field("parent", OBJECT, null=True, inner=PARENT),
    Field("evaluation", OBJECT, null=True, inner=EVALUATION),
    Field("sweep", OBJECT, null=True, inner=IN_SWEEP),
    Field("resumable", COUNT, null=True),
    Field("tags", TAGS, needed=True),
    Field("starred", COUNT, needed=True),
)


class DamagedRowError(Exception):
    """A row does not hold a job; the message says which column is wrong, and how to mend it."""


def decode(row: Sequence[Any]) -> dict[str, Any]:
    """Return the columns of a row by name, with their JSON parsed. Raises DamagedRowError."""
    columns = dict(zip(COLUMNS, row, strict=True))
    try:
        for name in JSON:
            if (text := columns[name]) is not None:
                columns[name] = _parsed(name, text)
        return check(columns, ROW, "It")
    except SchemaError as fault:
        raise DamagedRowError(
            f"The record of this job in the list of jobs is damaged: {fault}. Close Studio and run arkor-dev "
            "local rebuild, which restores it from the job's folder; or delete the job"
        ) from None


def _parsed(name: str, text: object) -> Any:
    if not isinstance(text, str):
        raise SchemaError(f"{name} must be text")
    try:
        return strict_json.parse(text.encode())
    except ValueError as fault:
        raise SchemaError(f"{name} {fault}") from None


def job_of(row: Sequence[Any], org: str, project: str) -> Job:
    """Return the job of a row; of a damaged one, a failed job that says so."""
    try:
        columns = decode(row)
    except DamagedRowError as fault:
        columns = _stand_in(row, str(fault))
    status = columns["status"]
    phase = columns["metrics"].pop("phase", None)
    job: Job = {
        "id": columns["id"],
        "orgId": org,
        "projectId": project,
        "name": columns["name"],
        "status": status,
        "config": cast("JobConfig", public(columns["config"])),
        "createdAt": columns["created"],
        "startedAt": columns["started"],
        "completedAt": columns["completed"],
        "metrics": columns["metrics"],
    }
    if phase and status == "running":
        job["phase"] = phase
    given = {field: columns[field] for field in OPTIONAL if columns[field] is not None}
    if columns["resumable"] is not None and status in TERMINAL:
        given["resumable"] = columns["resumable"]
    annotations = {**columns, "starred": bool(columns["starred"])}
    given |= {field: annotations[field] for field in ANNOTATIONS if annotations[field]}
    return cast("Job", {**job, **given})


def is_damaged(job: Job) -> bool:
    """Return whether `job_of` has put a failed job in place of a damaged row."""
    return bool(job["config"] == UNREADABLE)


def _stand_in(row: Sequence[object], error: str) -> dict[str, object]:
    columns = dict(zip(COLUMNS, row, strict=True))
    name, created = columns["name"], columns["created"]
    return {
        **dict.fromkeys(COLUMNS),
        "id": str(columns["id"]),
        "name": name if TEXT.fits(name) else "damaged record",
        "status": "failed",
        "config": dict(UNREADABLE),
        "error": error,
        "created": created if TEXT.fits(created) else UNKNOWN_TIME,
        "metrics": {},
    }
