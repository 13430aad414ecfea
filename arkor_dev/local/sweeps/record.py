"""The record of a sweep: all that a restarted backend needs to continue it.

One file per sweep, replaced atomically. Each action is recorded here before the job is changed, so that after
a crash at any moment the record defines the jobs' target state: ``Trial.rung`` is the target of a trial,
which its job may not have reached or even started.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.rules import FILLED, Rule, string
from arkor_dev.contract.schema import Field, Schema, SchemaError, check
from arkor_dev.contract.shapes import (  # noqa: TC001 - a record is decoded by these
    EvaluationMeasure,
    JobConfig,
    SourceEffect,
    SweepImportance,
    SweepVerdict,
    ValueRange,
)
from arkor_dev.contract.sweep_space import space_problem
from arkor_dev.local.jobs.job_config import UNREADABLE, check_config
from arkor_dev.local.jobs.job_folder import JobFile
from arkor_dev.local.jobs.job_row import UNKNOWN_TIME
from arkor_dev.local.workers.codec import Trusted, read_as

from .design import RUNS

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["running", "completed", "stopped", "failed"]
Role = Literal["search", "winner", "start"]

SWEEPS: Final = "sweeps"
ID: Final = re.compile(r"sweep_[0-9a-f]{12}")
SEARCH: Final = "search"
WINNER: Final = "winner"
START: Final = "start"
"""Roles of a trial: the search, and the confirmation runs of the best and of the starting settings."""
MOST_TRIALS: Final = 500
"""Maximum number of trials in a search; the confirmation runs are numbered from here."""


def new_sweep_id() -> str:
    return f"sweep_{secrets.token_hex(6)}"


@dataclass
class Trial:
    """A trial, with its ``settings`` by field that override the sweep's config; number 0 changes nothing.

    ``rung`` is the index of its job's target rung. ``losses`` are mean losses on the selecting half at each
    rung reached, in order, and ``ends`` the times of reaching them. ``seed`` is set for confirmation runs.
    ``repeats`` counts the runs that read other data than the sweep's. ``error`` says why a trial is out.
    ``sources`` are the numbers of those that it trains on, in a design over sources.
    """

    number: int
    settings: dict[str, object]
    job: str
    role: Role = SEARCH
    seed: int | None = None
    rung: int = 0
    losses: list[float] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    repeats: int = 0
    error: str | None = None
    sources: list[int] = field(default_factory=list)

    @property
    def under_way(self) -> bool:
        """Return whether its job has not yet reached its target."""
        return self.error is None and len(self.losses) <= self.rung


@dataclass
class Estimate:
    """Estimate of a full-length run: ``fixed`` seconds outside training, and its ``steps``."""

    steps: int
    fixed: float
    training: float


@dataclass
class SweepRecord:
    """A sweep from its start to its verdict. ``began`` and ``deadline`` are in seconds since 1970.

    ``estimate`` is None until it is measured, or until the first trial has been timed: a run of the starting
    settings that also serves as confirmation. ``rungs`` are fractions of the full length, the last is 1.
    ``level`` is the current promotion: 0 while new trials start, ``len(rungs)`` once the winner is being
    confirmed. ``paces`` are ratios of measured to estimated seconds. ``facts`` identify the held-out rows of
    the first trial, and ``measure`` names the rows' score if that is not the usual loss. ``data`` is the hash
    of the data set's files at the start.

    A design over the sources of the data set has a number of ``runs`` instead of a space, each of ``steps``
    steps, and ends with the sources' ``effects``; ``rows`` counts those of each source. Its trials are all of
    one rung.
    """

    id: str
    name: str
    created: str
    began: float
    config: Annotated[JobConfig, Trusted()]
    space: dict[str, list[object] | ValueRange]
    seed: int
    deadline: float | None = None
    jobs: int | None = None
    state: State = "running"
    ended: str | None = None
    error: str | None = None
    estimate: Estimate | None = None
    rungs: list[float] = field(default_factory=list)
    level: int = 0
    best: int | None = None
    paces: list[float] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    measure: EvaluationMeasure | None = None
    trials: list[Trial] = field(default_factory=list)
    importances: list[SweepImportance] = field(default_factory=list)
    verdict: SweepVerdict | None = None
    data: str = ""
    runs: int | None = None
    rows: list[int] = field(default_factory=list)
    steps: int | None = None
    effects: list[SourceEffect] = field(default_factory=list)

    @property
    def search(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.role == SEARCH]

    @property
    def last(self) -> int:
        """The index of the last rung."""
        return len(self.rungs) - 1

    def number_of(self, role: str) -> int:
        """Return the number of the next trial with this role."""
        searched = len(self.search)
        return searched if role == SEARCH else MOST_TRIALS + len(self.trials) - searched


def write(data: Path, sweep: SweepRecord) -> None:
    """Store a sweep, flushed to disk. Raises OSError, and leaves no folder of a sweep that was not stored."""
    file = _file(data, sweep.id)
    try:
        file.write_json(asdict(sweep))
    except OSError:
        with contextlib.suppress(OSError):  # it has an earlier record
            file.job.rmdir()
        raise


def delete(data: Path, sweep_id: str) -> None:
    """Delete a sweep's record. Raises OSError."""
    path = _file(data, sweep_id).path
    path.unlink(missing_ok=True)  # a folder without this file is not a sweep
    shutil.rmtree(path.parent, ignore_errors=True)


