"""``/api/train``: start, watch, leave, come back, stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.interfaces import Credentials
from arkor_dev.contract.shapes import STUDIO_TOKEN_HEADER
from arkor_dev.identity.views import FixedIdentity
from arkor_dev.server.app_keys import BACKEND, RUNS
from tests.project.test_training_command import TOML
from tests.support.daemon import running_daemon
from tests.support.own_time import OwnTime
from tests.support.processes import training_command

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


pytestmark = pytest.mark.usefixtures("node_on_path")


def arkor(studio: Studio, command: str) -> Path:
    """The project's training command: a line of shell."""
    program = f"import os; os.execv('/bin/sh', ['/bin/sh', '-c', {command!r}, *__import__('sys').argv])"
    return training_command(studio.settings.project, program)


async def train(studio: Studio, **body: object) -> tuple[str, bytes]:
    """``POST /api/train`` to the end: the run's id and all that it printed."""
    async with studio.session.post("/api/train", json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        return answer.headers["X-Arkor-Run"], await answer.read()


async def runs(studio: Studio) -> list[dict[str, Any]]:
    """``GET /api/train``."""
    async with studio.session.get("/api/train") as answer:
        return list((await answer.json())["runs"])


async def until_ended(studio: Studio, run_id: str) -> dict[str, Any]:
    """The run's view once it has ended."""
    async with asyncio.timeout(60):
        await studio.app[RUNS].get(run_id).finished.wait()
    return next(run for run in await runs(studio) if run["id"] == run_id)


async def test_the_stream_has_the_output_bytes_and_exit_code(studio: Studio) -> None:
    arkor(studio, r"printf 'out\r\n\000\377'; printf err >&2; printf ' \342\202'; exit 3")
    run_id, printed = await train(studio)
    assert printed == b"out\r\n\x00\xfferr \xe2\x82\n---\nexit=3\n"
    (run,) = await runs(studio)
    assert (run["id"], run["state"], run["exitCode"]) == (run_id, "ended", 3)


async def test_output_is_streamed_unbuffered(studio: Studio, tmp_path: Path) -> None:
    go = tmp_path / "go"
    arkor(studio, f"printf 'no newline'; until [ -e {shlex.quote(str(go))} ]; do sleep 0.02; done; echo .")
    async with studio.session.post("/api/train") as answer, asyncio.timeout(60):
        assert await answer.content.readexactly(10) == b"no newline"
        go.touch()
        assert await answer.content.read() == b".\n\n---\nexit=0\n"


async def test_the_command_runs_in_the_project_folder(studio: Studio) -> None:
    command = arkor(studio, 'pwd; echo "$*"')
    (studio.settings.project / "--help.ts").touch()
    _, printed = await train(studio, file="--help.ts")
    assert printed.decode() == f"{studio.settings.project}\nstart ./--help.ts\n\n---\nexit=0\n"
    assert (await runs(studio))[0]["command"] == [str(command), "start", "./--help.ts"]


async def test_a_command_that_cannot_start_says_why(studio: Studio) -> None:
    command = arkor(studio, "true")
    built = command.read_text().replace(
        "    raise SystemExit", "    open(sys.argv[0], 'w').write('#!/nowhere\\n'); raise SystemExit"
    )
    command.write_text(built)
    _, printed = await train(studio)
    assert printed == f"\n---\nfailed to start: No such file or directory: {command}\n".encode()
    async with studio.session.post("/api/train") as answer:
        assert answer.status == 400
        assert f"{command} cannot be started" in (await answer.json())["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "The request's body must be a JSON object, not []."),
        (b"[" * 100_000, "nested more than 100 deep"),
        (b'{"file": 1}', "file must be text that is not blank, not 1."),
        (b'{"file": ""}', 'file must be text that is not blank, not "".'),
        (b'{"trainer": ["x"]}', 'trainer must be text that is not blank, not ["x"].'),
        (b'{"revision": 7}', "revision must be text that is not blank, not 7."),
        (b'{"dryRun": "yes"}', 'dryRun must be true or false, not "yes".'),
        (b'{"settings": [1]}', "settings must be a JSON object, not [1]."),
        (b'{"settings": {"loraR": 0}}', "settings.loraR must be a whole number from 1 to 1,024, not 0."),
        (b'{"settings": {"rank": 1}}', 'settings."rank" is not a trainer setting.'),
        (b'{"settings": {"loraR": 1}}', "Only settings of arkor.toml can be changed for a run."),
        (b'{"like": "job_1"}', "Only settings of arkor.toml can be changed for a run."),
        (b'{"like": 5}', "like must be a job's id"),
        (b'{"parent": {"step": 5}}', "parent.jobId is missing"),
        (b'{"parent": {"jobId": "a\\nb", "step": 5}}', "parent.jobId must be a job's id"),
        (b'{"parent": {"jobId": "a", "step": 0}}', "parent.step must be a whole number"),
        (b'{"file": "missing.ts"}', "There is no 'missing.ts' in this project."),
        (b'{"file": "link.ts"}', "'link.ts' is not a file inside this project."),
        (b'{"file": "/etc/hostname"}', "'/etc/hostname' is not a file inside this project."),
        (b'{"file": "x\\u0000"}', "There is no 'x\\x00' in this project."),
        (b'{"file": "\\ud800"}', "contains a lone surrogate"),
    ],
)
async def test_an_invalid_body_starts_nothing(body: bytes, said: str, studio: Studio) -> None:
    arkor(studio, "true")
    (studio.settings.project / "link.ts").symlink_to("/etc/hostname")
    async with studio.session.post("/api/train", data=body) as answer:
        assert answer.status == 400
        assert said in (await answer.json())["error"]
    assert await runs(studio) == []


