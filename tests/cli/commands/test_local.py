"""``arkor-dev local``: what a project's jobs take on this machine, and what goes when it is tidied up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.jobs.database import DATABASE
from arkor_dev.local.jobs.job_folder import record_file
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.models.catalog import STARTER_FOLDER
from tests.local.jobs.test_disk import model
from tests.local.jobs.test_order import fill

from .test_jobs import CONFIG, Command, command

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

__all__ = ["command"]
pytestmark = pytest.mark.usefixtures("forked_backends")


@pytest.fixture
def job(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished job with files, beside orphaned files and a model that no job uses."""
    monkeypatch.setenv("HF_HUB_CACHE", str(settings.cache / "hub"))
    settings.local_data.mkdir(parents=True)
    store = Store(settings.local_data / "backend.sqlite", "local")
    job_id: str = store.create("d\u00f6ne", CONFIG)["id"]
    store.finish(job_id, {"type": "training.completed"})
    store.close()
    fill(settings.local_data, job_id)
    fill(settings.local_data, "job_gone")
    model(settings.cache / "models" / STARTER_FOLDER)
    return job_id


async def test_local_path_prints_the_data_folder(command: Command, settings: Settings) -> None:
    assert await command.run(0, "local", "path") == f"{settings.local_data}\n"
    assert "has no jobs of the project" in await command.run(0, "local")
    assert not settings.local_data.exists()
    assert "unknown action tidy" in await command.run(2, "local", "tidy")


async def test_local_status_prints_disk_use(command: Command, settings: Settings, job: str) -> None:
    told = await command.run(0, "local", "status")
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert f"Data {settings.local_data}" in lines
    assert "100 B 1 job" in lines
    assert "100 B orphaned files" in lines
    assert f"100 B {job} d\u00f6ne" in lines
    assert f"1.0 kB {STARTER_FOLDER} (no job uses it)" in lines
    assert "`arkor-dev local gc` deletes orphaned files and unused models." in lines
    found = json.loads(await command.run(0, "local", "--json"))
    assert found["data"] == str(settings.local_data)
    assert found["disk"]["jobs"] == [{"id": job, "name": "d\u00f6ne", "bytes": 100}]


async def test_local_gc_deletes_unused_files_after_consent(
    command: Command, settings: Settings, job: str
) -> None:
    jobs, starter = settings.local_data / "jobs", settings.cache / "models" / STARTER_FOLDER
    refused = await command.run(2, "local", "gc")  # nobody can be asked here
    assert "1.1 kB will be removed from this disk." in refused
    assert "--yes" in refused
    assert starter.exists()
    assert sorted(path.name for path in jobs.iterdir()) == sorted([job, "job_gone"])
    told = (await command.run(0, "local", "gc", "--yes")).splitlines()
    assert [" ".join(line.split()) for line in told] == [
        "100 B orphaned files",
        f"1.0 kB the model {STARTER_FOLDER}, which no job uses",
        "1.1 kB removed.",
    ]
    assert [path.name for path in jobs.iterdir()] == [job]
    assert not starter.exists()
    assert "Nothing to remove" in await command.run(0, "local", "gc", "--yes")


async def test_a_job_archive_round_trips(
    command: Command, settings: Settings, job: str, tmp_path: Path
) -> None:
    file = tmp_path / "job.tar"
    assert "local export takes JOB FILE" in await command.run(2, "local", "export", job)
    told = await command.run(0, "local", "export", job[:10], str(file))
    assert told.startswith(f"{job} (d\u00f6ne) is in {file}, ")
    assert "already exists" in await command.run(2, "local", "export", "latest", str(file))
    assert "already exists here" in await command.run(2, "local", "import", str(file))
    (settings.local_data).rename(tmp_path / "elsewhere")
    assert await command.run(0, "local", "import", str(file)) == f"{job} (d\u00f6ne) was imported.\n"
    listed = json.loads(await command.run(0, "jobs", "--local", "--json"))["jobs"]
    assert [each["id"] for each in listed] == [job]
    assert (
        settings.local_data / "jobs" / job / "checkpoints" / "10" / "adapter.safetensors"
    ).read_bytes() == b"x" * 100
    (tmp_path / "bad.tar").write_bytes(b"nonsense" * 1000)
    assert "it is not an arkor-dev archive" in await command.run(
        2, "local", "import", str(tmp_path / "bad.tar")
    )


async def test_a_lost_database_is_rebuilt(command: Command, settings: Settings, job: str) -> None:
    (known,) = json.loads(await command.run(0, "jobs", "--local", "--json"))["jobs"]
    record_file(settings.local_data, job).write_json(known)
    (settings.local_data / DATABASE).write_bytes(b"")
    told = await command.run(2, "local", "status")
    assert "is empty, while the folder of a job lies beside it" in told
    assert "arkor-dev local rebuild" in told
    told = await command.run(0, "local", "rebuild")
    assert told.startswith(
        "The list has 1 job; 0 could be read from the old one.\n1 were rebuilt from their folders"
    )
    assert "The old list was kept as backend-damaged-" in told
    assert json.loads(await command.run(0, "local", "rebuild", "--json"))["read"] == 1