def read_all(data: Path) -> dict[str, SweepRecord]:
    """Return all sweeps by id, oldest first; one whose record is damaged has failed, and says so."""
    folder = data / SWEEPS
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    files = [_file(data, name) for name in names if ID.fullmatch(name)]
    # A folder without this file is not a sweep.
    sweeps = [_read(file) for file in files if os.path.lexists(file.path)]
    return {sweep.id: sweep for sweep in sorted(sweeps, key=lambda sweep: sweep.created)}


def _file(data: Path, sweep_id: str) -> JobFile:
    if not ID.fullmatch(sweep_id):
        raise NotFoundError(f"There is no sweep {sweep_id}")
    return JobFile(data / SWEEPS / sweep_id, "sweep.json")


def _read(file: JobFile) -> SweepRecord:
    value = file.read_json()
    try:
        return decode(value, file.job.name)
    except SchemaError as fault:
        known = value if isinstance(value, dict) else {}
        name, created = known.get("name"), known.get("created")
        return SweepRecord(
            file.job.name,
            str(name) if FILLED.fits(name) else f"damaged {file.job.name}",
            str(created) if TIME.fits(created) else UNKNOWN_TIME,
            began=0.0,
            config=UNREADABLE,
            space={},
            seed=0,
            state="failed",
            error=f"Its record {file.path} is damaged: {fault}. Restore that file and start Studio again, or "
            "delete the sweep. Its jobs are unchanged",
        )


def decode(value: object, sweep_id: str) -> SweepRecord:
    """Return a sweep from its record. Raises SchemaError for anything that `write` would not have stored."""
    if value is None:
        raise SchemaError("it is not JSON, or too large")
    record = check(value, SWEEP, "it")
    if record["id"] != sweep_id:
        raise SchemaError(f"it belongs to the sweep {record['id']}")
    try:
        check_config(record["config"])
    except BadRequestError as refused:
        raise SchemaError(str(refused)) from None
    if not record.get("runs") and (fault := space_problem(record["space"], record["config"].get("method"))):
        raise SchemaError(f"space{'.' if fault[0] else ''}{fault[0]} {fault[1]}")
    try:
        sweep = read_as(SweepRecord, record)
    except (ValueError, RecursionError) as error:
        raise SchemaError(str(error)) from None
    if problem := _problem(sweep):
        raise SchemaError(problem)
    return sweep


