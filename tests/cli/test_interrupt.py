"""Ctrl-C while a job runs that ends with Studio: a true process on a true terminal, asked once more."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli import interrupt
from tests.support.commands import start_command
from tests.support.daemon import environment
from tests.support.fake_backend import ORG, PROJECT, TOKEN
from tests.support.terminal import Screen, on_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend

# The launch's own backend, but for the engine: a real server that the test speaks for.
STAND_IN = f"""
import os, sys
from arkor_dev.cli import main as cli
from arkor_dev.identity import engine, local_backend
from arkor_dev.cli import interrupt, lost_jobs
from arkor_dev.backend.interfaces import Credentials
from arkor_dev.identity.views import FixedIdentity
from arkor_dev.backend.interfaces import Scope

class StandIn(FixedIdentity):
    def __init__(self, settings, on_notice, **_):
        super().__init__(Credentials("anon", {TOKEN!r}, {ORG!r}, os.environ["FAKE_URL"]))
        self.scope = Scope({ORG!r}, {PROJECT!r}, "p")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

local_backend.LocalBackend = StandIn
engine.missing_extra = lambda _: None
interrupt.WINDOW = float(os.environ["WINDOW"])
if patience := os.environ.get("PATIENCE"):
    interrupt.PATIENCE = lost_jobs.PATIENCE = float(patience)
sys.exit(cli.main(sys.argv[1:]))
"""
CTRL_C = "\x03"
TOML = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "data.jsonl"\nsteps = 60\n'
ASKED = "Press Ctrl-C again within 60 s to stop it, or do nothing to continue."
LONG = {"WINDOW": "60", "PATIENCE": "60"}
"""A machine that stands still for some seconds answers, and presses twice, all the same."""


class Launch:
    """How a test starts the command."""

    def __init__(self, home: Path, project: Path, fake: FakeBackend, port: int) -> None:
        self.fake = fake
        self.env = environment(home) | {"FAKE_URL": fake.url} | LONG
        self.studio = ["--local", "--project", str(project), "--port", str(port)]
        self.start = ["start", "--local", "--project", str(project)]

    def job(self, *checkpoints: int, step: int | None = None) -> str:
        """A running job that has come so far."""
        job = self.fake.add_job(name="support-bot")
        self.fake.emit(job, "training.started", metadata={"totalSteps": 60})
        if step is not None:
            self.fake.log(job, step, loss=2.0)
        for saved in checkpoints:
            self.fake.emit(job, "checkpoint.saved", step=saved)
        return job


@pytest.fixture
async def launch(home: Path, tmp_path: Path, fake_backend: FakeBackend, unused_tcp_port: int) -> Launch:
    project = tmp_path / "project"
    project.mkdir()
    (project / "arkor.toml").write_text(TOML)
    (project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    return Launch(home, project, fake_backend, unused_tcp_port)


async def ready(screen: Screen) -> None:
    """Wait for Studio's banner to be whole."""
    await screen.shows("Identity")


async def ended(screen: Screen) -> int:
    """The command's exit code, once it has ended by itself."""
    return await screen.end(20)


def test_the_interrupt_window_is_five_seconds() -> None:
    assert (interrupt.WINDOW, interrupt.PATIENCE) == (5, 2)


async def test_ctrl_c_asks_for_a_second_one(launch: Launch) -> None:
    launch.job(10, 20, step=34)
    launch.fake.add_job("queued", name="later")
    async with on_terminal(STAND_IN, *launch.studio, env=launch.env) as screen:
        await ready(screen)
        screen.press(CTRL_C)
        await screen.shows(ASKED)
        assert (
            "The job support-bot is at step 34/60 and ends with Studio. Its checkpoint of step 20 is kept; "
            "its progress since then is lost.\n"
        ) in screen.text
        assert "later" not in screen.text  # a waiting job runs at the next start
        screen.press(CTRL_C)
        assert await ended(screen) == 0
    assert screen.text.endswith("Studio has stopped.\n")
    assert "Traceback" not in screen.text