async def test_a_run_waits_until_the_backend_serves(studio: Studio) -> None:
    """A command that comes before it finds none, and would start another beside it."""
    (studio.settings.project / "arkor.toml").write_text(TOML)
    backend = studio.app[BACKEND]
    serves = asyncio.get_running_loop().create_future()
    backend.identity, backend.ends_with_launch = FixedIdentity(serves), True
    pressed = asyncio.create_task(studio.session.post("/api/train").__aenter__())
    await asyncio.sleep(0.1)
    assert await runs(studio) == []
    serves.set_result(Credentials("anon", "t", None, "http://127.0.0.1:9"))
    answer = await pressed
    assert [run["id"] for run in await runs(studio)] == [answer.headers["X-Arkor-Run"]]
    answer.close()


async def test_a_run_may_change_settings(studio: Studio, fake_backend: FakeBackend) -> None:
    toml = studio.settings.project / "arkor.toml"
    toml.write_text(TOML + "steps = 4\nseed = 7\n")
    settings = {"model": "a 'b' \"c\" $(d) \\", "maxSteps": 9, "learningRate": 2e-5, "seed": None}
    pressed = asyncio.create_task(train(studio, settings=settings))
    await fake_backend.until(lambda: bool(fake_backend.jobs), 60)
    ((job, view),) = fake_backend.jobs.items()
    fake_backend.finish(job)
    await pressed
    assert view["config"] == {
        "model": settings["model"],
        "datasetSource": {"type": "huggingface", "name": "a/b"},
        "maxSteps": 9,
        "learningRate": 2e-5,
        "setByHand": ["model", "maxSteps", "learningRate", "seed"],
    }
    assert toml.read_text() == TOML + "steps = 4\nseed = 7\n"
    assert [run["jobId"] for run in await runs(studio)] == [job]