def _list_of(rule: Rule, noun: str, most: int) -> Rule:
    """Return a rule for a list; unlike the rule of that kind, a single member is not one."""
    return Rule(
        "other",
        noun=f"a list of up to {most:,} {noun}",
        test=lambda value: isinstance(value, list) and len(value) <= most and all(map(rule.fits, value)),
    )


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _problem(sweep: SweepRecord) -> str | None:
    """Return what the fields of a record say against each other; None if nothing."""
    for index, trial in enumerate(sweep.trials):
        counts = {len(trial.losses), len(trial.ends), len(trial.steps)}
        if len(counts) > 1 or max(counts) > trial.rung + 1:
            return f"trials[{index}].losses, ends and steps must have one entry for each rung reached"
    if sweep.best is not None and sweep.best >= len(sweep.search):
        return "best must be the number of a trial"
    if sweep.level > len(sweep.rungs):
        return "level must be that of a rung"
    if any(trial.rung >= max(1, len(sweep.rungs)) for trial in sweep.trials):
        return "trials must not be beyond the last rung"
    return None


TIME: Final = string("a time in ISO 8601", _is_time)
SECONDS: Final = Rule("number", 0, 2.5e11)
"""Seconds since 1970, or a duration; any calendar has such a time."""
COUNT: Final = Rule("whole", 0, 2**53)
LOSS: Final = Rule("number", -math.inf)
WORDS: Final = string("text")
TRIAL: Final = Schema(
    Field("number", Rule("whole", 0, 3 * MOST_TRIALS), needed=True),
    Field("settings", Rule("object"), needed=True),
    Field("job", string("a job's id", re.compile(r"job_[0-9a-f]{12}").fullmatch), needed=True),
    Field("role", Rule("choice", choices=(SEARCH, WINNER, START)), needed=True),
    Field("seed", Rule("whole", -(2**63), 2**63), null=True),
    Field("rung", Rule("whole", 0, 100), needed=True),
    Field("losses", _list_of(LOSS, "numbers", 101), needed=True),
    Field("ends", _list_of(WORDS, "times", 101), needed=True),
    Field("steps", _list_of(COUNT, "steps", 101), needed=True),
    Field("repeats", COUNT, needed=True),
    Field("error", WORDS, null=True),
    Field("sources", _list_of(Rule("whole", 0, 100), "numbers", 100), needed=True),
)
ESTIMATE: Final = Schema(
    Field("steps", Rule("whole", 1, 2**53), needed=True),
    Field("fixed", SECONDS, needed=True),
    Field("training", SECONDS, needed=True),
)
SWEEP: Final = Schema(
    Field("id", string("a sweep's id", ID.fullmatch), needed=True),
    Field("name", FILLED, needed=True),
    Field("created", TIME, needed=True),
    Field("began", SECONDS, needed=True),
    Field("config", Rule("object"), needed=True),
    Field("space", Rule("object"), needed=True),
    Field("seed", Rule("whole", -(2**63), 2**63), needed=True),
    Field("deadline", SECONDS, null=True),
    Field("jobs", Rule("whole", 1, MOST_TRIALS), null=True),
    Field("state", Rule("choice", choices=("running", "completed", "stopped", "failed")), needed=True),
    Field("ended", TIME, null=True),
    Field("error", WORDS, null=True),
    Field("estimate", Rule("object"), null=True, inner=ESTIMATE),
    Field("rungs", _list_of(Rule("number", 0, 1, above=True), "fractions", 100), needed=True),
    Field("level", Rule("whole", 0, 100), needed=True),
    Field("best", COUNT, null=True),
    Field("paces", _list_of(SECONDS, "ratios", 3 * MOST_TRIALS), needed=True),
    Field("facts", Rule("object", test=lambda facts: all(map(WORDS.fits, facts.values()))), needed=True),
    Field("measure", Rule("object"), null=True),
    Field("trials", _list_of(Rule("object"), "trials", 2 * MOST_TRIALS), needed=True, inner=TRIAL),
    Field("importances", _list_of(Rule("object"), "objects", 1000), needed=True),
    Field(
        "verdict",
        Rule("object", test=lambda verdict: isinstance(verdict.get("verdict"), str)),
        null=True,
    ),
    Field("data", WORDS, needed=True),
    Field("runs", Rule("whole", RUNS[0], RUNS[-1]), null=True),
    Field("rows", _list_of(COUNT, "numbers", 100), needed=True),
    Field("steps", Rule("whole", 1, 2**53), null=True),
    Field("effects", _list_of(Rule("object"), "objects", 100), needed=True),
)
"""The record on disk: another program, or a damaged disk, may have changed it."""
