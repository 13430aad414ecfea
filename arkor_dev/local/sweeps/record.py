"""The record of a sweep: all that a restarted backend needs to continue it.

One file per sweep, replaced atomically. Each action is recorded here before the job is changed, so that after
a crash at any moment the record defines the jobs' target state: ``Trial.rung`` is the target of a trial,
which its job may not have reached or even started.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import NotFoundError
from arkor_dev.local.jobs.job_folder import JobFile

if TYPE_CHECKING:
    from pathlib import Path

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
    """

    number: int
    settings: dict[str, Any]
    job: str
    role: str = SEARCH
    seed: int | None = None
    rung: int = 0
    losses: list[float] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    repeats: int = 0
    error: str | None = None

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
class Sweep:
    """A sweep from its start to its verdict. ``began`` and ``deadline`` are in seconds since 1970.

    ``estimate`` is None until it is measured, or until the first trial has been timed: a run of the starting
    settings that also serves as confirmation. ``rungs`` are fractions of the full length, the last is 1.
    ``level`` is the current promotion: 0 while new trials start, ``len(rungs)`` once the winner is being
    confirmed. ``paces`` are ratios of measured to estimated seconds. ``facts`` identify the held-out rows of
    the first trial, and ``measure`` names the rows' score if that is not the usual loss. ``data`` is the hash
    of the data set's files at the start.
    """

    id: str
    name: str
    created: str
    began: float
    config: dict[str, Any]
    space: dict[str, Any]
    seed: int
    deadline: float | None = None
    jobs: int | None = None
    state: str = "running"
    ended: str | None = None
    error: str | None = None
    estimate: Estimate | None = None
    rungs: list[float] = field(default_factory=list)
    level: int = 0
    best: int | None = None
    paces: list[float] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    measure: dict[str, Any] | None = None
    trials: list[Trial] = field(default_factory=list)
    importances: list[dict[str, Any]] = field(default_factory=list)
    verdict: dict[str, Any] | None = None
    data: str = ""

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


def write(data: Path, sweep: Sweep) -> None:
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


def read_all(data: Path) -> dict[str, Sweep]:
    """Return all sweeps by id, oldest first; skip damaged files."""
    folder = data / SWEEPS
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    records = [_of_json(_file(data, name).read_json()) for name in names if ID.fullmatch(name)]
    sweeps = sorted((sweep for sweep in records if sweep), key=lambda sweep: sweep.created)
    return {sweep.id: sweep for sweep in sweeps}


def _file(data: Path, sweep_id: str) -> JobFile:
    if not ID.fullmatch(sweep_id):
        raise NotFoundError(f"There is no sweep {sweep_id}")
    return JobFile(data / SWEEPS / sweep_id, "sweep.json")


def _of_json(value: Any) -> Sweep | None:
    try:
        trials = [Trial(**trial) for trial in value["trials"]]
        estimate = Estimate(**value["estimate"]) if value["estimate"] else None
        known = {trial.name for trial in fields(Sweep)}
        facts = {key: value[key] for key in known - {"trials", "estimate"}}
        return Sweep(**facts, trials=trials, estimate=estimate)
    except (KeyError, TypeError):
        return None
