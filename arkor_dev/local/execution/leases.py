"""What this machine keeps of the places that its jobs have on clusters: one file each, for the owner alone.

A job trains on at its place when this machine is away, so where that is has to outlive every process here.
The driver of the job writes the file before it asks for the place; who finds it later can attach to the job,
or remove what is left of it. The nonce in it is the proof that a place is the one that was made.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER: Final = "leases"
FORMAT: Final = 2
"""Counts what a driver and a place say to each other: one of another format is not attached to."""
HOURS: Final = "ARKOR_CLUSTER_AWAY_HOURS"
MINUTES: Final = "ARKOR_CLUSTER_GRACE_MINUTES"
AWAY_HOURS: Final = 72.0
"""How long a job trains on, and its place stays, of whose driver nothing is heard; `HOURS` says another."""
GRACE_MINUTES: Final = 30.0
"""How long a cluster may not answer before a job there is given up; `MINUTES` says another."""
TRY_SECONDS: Final = 60.0
"""For so long at the most one attempt without an answer counts: a machine that slept has not asked."""
MARGIN_SECONDS: Final = 3600.0


def away_seconds() -> float:
    """How long a place stays of whose driver nothing is heard."""
    return 3600 * _number(HOURS, AWAY_HOURS)


def grace_seconds() -> float:
    """How long a cluster may not answer."""
    return 60 * _number(MINUTES, GRACE_MINUTES)


def _number(variable: str, usual: float) -> float:
    said = os.environ.get(variable, "")
    try:
        number = float(said)
    except ValueError:
        return usual
    return number if 0 <= number < 1e6 else usual


@dataclass(frozen=True, slots=True)
class Lease:
    """One job's place on a cluster, by the ``name`` that it has there, in the actor called ``actor``.

    ``begun``: its worker has all that it needs, so that it trains on alone. ``silent`` are the seconds for
    which it was asked in vain, up to the time ``tried``; ``left`` is when it was given up.
    """

    path: Path
    job: str
    name: str
    actor: str
    address: str
    insecure: bool
    nonce: str
    away: float
    node: str = ""
    home: str = ""
    begun: bool = False
    silent: float = 0.0
    tried: float = 0.0
    left: float = 0.0

    @classmethod
    def new(cls, data: Path, job: str, address: str, *, insecure: bool, actor: str = "") -> Lease:
        """Keep a new one, which nobody can guess; its ``actor`` has its name, if no other. Raises OSError."""
        name = f"{job}-{secrets.token_hex(8)}"
        path = data / FOLDER / f"{name}.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        nonce = secrets.token_hex(32)
        lease = cls(path, job, name, actor or name, address, insecure, nonce, away_seconds())
        return lease.kept()

    @property
    def attachable(self) -> bool:
        """Whether its job may go on there."""
        return self.begun and not self.left

    @property
    def over(self) -> bool:
        """Whether it was given up so long ago that the place has removed itself."""
        return bool(self.left) and time.time() - self.left > self.away + MARGIN_SECONDS

    def kept(self, **changes: Any) -> Lease:
        """Keep it with ``changes``; as it is then. Raises OSError."""
        changed = replace(self, **changes)
        told = {"format": FORMAT, **asdict(changed)}
        del told["path"]
        part = self.path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        return changed

    def unanswered(self) -> Lease:
        """Count one more attempt in vain."""
        now = time.time()
        since = min(TRY_SECONDS, max(0.0, now - self.tried)) if self.tried else 0.0
        return self.kept(silent=self.silent + since, tried=now)

    def given_up(self) -> Lease:
        """It is not attached to any more, and waits to be removed."""
        return self if self.left else self.kept(left=time.time())

    def drop(self) -> None:
        """Forget it: nothing is left there."""
        self.path.unlink(missing_ok=True)


def leases(data: Path) -> list[Lease]:
    """All that are kept; files that are none of ours are passed over."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted((data / FOLDER).glob("*.json")):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                found.append(_read(path, json.loads(path.read_bytes())))
    return found


def _read(path: Path, told: Mapping[str, Any]) -> Lease:
    told = {"actor": told["name"], **told}  # it had none before format 2
    known = {field.name: told[field.name] for field in fields(Lease) if field.name != "path"}
    if told["format"] != FORMAT:  # of another version: it can be removed alone
        known |= {"left": known["left"] or path.stat().st_mtime}
    return Lease(path, **known)


def of_job(data: Path, job: str) -> Lease | None:
    """That of a job which may go on there, where there is one."""
    return next((lease for lease in leases(data) if lease.job == job and lease.attachable), None)