async def test_without_a_second_ctrl_c_it_continues(launch: Launch) -> None:
    job = launch.job(step=3)
    env = launch.env | {"WINDOW": "0.3"}
    async with on_terminal(STAND_IN, *launch.studio, env=env) as screen:
        await ready(screen)
        screen.press(CTRL_C)
        await screen.shows("Studio keeps running.")
        assert "It has no checkpoint yet, so all its progress is lost." in screen.text
        assert screen.process.returncode is None
        screen.press(CTRL_C)  # a first one again
        await screen.shows("Studio keeps running.", times=2)
        launch.fake.finish(job)
        before = len(screen.text)
        screen.press(CTRL_C)  # and nothing left to lose: one is enough
        assert await ended(screen) == 0
    assert "ends with Studio" not in screen.text[before:]


async def test_a_hanging_backend_does_not_delay_the_end(launch: Launch) -> None:
    launch.job(step=3)
    env = {name: value for name, value in launch.env.items() if name != "PATIENCE"}  # but for the product's
    async with on_terminal(STAND_IN, *launch.studio, env=env) as screen:
        await ready(screen)
        launch.fake.fault("*", hang=True)
        screen.press(CTRL_C)
        assert await ended(screen) == 0


async def test_yes_skips_the_question_and_names_lost_jobs(launch: Launch) -> None:
    launch.job(20, step=34)
    async with on_terminal(STAND_IN, *launch.studio, "--yes", env=launch.env) as screen:
        await ready(screen)
        screen.press(CTRL_C)
        assert await ended(screen) == 0
    assert "support-bot is at step 34/60 and ends with Studio." in screen.text
    assert "Press Ctrl-C again" not in screen.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_without_a_terminal_it_ends_and_names_lost_jobs(launch: Launch, number: signal.Signals) -> None:
    launch.job(20, step=34)
    process = await start_command(
        STAND_IN, *launch.studio, env=launch.env, module="tests.support.run_code", stdout=None
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"Identity" not in (line := await process.stderr.readline()):
            assert line, "it ended before its banner"
    process.send_signal(number)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert b"support-bot is at step 34/60 and ends with Studio." in said
    assert b"Press Ctrl-C again" not in said


async def test_sigterm_ends_without_a_question(launch: Launch) -> None:
    launch.job(20, step=34)
    async with on_terminal(STAND_IN, *launch.studio, env=launch.env) as screen:
        await ready(screen)
        screen.process.terminate()
        assert await ended(screen) == 0
    assert "ends with Studio" in screen.text
    assert "Press Ctrl-C again" not in screen.text


async def test_closing_the_terminal_ends_it(launch: Launch) -> None:
    launch.job(20, step=34)
    async with on_terminal(STAND_IN, *launch.studio, env=launch.env) as screen:
        await ready(screen)
        screen.close()
        assert await ended(screen) == 0


async def test_two_hangups_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells the leader of the session, and then every process in the foreground: no impatience."""
    exits: list[int] = []
    handled = asyncio.Event()
    monkeypatch.setattr(os, "_exit", exits.append)

    async def lost() -> list[str]:
        return []

    messages = interrupt.InterruptMessages("", "", "")
    ending = interrupt.InterruptHandler(messages, lost, lambda _: None, ask=False)
    ending.watch([signal.SIGHUP, signal.SIGTERM])
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, handled.set)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        assert await ending.wait() == signal.SIGHUP
        for number, codes in ((signal.SIGHUP, []), (signal.SIGTERM, [130])):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGUSR1)  # signals are handled in their order
            await handled.wait()
            handled.clear()
            assert exits == codes
    finally:
        ending.close()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)


async def test_an_error_in_the_question_does_not_prevent_the_end(launch: Launch) -> None:
    broken = STAND_IN.replace(
        "sys.exit(", "from arkor_dev.cli import lost_jobs\nlost_jobs._progress = None\nsys.exit("
    )
    launch.job(20, step=34)
    async with on_terminal(broken, *launch.studio, env=launch.env) as screen:
        await ready(screen)
        screen.press(CTRL_C)
        assert await ended(screen) == 0


async def test_a_remote_backend_loses_no_job(
    home: Path, tmp_path: Path, signed_in: None, fake_backend: FakeBackend, unused_tcp_port: int
) -> None:
    fake_backend.add_job(name="elsewhere")
    arguments = ["--project", str(tmp_path / "project"), "--port", str(unused_tcp_port)]
    env = environment(home) | {"ARKOR_CLOUD_API_URL": fake_backend.url}
    code = "import sys\nfrom arkor_dev.cli import main\nsys.exit(main.main(sys.argv[1:]))"
    async with on_terminal(code, *arguments, env=env) as screen:
        await ready(screen)
        screen.press(CTRL_C)
        assert await ended(screen) == 0
    assert "elsewhere" not in screen.text


async def test_repeated_ctrl_c_ends_at_once(launch: Launch) -> None:
    launch.job(step=3)
    slow = STAND_IN.replace("        pass\n", "        import asyncio; await asyncio.sleep(60)\n")
    async with on_terminal(slow, *launch.studio, env=launch.env) as screen:
        await ready(screen)
        screen.press(CTRL_C)
        await screen.shows(ASKED)
        before = screen.text
        screen.press(CTRL_C)
        await screen.shows("Stopping")
        screen.press(CTRL_C)
        assert await ended(screen) == 130
    said = screen.text.removeprefix(before).replace("^C", "").splitlines()
    assert [line for line in said if line] == ["Stopping Studio.", "Studio was stopped immediately."]


async def test_start_asks_when_its_job_would_be_lost(launch: Launch) -> None:
    fake = launch.fake
    async with on_terminal(STAND_IN, *launch.start, env=launch.env | {"WINDOW": "0.3"}) as screen:
        await screen.shows("Started job")
        (job,) = fake.jobs
        fake.log(job, 7, loss=2.0)
        await screen.shows("step 7/60")
        screen.press(CTRL_C)
        await screen.shows("The job keeps running.")
        assert f"The job {job} is at step 7/60 and ends with this command." in screen.text
        assert "It has no checkpoint yet, so all its progress is lost." in screen.text
        fake.finish(job)
        assert await ended(screen) == 0
    assert f"Job {job} finished with status=completed\n" in screen.text
    assert (
        screen.text.splitlines()[-1]
        == "Next: open Studio (arkor-dev --local) and talk to the result in the Playground."
    )
    async with on_terminal(STAND_IN, *launch.start, env=launch.env) as screen:
        await screen.shows("Started job")
        screen.press(CTRL_C)
        await screen.shows(ASKED)
        screen.press(CTRL_C)
        assert await ended(screen) == 130
    assert "finished with status=cancelled" in screen.text
    assert "Traceback" not in screen.text


async def test_a_backend_that_resumes_asks_nothing(launch: Launch) -> None:
    launch.fake.features = ["pause", "resume"]
    launch.job(20, step=34)
    async with on_terminal(STAND_IN, *launch.studio, env=launch.env) as screen:
        await ready(screen)
        screen.press(CTRL_C)
        assert await ended(screen) == 0
    assert "lost" not in screen.text
    launch.fake.jobs.clear()
    async with on_terminal(STAND_IN, *launch.start, env=launch.env) as screen:
        await screen.shows("Started job")
        (job,) = launch.fake.jobs
        screen.press(CTRL_C)
        assert await ended(screen) == 130
    said = " ".join(screen.text.split())
    assert f"Job {job} is paused: its backend was started for this command and ends with it." in said
    assert "resumes by itself when `arkor-dev --local` runs next" in said
    assert launch.fake.count("POST /v1/jobs/{id}/cancel") == 0