async def test_a_run_with_an_outdated_revision_is_refused(studio: Studio) -> None:
    toml = studio.settings.project / "arkor.toml"
    toml.write_text(TOML)
    async with studio.session.get("/api/manifest") as answer:
        shown = (await answer.json())["revision"]
    toml.write_text(TOML.replace('"m"', '"larger"'))
    async with studio.session.post("/api/train", json={"revision": shown}) as answer:
        assert answer.status == 409
        assert "has changed since it was shown" in (await answer.json())["error"]
    assert await runs(studio) == []
    async with studio.session.get("/api/manifest") as answer:
        now = (await answer.json())["revision"]
    assert now != shown
    async with studio.session.post("/api/train", json={"revision": now}) as answer:
        assert answer.status == 200
        assert [run["id"] for run in await runs(studio)] == [answer.headers["X-Arkor-Run"]]


async def test_null_fields_count_as_unset(studio: Studio) -> None:
    arkor(studio, "echo ran")
    assert (await train(studio, file=None, trainer=None, dryRun=None))[1].startswith(b"ran")


async def test_a_missing_command_says_how_to_install_it(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    async with studio.session.post("/api/train") as answer:
        assert answer.status == 400
        assert "arkor-dev init" in (await answer.json())["error"]


async def test_a_run_continues_without_its_tab(studio: Studio, tmp_path: Path) -> None:
    go = tmp_path / "go"
    arkor(studio, f"echo one; until [ -e {shlex.quote(str(go))} ]; do sleep 0.02; done; echo two")
    async with studio.session.post("/api/train") as answer:
        run_id = answer.headers["X-Arkor-Run"]
        assert await answer.content.readexactly(4) == b"one\n"
        answer.close()
    await asyncio.sleep(0.1)
    assert [(run["id"], run["state"]) for run in await runs(studio)] == [(run_id, "running")]
    async with studio.session.get(f"/api/train/{run_id}/output") as again, asyncio.timeout(60):
        assert again.headers["X-Arkor-Run"] == run_id
        assert await again.content.readexactly(4) == b"one\n"  # from the start
        go.touch()
        assert await again.content.read() == b"two\n\n---\nexit=0\n"  # and on to the end
    async with studio.session.get(f"/api/train/{run_id}/output") as after:
        assert await after.read() == b"one\ntwo\n\n---\nexit=0\n"


async def test_a_disconnected_start_request_still_starts_a_run(studio: Studio, tmp_path: Path) -> None:
    arkor(studio, f"sleep 0.2; touch {shlex.quote(str(tmp_path / 'ran'))}")
    _, writer = await asyncio.open_connection("127.0.0.1", studio.port)
    head = f"POST /api/train HTTP/1.1\r\nHost: localhost\r\n{STUDIO_TOKEN_HEADER}: {studio.token}\r\n"
    writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
    await writer.drain()
    while not (started := await runs(studio)):  # noqa: ASYNC110 (another process decides)
        await asyncio.sleep(0.01)
    writer.close()
    assert (await until_ended(studio, started[0]["id"]))["exitCode"] == 0
    assert (tmp_path / "ran").exists()


async def test_a_second_start_is_refused_while_running(studio: Studio) -> None:
    # A shell that becomes its last command would lose a signal on the way there.
    arkor(studio, "echo ready; while :; do sleep 0.02; done")
    async with studio.session.post("/api/train") as first:
        await first.content.readuntil(b"ready\n")
        async with studio.session.post("/api/train") as second:
            assert second.status == 409
            body = await second.json()
        assert body["run"] == first.headers["X-Arkor-Run"]
        assert "already running" in body["error"]
        async with studio.session.post(f"/api/train/{body['run']}/stop") as stopped:
            assert (await stopped.json())["run"]["state"] == "stopping"
        assert (await first.read()).endswith(b"\n---\nexit=130\n")
    arkor(studio, "true")
    assert (await train(studio))[1] == b"\n---\nexit=0\n"


async def test_stopping_an_ended_run_has_no_effect(studio: Studio) -> None:
    arkor(studio, "exit 2")
    run_id, _ = await train(studio)
    async with studio.session.post(f"/api/train/{run_id}/stop") as answer:
        run = (await answer.json())["run"]
    assert (run["state"], run["exitCode"]) == ("ended", 2)


@pytest.mark.parametrize(("method", "path"), [("GET", "output"), ("POST", "stop")])
async def test_an_unknown_run_is_404(method: str, path: str, studio: Studio) -> None:
    async with studio.session.request(method, f"/api/train/nothing/{path}") as answer:
        assert answer.status == 404
        assert await answer.json() == {"error": "This launch of Studio has no such run."}


async def test_a_new_job_refreshes_the_job_list(
    studio: Studio, fake_backend: FakeBackend, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    arkor(studio, f"until [ -e {go} ]; do sleep 0.02; done; echo Started job job-9; sleep 60")
    async with studio.session.post("/api/train") as answer, asyncio.timeout(60):
        async with studio.session.get("/api/jobs") as jobs:
            assert (await jobs.json())["jobs"] == []
        fake_backend.add_job(id="job-9")
        go.touch()
        await answer.content.readuntil(b"job-9\n")
        async with studio.session.get("/api/jobs") as jobs:
            assert [job["id"] for job in (await jobs.json())["jobs"]] == ["job-9"]
    assert (await runs(studio))[0]["jobId"] == "job-9"


async def test_a_reader_is_told_about_dropped_output(studio: Studio) -> None:
    arkor(studio, "printf x; sleep 60")
    async with studio.session.post("/api/train") as answer:
        run = studio.app[RUNS].get(answer.headers["X-Arkor-Run"])
        await answer.content.readexactly(1)
        log = run.output
        log._file_limit = 10
        log.append(b"a" * (1 << 20))
        log.append(b"b" * (1 << 20))  # more at once than is kept: the reader that waits has missed the most
        told = (
            b"\n[2,097,142 bytes were dropped: Studio keeps the newest 64 MiB of a run, "
            b"and 256 MiB of all runs together]\nbbbbbbbbbb"
        )
        assert await answer.content.readexactly(len(told)) == told
    async with studio.session.get(f"/api/train/{run.id}/output") as answer:
        told = told.replace(b"142", b"143")
        assert await answer.content.readexactly(len(told)) == told
    log.close()
    async with studio.session.get(f"/api/train/{run.id}/output") as answer:
        assert (await answer.read()).startswith(b"\n[2,097,153 bytes were dropped")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_stalled_reader_uses_no_memory_and_delays_nobody(
    home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int
) -> None:
    """160 MiB of output to one who never reads: RSS grows by less than 20 MiB, others wait for nothing."""
    program = "import os\npiece = b'x' * 65536\nfor _ in range(2560): os.write(1, piece)"
    training_command(tmp_path / "project", program)
    arguments = ("--project", str(tmp_path / "project"))
    async with running_daemon(home, unused_tcp_port, *arguments) as daemon:
        status = Path(f"/proc/{daemon.process.pid}/status")

        def rss() -> int:
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            return int(line.split()[1]) // 1024

        await daemon.api("GET", "/api/train")
        before = highest = rss()
        _, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        head = f"POST /api/train HTTP/1.1\r\nHost: localhost\r\n{STUDIO_TOKEN_HEADER}: {daemon.token}\r\n"
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        waits: list[float] = []
        async with asyncio.timeout(90):
            while True:
                own = OwnTime(daemon.process.pid)
                runs = (await daemon.api("GET", "/api/train"))["runs"]
                waits.append(own.seconds)
                highest = max(highest, rss())
                if runs and runs[0]["state"] == "ended":
                    break
                await asyncio.sleep(0.005)
        assert runs[0]["exitCode"] == 0
        assert highest - before < 20, f"RSS went from {before} to {highest} MiB"
        assert sorted(waits)[len(waits) // 2] < 0.1, json.dumps(waits)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
