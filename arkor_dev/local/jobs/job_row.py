"""Decodes a row of the jobs table into the contract's ``Job``, checking its types once.

A damaged disk, or another program, may have changed any column. Such a row fails alone: the list shows it as
a failed job that says how to mend it, and nothing else reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from arkor_dev.contract import strict_json
from arkor_dev.contract.rules import Rule, string
from arkor_dev.contract.schema import Field, Schema, SchemaError, check_as
from arkor_dev.contract.shapes import (
    TERMINAL,
    Evaluation,
    Forecast,
    Job,
    JobConfig,
    JobMetrics,
    JobParent,
    JobPause,
    JobPhase,
    JobStatus,
    JobSweep,
)

from .job_config import UNREADABLE, public

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class StoredMetrics(JobMetrics):
    """A job's metrics, and its phase."""

    phase: NotRequired[JobPhase | None]


class JobRow(TypedDict):
    """A row of the jobs table, by ``COLUMNS``."""

    id: str
    name: str
    status: JobStatus
    config: JobConfig
    error: str | None
    created: str
    started: str | None
    completed: str | None
    metrics: StoredMetrics
    settings: dict[str, object] | None
    forecast: Forecast | None
    pause: JobPause | None
    parent: JobParent | None
    evaluation: Evaluation | None
    sweep: JobSweep | None
    resumable: int | None
    notes: str
    tags: list[str]
    starred: int


class JobRecord(TypedDict):
    """A job as its record beside its files, or in an archive, has it: a `Job` of any project."""

    id: str
    name: str
    status: JobStatus
    config: JobConfig
    createdAt: str
    startedAt: NotRequired[str | None]
    completedAt: NotRequired[str | None]
    error: NotRequired[str | None]
    settings: NotRequired[dict[str, object]]
    metrics: NotRequired[JobMetrics]
    notes: NotRequired[str]
    tags: NotRequired[list[str]]
    starred: NotRequired[bool]
    pause: NotRequired[JobPause]
    resumable: NotRequired[int]
    parent: NotRequired[JobParent]
    evaluation: NotRequired[Evaluation]


def decode(row: Sequence[object]) -> JobRow:
    """Return the columns of a row by name, with their JSON parsed. Raises DamagedRowError."""
    columns = dict(zip(COLUMNS, row, strict=True))
    try:
        for name in JSON:
            if (text := columns[name]) is not None:
                columns[name] = _parsed(name, text)
        return check_as(JobRow, columns, ROW, "It")
    except SchemaError as fault:
        raise DamagedRowError(
            f"The record of this job in the list of jobs is damaged: {fault}. Close Studio and run arkor-dev "
            "local rebuild, which restores it from the job's folder; or delete the job"
        ) from None


def _parsed(name: str, text: object) -> object:
    if not isinstance(text, str):
        raise SchemaError(f"{name} must be text")
    try:
        return strict_json.parse(text.encode())
    except ValueError as fault:
        raise SchemaError(f"{name} {fault}") from None


def job_of(row: Sequence[object], org: str, project: str) -> Job:
    """Return the job of a row; of a damaged one, a failed job that says so."""
    try:
        columns = decode(row)
    except DamagedRowError as fault:
        columns = _stand_in(row, str(fault))
    status, metrics = columns["status"], columns["metrics"]
    phase = metrics.pop("phase", None)
    job: Job = {
        "id": columns["id"],
        "orgId": org,
        "projectId": project,
        "name": columns["name"],
        "status": status,
        "config": public(columns["config"]),
        "createdAt": columns["created"],
        "startedAt": columns["started"],
        "completedAt": columns["completed"],
        "metrics": metrics,
    }
    if phase and status == "running":
        job["phase"] = phase
    if columns["error"] is not None:
        job["error"] = columns["error"]
    if columns["settings"] is not None:
        job["settings"] = columns["settings"]
    if columns["forecast"] is not None:
        job["forecast"] = columns["forecast"]
    if columns["pause"] is not None:
        job["pause"] = columns["pause"]
    if columns["parent"] is not None:
        job["parent"] = columns["parent"]
    if columns["evaluation"] is not None:
        job["evaluation"] = columns["evaluation"]
    if columns["sweep"] is not None:
        job["sweep"] = columns["sweep"]
    if columns["resumable"] is not None and status in TERMINAL:
        job["resumable"] = columns["resumable"]
    if columns["notes"]:
        job["notes"] = columns["notes"]
    if columns["tags"]:
        job["tags"] = columns["tags"]
    if columns["starred"]:
        job["starred"] = True
    return job


def is_damaged(job: Job) -> bool:
    """Return whether `job_of` has put a failed job in place of a damaged row."""
    return job["config"] == UNREADABLE


def _stand_in(row: Sequence[object], error: str) -> JobRow:
    columns = dict(zip(COLUMNS, row, strict=True))
    name, created = columns["name"], columns["created"]
    return {
        "id": str(columns["id"]),
        "name": name if isinstance(name, str) else "damaged record",
        "status": "failed",
        "config": UNREADABLE.copy(),
        "error": error,
        "created": created if isinstance(created, str) else UNKNOWN_TIME,
        "started": None,
        "completed": None,
        "metrics": {},
        "settings": None,
        "forecast": None,
        "pause": None,
        "parent": None,
        "evaluation": None,
        "sweep": None,
        "resumable": None,
        "notes": "",
        "tags": [],
        "starred": 0,
    }
