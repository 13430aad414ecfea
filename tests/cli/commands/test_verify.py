"""``arkor-dev verify``: what is checked, what is said of it, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.provenance.statement import FILE
from arkor_dev.local.jobs.job_folder import checkpoint_folder, final_folder
from tests.cli.commands.test_jobs import Command, command
from tests.support.statements import changed, write_folder
from tests.test_architecture import HEAVY

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

__all__ = ["command"]
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "adapter")
    return tmp_path / "adapter"


async def test_a_folder_that_is_what_was_written(command: Command, folder: Path) -> None:
    assert await command.run(0, "verify", str(folder)) == "2 files match the provenance.\n"
    told = json.loads(await command.run(0, "verify", str(folder), "--json"))
    assert told == {
        "ok": True,
        "folder": str(folder),
        "job": "job_0123456789ab",
        "files": [{"name": WEIGHTS, "state": "same"}, {"name": "adapter_config.json", "state": "same"}],
    }


async def test_a_file_that_is_another_is_named(command: Command, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"other")
    (folder / "more\x1b[31m.bin").write_bytes(b"1")
    told = await command.run(1, "verify", str(folder))
    assert told.splitlines() == [
        f"{WEIGHTS} does not match its hash",
        "'more\\x1b[31m.bin' was added after the folder was written",
    ]
    found = json.loads(await command.run(1, "verify", str(folder), "--json"))
    assert found["ok"] is False
    assert found["files"][0] == {"name": WEIGHTS, "state": "differs"}
    (folder / WEIGHTS).unlink()
    assert f"{WEIGHTS} is missing" in await command.run(1, "verify", str(folder))


async def test_one_file_of_it(command: Command, folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert await command.run(0, "verify", str(folder / WEIGHTS)) == "1 file matches the provenance.\n"
    assert "does not match" in await command.run(1, "verify", str(folder / "adapter_config.json"))
    assert "does not match" in await command.run(1, "verify", str(folder / FILE)), "it stands for the folder"


async def test_a_job_of_this_machine_and_its_checkpoint(command: Command, settings: Settings) -> None:
    write_folder(final_folder(settings.local_data, "job_a1"))
    write_folder(checkpoint_folder(settings.local_data, "job_a1", 20))
    write_folder(final_folder(settings.local_data, "job_a1b"))
    for name in ("job_a1", "job_a1:20", "job_a1:final", "job_a1b"):
        assert "match the provenance" in await command.run(0, "verify", name)
    assert "matches 2 jobs" in await command.run(2, "verify", "job_a")
    for name in ("job_a1:30", "job_b", "../x", "job_a1:../x", "*", "job_a1:"):
        assert "No such folder, file or job" in await command.run(2, "verify", name)


async def test_without_a_provenance_there_is_nothing_to_check(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "so there is nothing to check it against" in await command.run(
        2, "verify", str(tmp_path / "empty")
    )
    assert "Name what to verify" in await command.run(2, "verify")


async def test_one_that_cannot_be_trusted_is_a_fault(command: Command, folder: Path) -> None:
    made = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(changed(made, "subject", 0, "name", to="../../x\x1b[2J")))
    assert await command.run(1, "verify", str(folder)) == f"{FILE} names a file that would lie elsewhere\n"
    told = json.loads(await command.run(1, "verify", str(folder), "--json"))
    assert (told["ok"], "files" in told) == (False, False)
    (folder / FILE).write_text("[")
    assert await command.run(1, "verify", str(folder)) == f"{FILE} is not JSON\n"


async def test_what_is_no_longer_itself_is_not_trained_again(command: Command, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"other")
    assert "Not trained again" in await command.run(1, "verify", str(folder), "--repeat")


def test_it_needs_no_training_library(folder: Path) -> None:
    code = (
        "import sys; from arkor_dev.cli.main import main; code = main(['verify', sys.argv[1]])\n"
        f"assert not set(sys.modules) & {HEAVY!r}; sys.exit(code)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 files match the provenance.\n", "")
