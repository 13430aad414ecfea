"""Writes a store as this version keeps it, as SQL: what a later version's migration is tested from.

    python -m tests.local.jobs.make_store

Run it before the version is raised, and commit ``data/store-v<version>.sql``: the next version is then shown
to read what this one wrote.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from arkor_dev.local.jobs.store import Store, Verdict

DATA = Path(__file__).with_name("data")
CONFIG = {"model": "starter", "datasetSource": {"type": "file", "path": "data/chats.jsonl"}, "maxSteps": 2}


def fill(store: Store) -> None:
    """A job of every status, oldest first: completed, failed, cancelled, running, queued."""
    completed = store.create("complèted", CONFIG)["id"]
    store.start_next()
    store.append(completed, [("training.started", {"metadata": {"totalSteps": 2}})])
    store.append(completed, [("training.log", {"step": step, "loss": 3.0 - step}) for step in (1, 2)])
    store.append(completed, [("training.log", {"step": 2, "evalLoss": 1.5})])
    adapter = {"kind": "adapter", "name": "final", "bytes": 64, "path": f"/data/jobs/{completed}/final"}
    store.finish(completed, Verdict("completed", {"artifacts": [adapter]}))
    failed = store.create("failed", CONFIG)["id"]
    store.start_next()
    store.finish(failed, Verdict("failed", {"error": "out of memory"}))
    cancelled = store.create("cancelled", CONFIG)["id"]
    store.cancel_queued(cancelled)
    running = store.create("running", CONFIG)["id"]
    store.start_next()
    store.append(running, [("training.log", {"step": 1, "loss": 2.5})])
    source = {"type": "blob", "url": "https://example.org/chats.jsonl", "token": "s3cret"}
    store.create("queued", {**CONFIG, "datasetSource": source})


def main() -> None:
    """Write the file of the version that the code has now."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backend.sqlite"
        with closing(Store(path, "local")) as store:
            fill(store)
        with closing(sqlite3.connect(path)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            lines = [*db.iterdump(), f"PRAGMA user_version = {version};"]
    (DATA / f"store-v{version}.sql").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
