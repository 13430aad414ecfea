"""Measures the load that this machine's part of many jobs can carry: storing their events, and receiving
files from nodes.

Ray itself is not measured: ``docs/cluster.md`` says what these figures mean for a thousand nodes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from arkor_dev.local.cluster.incoming_files import IncomingFiles
from arkor_dev.local.cluster.node_messages import parse_messages
from arkor_dev.local.cluster.protocol import CHUNK
from arkor_dev.local.execution.messages import TrainingEvent
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers.codec import encode

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.events import TrainingLog

JOBS: Final = 1000
EVENTS: Final = 20_000
FILE: Final = 128 << 20


def measure(root: Path, *, quick: bool) -> Iterator[Figure]:
    """Yield all figures; files are written below ``root``."""
    root.mkdir()
    count, jobs = (EVENTS // 10, JOBS // 10) if quick else (EVENTS, JOBS)
    with closing(Store(root / "backend.sqlite", "local")) as store:
        config = {"model": "tiny", "maxSteps": 1000}
        ids = [store.create(f"job {number}", config)["id"] for number in range(jobs)]
        while store.start_next():
            pass
        for together in (1, 16):
            began = time.monotonic()
            for number in range(0, count, together):
                job = ids[number // together % jobs]
                store.append(job, [_event(number + n) for n in range(together)], mark=f"{job}:{number}")
            rate = count / (time.monotonic() - began)
            name = f"events stored of {jobs:,} running jobs, {together} to a commit"
            yield Figure(name, rate, "events/s")
        began = time.monotonic()
        for number in range(20):
            store.append(ids[number], [_event(number)])
            body = store.listing()
        each = (time.monotonic() - began) / 20
        yield Figure(f"  the list of those after a change, {len(body) / 1e3:.0f} kB", 1000 * each, "ms")
        store.writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = (root / "backend.sqlite").stat().st_size
    yield Figure("  bytes of an event on the disk", stored / (2 * count), "B")
    yield from messages(count)
    yield from files(root, FILE // 8 if quick else FILE)


def _event(step: int) -> TrainingLog:
    return {
        "type": "training.log",
        "step": step,
        "epoch": 1.25,
        "loss": 2.2153418,
        "samplesPerSecond": 4.0312,
        "tokensPerSecond": 812.44,
        "learningRate": 0.00098,
    }


def messages(count: int) -> Iterator[Figure]:
    """Measure messages from nodes, checked as in the driver."""
    said = [json.loads(encode(TrainingEvent(event))) for event in map(_event, range(100))]
    body = json.dumps({"messages": said, "over": None}).encode()
    began = time.monotonic()
    for _ in range(max(1, count // 100)):
        parse_messages(body)
    yield Figure("messages of a node checked", count / (time.monotonic() - began), "/s")


def files(root: Path, size: int) -> Iterator[Figure]:
    """Measure receiving a checkpoint's file, which is checked by its hash and flushed, without the
    network.
    """
    content = os.urandom(CHUNK) * (size // CHUNK)
    entry = {"name": "checkpoints/10/model.safetensors", "bytes": size}
    listing = json.dumps([{**entry, "sha256": hashlib.sha256(content).hexdigest()}]).encode()
    whole = memoryview(content)
    began = time.monotonic()
    IncomingFiles(root, "job_0123456789ab", lambda _, offset: bytes(whole[offset : offset + CHUNK])).fetch(
        listing
    )
    yield Figure("bytes of a checkpoint taken in", size / (time.monotonic() - began) / 1e6, "MB/s")
