"""This machine's records of its jobs' actors on clusters, each a private file.

A job keeps training in its actor while this machine is disconnected, so the record must outlive every process
here. The driver writes it before it requests the actor. A later process can use it to attach to the job, or
to remove its leftovers. With the nonce the actor proves that it is the one that was created for the job.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path  # noqa: TC003 - a lease is decoded by it
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from arkor_dev.local.workers.codec import read_as

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = "leases"
FORMAT: Final = 1
"""Version of the protocol between driver and actor. A job of another version is removed, never attached."""
HOURS: Final = "ARKOR_CLUSTER_AWAY_HOURS"
MINUTES: Final = "ARKOR_CLUSTER_GRACE_MINUTES"
AWAY_HOURS: Final = 72.0
"""Hours that a job keeps training, and its actor exists, without a driver, unless `HOURS` is set."""
GRACE_MINUTES: Final = 30.0
"""Minutes that a cluster may fail to respond before its job is given up, unless `MINUTES` is set."""
ATTEMPT_SECONDS: Final = 60.0
"""Maximum seconds counted for a failed attempt: while this machine slept, nothing was tried."""
MARGIN_SECONDS: Final = 3600.0


def away_seconds() -> float:
    """Return for how many seconds an actor exists without a driver."""
    return 3600 * _number(HOURS, AWAY_HOURS)


def grace_seconds() -> float:
    """Return for how many seconds a cluster may fail to respond."""
    return 60 * _number(MINUTES, GRACE_MINUTES)


def _number(variable: str, default: float) -> float:
    try:
        number = float(os.environ.get(variable, ""))
    except ValueError:
        return default
    return number if 0 <= number < 1e6 else default


class LeaseChanges(TypedDict, total=False):
    """The fields of a `Lease` that change."""

    home: str
    node: str
    begun: bool
    silent: float
    tried: float
    left: float


@dataclass(frozen=True, slots=True)
class Lease:
    """One job on a cluster, called ``name`` there, in the actor called ``actor``.

    ``begun`` is true if its worker has everything it needs to train without a driver. ``silent`` is for how
    many seconds the cluster has not responded, up to the Unix time ``tried``. ``left`` is the Unix time when
    the job was given up, 0 before.
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
        """Write a new lease with unguessable names; ``actor`` defaults to the lease's. Raises OSError."""
        name = f"{job}-{secrets.token_hex(8)}"
        path = data / FOLDER / f"{name}.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        nonce = secrets.token_hex(32)
        lease = cls(path, job, name, actor or name, address, insecure, nonce, away_seconds())
        return lease.update()

    @property
    def attachable(self) -> bool:
        """Whether its job may continue on the cluster."""
        return self.begun and not self.left

    @property
    def expired(self) -> bool:
        """Whether the job was given up so long ago that its actor has removed itself."""
        return bool(self.left) and time.time() - self.left > self.away + MARGIN_SECONDS

    def update(self, **changes: Unpack[LeaseChanges]) -> Lease:
        """Write the lease with ``changes`` and return the new one. Raises OSError."""
        changed = replace(self, **changes)
        record = {"format": FORMAT, **asdict(changed)}
        del record["path"]
        part = self.path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        return changed

    def count_failure(self) -> Lease:
        """Count one more failed attempt."""
        now = time.time()
        since = min(ATTEMPT_SECONDS, max(0.0, now - self.tried)) if self.tried else 0.0
        return self.update(silent=self.silent + since, tried=now)

    def give_up(self) -> Lease:
        """Stop attaching to the job; its leftovers will be removed."""
        return self if self.left else self.update(left=time.time())

    def delete(self) -> None:
        """Delete the record, since nothing remains on the cluster."""
        self.path.unlink(missing_ok=True)


def leases(data: Path) -> list[Lease]:
    """Return all leases; skip other files."""
    records = []
    with contextlib.suppress(OSError):
        for path in sorted((data / FOLDER).glob("*.json")):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                records.append(_read(path, json.loads(path.read_bytes())))
    return records


def _read(path: Path, record: Mapping[str, object]) -> Lease:
    known = {field.name: record[field.name] for field in fields(Lease) if field.name != "path"}
    lease = read_as(Lease, {**known, "path": str(path)})
    return lease if record["format"] == FORMAT else replace(lease, left=lease.left or path.stat().st_mtime)


def of_job(data: Path, job: str) -> Lease | None:
    """Return the lease of a job that may continue on its cluster, or None."""
    return next((lease for lease in leases(data) if lease.job == job and lease.attachable), None)
