"""``arkor-dev start`` in a TypeScript project: the project's own command, built anew, in this terminal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli import main as cli
from arkor_dev.project.project_turn import ProjectTurn
from tests.project.test_project_turn import is_waited_for
from tests.support.commands import start_command
from tests.support.typescript_projects import trainer
from tests.support.waiting import until

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.commands import Process
    from tests.support.fake_backend import FakeBackend
    from tests.support.typescript_projects import TypeScriptProject


@pytest.fixture(autouse=True)
def _signed_in(settings: Settings, typescript_project: TypeScriptProject, fake_backend: FakeBackend) -> None:
    fake_backend.sign_in(settings.arkor_home, typescript_project.path)


async def spawn(fake: FakeBackend, project: TypeScriptProject, *arguments: str) -> Process:
    env = {**os.environ, "ARKOR_CLOUD_API_URL": fake.url}
    return await start_command("start", "--project", str(project.path), *arguments, env=env)


async def start(fake: FakeBackend, project: TypeScriptProject, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    process = await spawn(fake, project, *arguments)
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_typescript_project_is_built_and_run(
    typescript_project: TypeScriptProject, fake_backend: FakeBackend
) -> None:
    """And its exit code is that command's."""
    typescript_project.write(trainer("one"))
    code, out, err = await start(fake_backend, typescript_project)
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == ["Started job job-one", "Job job-one finished with status=completed"]
    source = trainer("two").replace(": unknown", ": any")
    typescript_project.write(f"{source}\ntrainer.wait = async () => process.exit(7);")
    code, out, err = await start(fake_backend, typescript_project)
    assert (code, err) == (7, "")
    assert out.splitlines()[-1] == "Started job job-two"
    assert typescript_project.calls() == ["build", "start"] * 2


async def test_an_entry_file_is_built_and_run(
    typescript_project: TypeScriptProject, fake_backend: FakeBackend
) -> None:
    typescript_project.write(trainer("one"))
    typescript_project.write(trainer("two"), "src/arkor/two.ts")
    typescript_project.write('[[trainer]]\nname = "three"\n', "arkor.toml")
    code, out, err = await start(fake_backend, typescript_project, "src/arkor/two.ts")
    assert (code, err) == (0, "")
    assert "Started job job-two\n" in out
    assert typescript_project.calls() == ["build ./src/arkor/two.ts", "start ./src/arkor/two.ts"]
    code, out, err = await start(fake_backend, typescript_project, "three")
    assert (code, out) == (2, "")
    assert "model" in err, "it names the trainer, which lacks one"


async def test_unsupported_options_are_refused(
    typescript_project: TypeScriptProject,
    fake_backend: FakeBackend,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", fake_backend.url)

    async def refused(*arguments: str) -> str:
        given = ["start", "--project", str(typescript_project.path), *arguments]
        assert await asyncio.to_thread(cli.main, given) == 2
        out, err = capsys.readouterr()
        assert out == ""
        return err

    typescript_project.write(trainer("one"))
    assert "trains on the managed backend only" in await refused("--local")
    assert "dryRun: true" in await refused("--dry-run")
    assert "settings in its own code" in await refused("--set", "steps=3")
    said = await refused("--trainer", "another")
    assert 'The trainer is called "one" in the project now, not "another"' in said
    typescript_project.write("const x y = 1;")
    assert await refused() == (
        'arkor-dev: `arkor build` failed (exit code 1).\nsrc/arkor/index.ts:1:8: Expected ";" but found "y"\n'
    )
    assert "start" not in typescript_project.calls()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signals_are_forwarded_to_the_command(
    typescript_project: TypeScriptProject, fake_backend: FakeBackend, number: signal.Signals, code: int
) -> None:
    source = trainer("one").replace(": unknown", ": any")
    typescript_project.write(f"{source}\ntrainer.wait = () => new Promise((end) => setTimeout(end, 6e4));")
    process = await spawn(fake_backend, typescript_project)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"Started job" not in (line := await process.stdout.readline()):
            assert line, "it ended before its job"
        process.send_signal(number)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (code, b"", b"")


async def test_start_waits_for_a_concurrent_build(
    typescript_project: TypeScriptProject, fake_backend: FakeBackend
) -> None:
    """A Studio that builds the same project at the moment."""
    typescript_project.write(trainer("one"))
    give_back = await ProjectTurn(typescript_project.path).take()
    process = await spawn(fake_backend, typescript_project)
    await until(lambda: is_waited_for(typescript_project.path), 60)
    assert typescript_project.calls() == []
    give_back()
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert b"Started job job-one" in out


async def test_an_expired_login_is_renewed_first(
    settings: Settings, typescript_project: TypeScriptProject, fake_backend: FakeBackend
) -> None:
    typescript_project.write(trainer("one"))
    fake_backend.refresh_tokens.add("old-refresh-token")
    account = {
        "mode": "oauth", "accessToken": "expired-token-0123456789-OLD", "refreshToken": "old-refresh-token",
        "expiresAt": int(time.time()) - 60, "auth0Domain": f"127.0.0.1:{fake_backend.port}",
        "audience": "a", "clientId": "cli",
    }  # fmt: skip
    (settings.arkor_home / "credentials.json").write_text(json.dumps(account))
    code, out, err = await start(fake_backend, typescript_project)
    assert (code, err) == (0, "")
    assert "token ends in" in out
    assert "-OLD" not in out
