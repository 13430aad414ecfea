"""Jobs whose processes are killed at any moment end as if nothing had happened, bit for bit.

A few blows on two jobs by default; ``ARKOR_CHAOS_KILLS=30`` takes six jobs and some minutes, and
``ARKOR_CHAOS_SEED`` draws other ones.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.atomic_folder import MANIFEST
from tests.local.chaos import FEW, OVER, TRAINERS, Outcome, Story, blows, toml
from tests.local.chaos_studio import SLOW, Studio
from tests.local.conftest import make_project
from tests.local.forking_backend import of_a_studio
from tests.local.harness import Backend, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.beside,
    pytest.mark.ci,
    pytest.mark.timeout(1800),
]

KILLS = int(os.environ.get("ARKOR_CHAOS_KILLS", "4"))
SEED = int(os.environ.get("ARKOR_CHAOS_SEED", "20"))
WHOLE = KILLS >= 30
NAMES = tuple(TRAINERS) if WHOLE else FEW  # each start of a process takes seconds
STEPS = 60 if WHOLE else 40


@pytest.fixture(scope="module")
def forking(template: dict[str, str]) -> dict[str, str]:
    """The environment of a Studio whose workers are forked."""
    return of_a_studio(template)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, tiny: Path, forking: dict[str, str]
) -> Iterator[dict[str, Outcome]]:
    """What comes of each job without any trouble."""
    root = tmp_path_factory.mktemp("undisturbed")
    studio = Studio(root, tiny, toml(NAMES, STEPS), **forking)
    try:
        story = Story(studio, NAMES, STEPS, random.Random(0))
        story.run()
        studio.end()
        yield story.outcomes
    finally:
        studio.discard()


def test_random_kills_do_not_change_any_result(
    tmp_path: Path, tiny: Path, undisturbed: dict[str, Outcome], forking: dict[str, str]
) -> None:
    """Studio, its backend and its workers are killed at moments that a seed chooses, while jobs are paused,
    extended, cancelled and deleted.

    With few blows the workers are forked: each import of their libraries takes as long as a job. How workers
    that were started end with the backend is shown in ``server/test_lifetime.py``.
    """
    chance = random.Random(SEED)
    studio = Studio(tmp_path, tiny, toml(NAMES, STEPS), **({} if WHOLE else forking))
    try:
        story = Story(studio, NAMES, STEPS, chance, blows(KILLS, chance), told=print)
        story.run()
        assert len(story.struck) == KILLS
        for name, outcome in undisturbed.items():
            assert story.outcomes[name].said == outcome.said, name
            assert story.outcomes[name].adapter == outcome.adapter, name
        for name, reader in story.readers.items():
            # Whoever has been there all the time has what is kept.
            counts = [frame for frame in studio.history(story.ids[name]) if frame.event != "system.metrics"]
            until(partial(reader.has, counts), SLOW)
            assert reader.fault is None
            reader.close()
        if WHOLE:
            assert story.caught >= {"save", "unheard", "measuring", "final"}
        kept = {story.ids[name] for name in NAMES if name not in story.deleted}
        assert {path.name for path in (studio.data / "jobs").iterdir()} == kept
        assert {job["id"] for job in studio.ask("GET", "/api/jobs").json["jobs"]} == kept
        checkpoints = studio.data / "jobs" / story.ids["packs"] / "checkpoints"
        assert len(list(checkpoints.iterdir())) == 2
        studio.end()
        until(lambda: not studio.pids("all"), SLOW)
        assert studio.left_behind() == []
    finally:
        studio.discard()


def arrive(backend: Backend, job: str, step: int) -> None:
    """Wait until a job has come to ``step``, or is over."""

    def there() -> bool:
        found = backend.job(job)
        return found["status"] in OVER or found["metrics"].get("step", 0) >= step

    until(there, 120)


def ended(backend: Backend, job: str) -> dict[str, Any]:
    backend.wait_for(job, "end")
    return backend.job(job)


@pytest.mark.parametrize("seed", range(max(1, KILLS // 6)))
def test_files_truncated_by_a_power_cut_are_skipped(
    tmp_path: Path, tiny: Path, undisturbed: dict[str, Outcome], template: dict[str, str], seed: int
) -> None:
    """A job's newest files are cut as a disk may leave them, and so is the data base's log."""
    chance = random.Random(seed)
    data, project = tmp_path / "data", make_project(tmp_path / "tests", tiny)
    backend = Backend.start(data, project, tmp_path / "cache", **template)
    job = backend.submit(undisturbed["packs"].config, "packs")
    try:
        arrive(backend, job, 24)
        backend.process.kill()
        backend.process.wait()
        backend.stop()
        folder = data / "jobs" / job
        newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name.partition(".")[0]))
        for path in sorted(newest.iterdir()):
            if path.name in ("state.pt", MANIFEST, "adapter_model.safetensors") and chance.random() < 0.6:
                path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
        wal = data / "backend.sqlite-wal"
        if wal.exists():
            wal.write_bytes(wal.read_bytes()[: chance.randrange(wal.stat().st_size + 1)])
        known = None
        # Of a young data base even the tables may have been in its log alone.
        with closing(sqlite3.connect(data / "backend.sqlite")) as db, suppress(sqlite3.OperationalError):
            known = db.execute("SELECT 1 FROM jobs WHERE id = ?", (job,)).fetchone()
        backend = Backend.start(data, project, tmp_path / "cache", **template)
        if known is None:  # all that was known of the job was in what was lost
            assert backend.call("GET", "/v1/jobs").json["jobs"] == []
            return
        found = ended(backend, job)
        assert found["status"] == "completed", json.dumps(found)
        final = data / "jobs" / job / "final" / "adapter_model.safetensors"
        assert final.read_bytes() == undisturbed["packs"].adapter
        rows = [frame.json for frame in backend.events(job) if frame.event == "training.log"]
        assert [row["step"] for row in rows if "loss" in row] == list(range(1, STEPS + 1))
    finally:
        backend.stop()
