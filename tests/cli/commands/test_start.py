"""``arkor-dev start`` against a real server: what it sends, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from rich.console import Console

from arkor_dev.backend.http_client import open_http_client
from arkor_dev.backend.unix_address import address_of
from arkor_dev.cli import main as cli
from arkor_dev.cli.commands.start import run_start
from arkor_dev.connection import connect
from arkor_dev.connection.connect import _running_backend
from arkor_dev.contract.errors import ArkorError, BadRequestError, status_of
from arkor_dev.jobs import follow
from arkor_dev.notices.consent import agree, pending
from arkor_dev.project.arkor_toml import revision
from arkor_dev.project.trust import trust
from tests.support.commands import start_command
from tests.support.fake_backend import ORG, PROJECT, TOKEN
from tests.support.fake_forecasts import FIGURES
from tests.support.processes import script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from arkor_dev.core.settings import Settings
    from tests.support.commands import Process
    from tests.support.fake_backend import FakeBackend

COMPUTE = '[compute]\ncluster = "ray://head:10001"\nstorage = "/mnt/jobs"\n'
STREAM = "GET /v1/jobs/{id}/events/stream"
TOML = """
[[trainer]]
name = "first"
model = "m"
dataset = { huggingface = "owner/rows" }
steps = 3
lora.r = 4

[[trainer]]
name = "second"
model = "m"
dataset = "data.jsonl"
"""


@pytest.fixture(autouse=True)
def _project(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "BACKOFF", (0.01, 0.05))
    # Nothing here waits in a queue: a stream that is silent for a moment is no reason to ask for its place.
    monkeypatch.setattr(follow, "QUEUE_SECONDS", (60.0, 60.0))
    (settings.project / "arkor.toml").write_text(TOML)
    (settings.project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')


class Started:
    """A run under way in this process."""

    def __init__(
        self,
        settings: Settings,
        trainer: str | None = None,
        *,
        file: str | None = None,
        dry_run: bool = False,
        changes: dict[str, object] | None = None,
        revision: str | None = None,
        like: str | None = None,
        parent: str | None = None,
        data: Sequence[str] = (),
        seeds: int = 1,
        then: Sequence[str] = (),
    ) -> None:
        self.out = io.StringIO()
        console = Console(file=self.out, width=40)
        self.task = asyncio.create_task(
            run_start(
                settings,
                seeds=seeds,
                then=then,
                file=file,
                trainer=trainer,
                dry_run=dry_run,
                changes=changes,
                revision=revision,
                console=console,
                like=like,
                parent=parent,
                data=data,
            )
        )

    async def job(self, fake: FakeBackend) -> str:
        """The id of the job, once somebody follows it."""
        await fake.until(lambda: self.task.done() or fake.active[STREAM] > 0, 60)
        return next(reversed(fake.jobs))

    async def end(self) -> tuple[int, list[str]]:
        """The exit code and the printed lines."""
        async with asyncio.timeout(60):
            return await self.task, self.out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("status", "code", "last"),
    [("completed", 0, "completed"), ("failed", 1, "failed: it broke"), ("cancelled", 3, "cancelled")],
)
async def test_start_follows_a_job_to_its_end(
    settings: Settings, fake_backend: FakeBackend, status: str, code: int, last: str
) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.emit(job, "training.started")
    fake_backend.log(job, 1, loss=2.5, learningRate=2e-3)
    fake_backend.finish(job, status)
    assert await started.end() == (
        code,
        [
            f"Started job {job}",
            "training: 3 steps",
            "step 1/3  loss 2.500  lr 2.0e-03",
            last,
            f"Job {job} finished with status={status}",
        ],
    )
    assert fake_backend.last("POST /v1/jobs").json() == {
        "name": "first",
        "config": {
            "model": "m",
            "datasetSource": {"type": "huggingface", "name": "owner/rows"},
            "maxSteps": 3,
            "loraR": 4,
        },
    }


@pytest.mark.parametrize(
    ("option", "insecure", "wanted"),
    [
        (None, False, {"cluster": "ray://head:10001", "storage": "/mnt/jobs"}),
        ("10.0.0.5:6379", False, {"cluster": "10.0.0.5:6379", "storage": "/mnt/jobs"}),
        ("here", True, {}),
        (None, True, {"cluster": "ray://head:10001", "insecureCluster": True, "storage": "/mnt/jobs"}),
    ],
)
async def test_a_job_is_created_with_its_cluster(
    settings: Settings,
    fake_backend: FakeBackend,
    option: str | None,
    insecure: bool,
    wanted: dict[str, object],
) -> None:
    fake_backend.features = ["placement"]
    (settings.project / "arkor.toml").write_text(f"{COMPUTE}{TOML}")
    if option is None:
        trust(settings, "ray://head:10001")
    started = Started(replace(settings, cluster=option, insecure_cluster=insecure))
    fake_backend.finish(await started.job(fake_backend))
    code, lines = await started.end()
    assert code == 0
    config = fake_backend.last("POST /v1/jobs").json()["config"]
    names = ("cluster", "insecureCluster", "storage")
    assert {name: config[name] for name in names if name in config} == wanted
    assert any("--insecure-cluster" in line for line in lines) == ("insecureCluster" in wanted)


async def test_the_projects_cluster_needs_consent_once(
    settings: Settings, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_backend.features = ["placement"]
    (settings.project / "arkor.toml").write_text(f"{COMPUTE}{TOML}")
    with pytest.raises(BadRequestError, match=r"Nobody has agreed.* --on ray://head:10001, once.* --on here"):
        await Started(settings).end()
    monkeypatch.setattr("arkor_dev.cli.consent.can_ask", lambda: True)
    answer = Mock(return_value="n")
    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(BadRequestError, match="ray://head:10001 was not contacted"):
        await Started(settings).end()
    assert not fake_backend.jobs

    answer.return_value = "y"
    for _ in range(2):
        started = Started(settings)
        fake_backend.finish(await started.job(fake_backend))
        assert (await started.end())[0] == 0
    assert answer.call_count == 2, "one for each answer, and none for the second job"
    assert "names ray://head:10001 in arkor.toml" in answer.call_args.args[0]


async def test_a_cluster_needs_the_feature(settings: Settings, fake_backend: FakeBackend) -> None:
    with pytest.raises(ArkorError, match=r"can't run jobs on the cluster 10\.0\.0\.5:6379"):
        await Started(replace(settings, cluster="10.0.0.5:6379")).end()
    assert not fake_backend.jobs


async def test_changed_settings_override_the_file_and_are_named(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    started = Started(settings, changes={"loraR": 16, "numTrainEpochs": 2})
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    assert (await started.end())[0] == 0
    assert fake_backend.last("POST /v1/jobs").json()["config"] == {
        "model": "m",
        "datasetSource": {"type": "huggingface", "name": "owner/rows"},
        "numTrainEpochs": 2,
        "loraR": 16,
        "setByHand": ["maxSteps", "numTrainEpochs", "loraR"],
    }


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        ("eval_split = 0.2\nsplit_seed = 7", {"datasetSplit": {"enabled": True, "testSize": 0.2, "seed": 7}}),
        ("eval_split = 0", {"datasetSplit": {"enabled": False}}),
        ("eval_every = 0", {"datasetSplit": {"enabled": False}, "evalSteps": None}),
    ],
)
async def test_held_out_rows_are_sent_in_the_managed_form(
    settings: Settings, fake_backend: FakeBackend, lines: str, sent: dict[str, object]
) -> None:
    (settings.project / "arkor.toml").write_text(TOML.replace("steps = 3", f"steps = 3\n{lines}", 1))
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    assert (await started.end())[0] == 0
    config = fake_backend.last("POST /v1/jobs").json()["config"]
    assert {field: config.get(field) for field in sent} == sent
    again = Started(settings, like=job)
    fake_backend.finish(await again.job(fake_backend))
    assert (await again.end())[0] == 0
    repeated = fake_backend.last("POST /v1/jobs").json()["config"]
    assert {**repeated, "setByHand": []} == {**config, "setByHand": []}


async def test_conflicting_settings_start_nothing(settings: Settings, fake_backend: FakeBackend) -> None:
    with pytest.raises(ArkorError, match="applies only when scheduler is"):
        await run_start(settings, changes={"lrPower": 2})
    assert fake_backend.jobs == {}


async def test_another_trainer_can_be_started_as_a_dry_run(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    started = Started(settings, "second", dry_run=True)
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    assert (await started.end())[0] == 0
    body = fake_backend.last("POST /v1/jobs").json()
    assert body["name"] == "second"
    assert body["config"]["dryRun"] is True
    assert body["config"]["datasetSource"] == {"type": "file", "path": "data.jsonl"}


async def test_lines_are_printed_as_events_arrive(settings: Settings, fake_backend: FakeBackend) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.emit(job, "training.started")
    for step in (1, 2, 3):
        fake_backend.log(job, step, loss=1.0)
        await fake_backend.until(lambda step=step: f"step {step}/3" in started.out.getvalue())  # type: ignore[misc]
    fake_backend.finish(job)
    await started.end()


async def test_start_survives_a_restart_of_the_backend(settings: Settings, fake_backend: FakeBackend) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.emit(job, "training.started")
    fake_backend.log(job, 1, loss=1.0)
    await fake_backend.until(lambda: "step 1/3" in started.out.getvalue())
    await fake_backend.stop()
    await fake_backend.until(lambda: "connection lost" in started.out.getvalue())
    fake_backend.log(job, 2, loss=1.0)
    fake_backend.finish(job)
    await fake_backend.start()
    code, lines = await started.end()
    assert code == 0
    # First the cut is a reason, then perhaps that nobody answers.
    assert list(dict.fromkeys(line.split(",")[0].split("  ")[0] for line in lines)) == [
        f"Started job {job}",
        "training: 3 steps",
        "step 1/3",
        "connection lost",
        "reconnected",
        "step 2/3",
        "completed",
        f"Job {job} finished with status=completed",
    ]


async def test_a_job_record_behind_its_stream_is_awaited(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.fault("GET /v1/jobs/{id}", times=2, status=200, body=b'{"job": {"status": "running"}}')
    fake_backend.finish(job)
    code, lines = await started.end()
    assert (code, lines[-1]) == (0, f"Job {job} finished with status=completed")
    assert fake_backend.count("GET /v1/jobs/{id}") == 3


async def test_a_missing_record_at_the_end_is_tolerated(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.fault("GET /v1/jobs/{id}", status=500)
    fake_backend.finish(job, "failed")
    code, lines = await started.end()
    assert (code, lines[-1]) == (1, f"Job {job} finished with status=failed")


async def test_a_failure_reason_is_read_from_the_record(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.jobs[job].update(status="failed", error="the machine\x1b[31m went away")
    fake_backend.emit(job, "training.message", message="hm")
    code, lines = await started.end()
    assert code == 1
    assert lines[-2:] == ["failed: the machine went away", f"Job {job} finished with status=failed"]


async def test_a_stream_that_is_not_yet_there_is_retried(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    """A new job is visible a moment later on the other machines of a backend."""
    fake_backend.fault(STREAM, times=3, status=404, body=b'{"error": "No such job."}')
    started = Started(settings)
    await fake_backend.until(lambda: fake_backend.count(STREAM) == 4)
    job = next(reversed(fake_backend.jobs))
    fake_backend.begin(job)
    fake_backend.finish(job)
    code, lines = await started.end()
    assert (code, lines[-1]) == (0, f"Job {job} finished with status=completed")


async def test_a_deleted_job_ends_the_command(settings: Settings, fake_backend: FakeBackend) -> None:
    """Cancelled, then deleted, before the command has heard of either."""
    started = Started(settings)
    job = await started.job(fake_backend)
    del fake_backend.jobs[job]
    fake_backend.cut()
    code, lines = await started.end()
    assert (code, lines[-1]) == (3, f"Job {job} was deleted.")


async def test_a_job_that_becomes_forbidden_ends_the_command(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.fault(STREAM, status=403, body=b'{"error": "Not \\u001b[2Jyours."}')
    fake_backend.cut()
    code, lines = await started.end()
    assert code == 1
    assert lines[-1] == "The job can no longer be followed: Not yours."
    assert lines[0] == f"Started job {job}"


async def test_an_unreachable_backend_is_an_error(settings: Settings, fake_backend: FakeBackend) -> None:
    await fake_backend.stop()
    started = Started(settings)
    with pytest.raises(ArkorError) as caught:
        await started.end()
    assert status_of(caught.value) >= 500
    assert started.out.getvalue() == ""


async def test_a_backend_without_file_datasets_is_named(
    settings: Settings, fake_backend: FakeBackend
) -> None:
    fake_backend.fault("POST /v1/jobs", status=400, body=b'{"error": "datasetSource.type is invalid"}')
    with pytest.raises(ArkorError, match=r"datasetSource.type is invalid \(This trainer's dataset is a file"):
        await Started(settings, "second").end()
    with pytest.raises(ArkorError, match=r"datasetSource.type is invalid$"):
        await Started(settings, "first").end()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"job": 3}',
        b'{"job": {"id": 3}}',
        b'{"job": {"id": ""}}',
        b'{"job": {"id": "a\\nStarted b"}}',
    ],
)
async def test_a_created_job_without_an_id_is_an_error(
    settings: Settings, fake_backend: FakeBackend, body: bytes
) -> None:
    fake_backend.fault("POST /v1/jobs", status=201, body=body)
    started = Started(settings)
    with pytest.raises(ArkorError, match="did not say which"):
        await started.end()
    assert started.out.getvalue() == ""


async def test_a_changed_arkor_toml_is_refused(settings: Settings, fake_backend: FakeBackend) -> None:
    (settings.project / "arkor.toml").write_text(TOML)
    with pytest.raises(ArkorError, match="has changed since it was shown"):
        await run_start(settings, revision="0123456789abcdef")
    assert fake_backend.jobs == {}


async def test_data_errors_are_printed_before_the_job(settings: Settings, fake_backend: FakeBackend) -> None:
    (settings.project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a",}\n')
    started = Started(settings, "second")
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    code, lines = await started.end()
    assert code == 0
    assert lines[:2] == [
        "✗ 1 row is not JSON (error)",
        "  Training stops with an error at the first of them.",
    ]
    assert lines[2].startswith("  Correct each where it is reported;")
    assert lines[3] == "    data.jsonl, line 2: not JSON (a comma with nothing behind it at column 15)"
    assert lines[4] == f"Started job {job}"
    # Studio has asked about them already, and its press should not wait a second time.
    asked = Started(settings, "second", revision=revision(settings.project))
    fake_backend.finish(await asked.job(fake_backend))
    assert not any("not JSON" in line for line in (await asked.end())[1])


async def test_empty_data_starts_nothing(settings: Settings, fake_backend: FakeBackend) -> None:
    (settings.project / "data.jsonl").write_text("\n")
    with pytest.raises(ArkorError, match=r"^data.jsonl is empty: write one JSON object per line"):
        await Started(settings, "second").end()
    assert fake_backend.requests == []


@pytest.mark.parametrize(
    ("trainer", "toml", "said"),
    [
        ("thrid", TOML, r'no trainer "thrid". It has: first, second'),
        ("second", TOML + "x = 1", r"^arkor.toml:13: unknown key x"),
        (None, TOML + "x = ", r"^arkor.toml:13: not valid TOML"),
        (None, None, r"There is no arkor.toml in .*`arkor-dev init`"),
    ],
)
async def test_invalid_usage_sends_no_request(
    settings: Settings, fake_backend: FakeBackend, trainer: str | None, toml: str | None, said: str
) -> None:
    path = settings.project / "arkor.toml"
    if toml is None:
        path.unlink()
    else:
        path.write_text(toml)
    with pytest.raises(ArkorError, match=said):
        await Started(settings, trainer).end()
    assert fake_backend.requests == []


# --- as a process of its own ------------------------------------------------------------------------------


async def read_until(process: Process, found: Callable[[str], bool]) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if found(line):
                return line
    raise AssertionError("the output ended")


async def test_lines_are_flushed_in_any_encoding(settings: Settings, fake_backend: FakeBackend) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "arkor_dev", "start", "--project", str(settings.project),
        "--trainer=first", "--dry-run",
        env={**os.environ, "ARKOR_CLOUD_API_URL": fake_backend.url, "PYTHONIOENCODING": "ascii"},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    line = await read_until(process, lambda _: True)
    match = re.fullmatch(r"Started job (\S+)\n", line)
    assert match
    fake_backend.emit(match[1], "training.message", message="naïve 🗼")
    assert await read_until(process, lambda line: "na" in line) == "na?ve ?\n"
    fake_backend.finish(match[1])
    last = await read_until(process, lambda line: "finished" in line)
    assert last == f"Job {match[1]} finished with status=completed\n"
    assert await process.wait() == 0


async def test_a_studio_gets_the_jobs_id_on_a_pipe_and_gives_the_changed_settings_as_json(
    settings: Settings, fake_backend: FakeBackend, tmp_path: Path
) -> None:
    changes = {"loraR": 16, "model": 'a "b" $(c)'}
    (tmp_path / "changes.json").write_text(json.dumps(changes))
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "arkor_dev", "start", "--project", str(settings.project),
            "--trainer=first", f"--changes={tmp_path / 'changes.json'}",
            env={**os.environ, "ARKOR_CLOUD_API_URL": fake_backend.url, "ARKOR_JOB_FD": str(writing)},
            pass_fds=[writing], stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    finally:
        os.close(writing)
    job = (await asyncio.to_thread(os.read, reading, 4096)).decode()
    os.close(reading)
    line = await read_until(process, lambda _: True)
    assert line == f"Started job {job}"
    body = fake_backend.last("POST /v1/jobs").json()
    assert changes.items() <= body["config"].items()
    fake_backend.finish(job.strip())
    assert await process.wait() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_following_not_the_job(
    settings: Settings, fake_backend: FakeBackend, number: signal.Signals, code: int
) -> None:
    env = {**os.environ, "ARKOR_CLOUD_API_URL": fake_backend.url}
    process = await start_command("start", "--project", str(settings.project), env=env)
    await fake_backend.until(lambda: fake_backend.active[STREAM] > 0, 60)
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    (job,) = fake_backend.jobs
    assert process.returncode == code
    assert err == b""
    assert out.decode().splitlines()[-1] == (
        f"Stopped following; job {job} keeps running. To cancel it, open Studio (arkor-dev) and press "
        f"Cancel on the "
        "job's page."
    )
    assert fake_backend.jobs[job]["status"] == "queued"
    assert fake_backend.count("POST /v1/jobs/{id}/cancel") == 0


def test_invalid_usage_exits_2(
    settings: Settings,
    fake_backend: FakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", fake_backend.url)
    assert cli.main(["start", "--project", str(settings.project), "--trainer", "none"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert 'no trainer "none"' in err
    assert "Traceback" not in err


@pytest.fixture
async def on_socket(fake_backend: FakeBackend) -> AsyncIterator[None]:
    """The fake listens on a Unix socket too, under a path that is short enough."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        fake_backend.socket = Path(folder) / "s"
        await fake_backend.restart()
        yield
        await fake_backend.stop()


def leave_word(
    settings: Settings,
    fake: FakeBackend,
    token: str,
    address: str | None = None,
    *,
    pid: int | None = None,
    idle: bool = False,
) -> Settings:
    """A Studio runs under ``--local``, with the fake for its local backend."""
    local = replace(settings, local=True)
    local.local_data.mkdir(parents=True, exist_ok=True)
    handoff = {
        "baseUrl": address or address_of(str(fake.socket)),
        "token": token,
        "orgSlug": ORG,
        "projectSlug": PROJECT,
        "projectId": "p",
        "pid": os.getpid() if pid is None else pid,
        "idle": idle,
    }
    (local.local_data / "backend.json").write_text(json.dumps(handoff))
    return local


async def test_start_local_joins_a_running_studio(
    settings: Settings, fake_backend: FakeBackend, on_socket: None
) -> None:
    started = Started(leave_word(settings, fake_backend, TOKEN), "second")
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    assert (await started.end())[0] == 0
    assert fake_backend.anonymous == 0
    assert not (settings.project / ".arkor").exists()


async def test_start_local_ignores_a_stored_tcp_port(settings: Settings, fake_backend: FakeBackend) -> None:
    """An older version has left word of one; anybody's program may listen there by now."""
    local = leave_word(settings, fake_backend, TOKEN, fake_backend.url)
    async with open_http_client() as http:
        assert await _running_backend(local, http) is None
    assert fake_backend.requests == []


async def test_start_local_joins_a_restarted_studio(
    settings: Settings, fake_backend: FakeBackend, on_socket: None
) -> None:
    local = leave_word(settings, fake_backend, TOKEN)
    started = Started(local)
    job = await started.job(fake_backend)
    (local.local_data / "backend.json").unlink()
    await fake_backend.stop()
    await fake_backend.until(lambda: "Studio has ended" in started.out.getvalue() or started.task.done(), 60)
    fake_backend.tokens = {"another-token-0123456789": {ORG}}
    leave_word(settings, fake_backend, "another-token-0123456789")
    fake_backend.finish(job, "failed")
    await fake_backend.start()
    code, lines = await started.end()
    assert code == 1
    assert lines[-2:] == ["failed: it broke", f"Job {job} finished with status=failed"]


async def test_start_local_notices_that_the_backend_has_ended(
    settings: Settings, fake_backend: FakeBackend, on_socket: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "GONE_SECONDS", 0.1)
    studio = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    started = Started(leave_word(settings, fake_backend, TOKEN, pid=studio.pid))
    job = await started.job(fake_backend)
    studio.kill()
    await studio.wait()
    await fake_backend.stop()
    code, lines = await started.end()
    assert (code, lines[0]) == (4, f"Started job {job}")
    assert "".join(lines).endswith(f"Job {job} resumes by itself when `arkor-dev --local` runs next.")


async def test_a_backend_without_training_is_joined_by_readers_only(
    settings: Settings, fake_backend: FakeBackend, on_socket: None
) -> None:
    local = leave_word(settings, fake_backend, TOKEN, idle=True)
    async with open_http_client() as http:
        assert await _running_backend(local, http) is None
        looking = await _running_backend(local, http, idle=True)
    assert looking is not None
    assert looking.ends_with_launch


async def test_the_forecast_is_printed_in_one_line(
    settings: Settings, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.created = lambda job: fake_backend.jobs[job].update(forecast=FIGURES)
    run = Started(settings)
    fake_backend.finish(await run.job(fake_backend))
    code, lines = await run.end()
    assert code == 0
    assert lines[1] == "Forecast: about 1:50, peak 1.7 GB of 20.1 GB free"


async def test_the_forecast_precedes_the_job(
    settings: Settings, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["forecast"]
    fake_backend.forecasts.looks = 3
    fake_backend.created = lambda job: fake_backend.jobs[job].update(forecast=FIGURES)
    run = Started(settings)
    fake_backend.finish(await run.job(fake_backend))
    _, lines = await run.end()
    assert lines[0].startswith("Estimating time and memory")
    assert lines[2] == "Forecast: about 1:50, peak 1.7 GB of 20.1 GB free"
    assert sum(fake_backend.forecasts.asked.values()) == 4, "asked until it was measured"
    # What cannot be measured is no reason not to train.
    for state in ("failed", "waiting"):
        fake_backend.add_job("running", name="another")
        fake_backend.forecasts.state = state
        run = Started(settings, "second")
        fake_backend.finish(await run.job(fake_backend))
        assert (await run.end())[0] == 0
    for how in ({"dry_run": True}, {"revision": revision(settings.project)}):
        asked = dict(fake_backend.forecasts.asked)
        run = Started(settings, **how)
        fake_backend.finish(await run.job(fake_backend))
        await run.end()
        assert fake_backend.forecasts.asked == asked, "a dry run, and one that Studio starts, is not measured"


async def test_a_trainer_is_a_positional_argument(
    settings: Settings, signed_in: None, fake_backend: FakeBackend
) -> None:
    (settings.project / "second").mkdir()  # a folder is no entry of a TypeScript project
    run = Started(settings, file="second")
    job = await run.job(fake_backend)
    fake_backend.finish(job)
    await run.end()
    assert fake_backend.jobs[job]["name"] == "second"
    with pytest.raises(ArkorError, match=r'no trainer "thrid". It has: first, second'):
        await Started(settings, file="thrid").end()
    with pytest.raises(ArkorError, match="Two trainers are named"):
        await Started(settings, "first", file="second").end()
    with pytest.raises(ArkorError, match=r"No such file .*x\.ts"):
        await Started(settings, file="x.ts").end()


async def test_a_pause_ends_the_command(settings: Settings, fake_backend: FakeBackend) -> None:
    started = Started(settings)
    job = await started.job(fake_backend)
    fake_backend.log(job, 1, loss=2.5)
    fake_backend.resuming.pause(job, "disk", message="1.0 GB are free, 2.0 GB are needed.")
    await fake_backend.until(lambda: "paused at step 1" in started.out.getvalue())
    fake_backend.resuming.go_on(job, 1)
    fake_backend.log(job, 2, loss=2.0)
    fake_backend.resuming.pause(job, "adjusting")
    await fake_backend.until(lambda: "paused at step 2" in started.out.getvalue())
    fake_backend.resuming.go_on(job, 2)
    fake_backend.resuming.pause(job, "asked")
    code, lines = await started.end()
    assert code == 4
    assert lines[1:] == [
        "step 1/3  loss 2.500",
        "paused at step 1: 1.0 GB are free, 2.0 GB are needed.",
        "resumed at step 1",
        "step 2/3  loss 2.000",
        "paused at step 2",
        "resumed at step 2",
        "paused at step 2",
        f"Job {job} is paused. Resume with `arkor-dev jobs resume {job}`.",
    ]


async def test_a_job_is_repeated_with_settings_and_data(
    settings: Settings, fake_backend: FakeBackend, signed_in: None
) -> None:
    theirs = {
        "model": "other",
        "datasetSource": {"type": "huggingface", "name": "owner/more"},
        "numTrainEpochs": 2,
        "loraR": 32,
        "dryRun": True,
        "seed": 7,
        "unknown": 1,
    }
    fake_backend.add_job("completed", id="job_old", name="second #4", config=theirs)
    started = Started(settings, like="second #4", changes={"loraR": 8})
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    code, lines = await started.end()
    assert code == 0
    assert lines[:2] == [f"Started job {job}", "Name: second #5"]
    sent = fake_backend.last("POST /v1/jobs").json()
    assert sent["name"] == "second #5"
    by_hand = sent["config"].pop("setByHand")
    assert sent["config"] == {
        "model": "other",
        "datasetSource": {"type": "huggingface", "name": "owner/more"},
        "numTrainEpochs": 2,
        "loraR": 8,
        "seed": 7,
    }
    assert set(by_hand) == {"model", "numTrainEpochs", "loraR", "seed"}


@pytest.mark.parametrize(("like", "sent"), [(None, [42, 43]), ("job_old", [8])])
async def test_settings_are_repeated_with_consecutive_seeds(
    settings: Settings, fake_backend: FakeBackend, signed_in: None, like: str | None, sent: list[int]
) -> None:
    config = {"model": "m", "datasetSource": {"type": "huggingface", "name": "owner/rows"}, "seed": 7}
    fake_backend.add_job("completed", id="job_old", name="first", config=config)
    started = Started(settings, like=like, seeds=2)
    await started.job(fake_backend)
    jobs = [job for job in fake_backend.jobs if job != "job_old"]
    assert len(jobs) == len(sent), "all are created at once: they stay in the queue when this command ends"
    for number, job in enumerate(jobs):
        fake_backend.finish(job, "failed" if number else "completed")
    code, lines = await started.end()
    assert code == len(jobs) - 1, "the first that is not 0"
    assert [line for line in lines if line.startswith(("Started job", "Queued,"))] == [
        f"Started job {jobs[0]}",
        *(f"Queued, with other seeds: {job}" for job in jobs[1:]),
        *(f"Started job {job}" for job in jobs[1:]),
    ]
    created = [seen for seen in fake_backend.requests if seen.route == "POST /v1/jobs"]
    configs = [seen.json()["config"] for seen in created]
    assert [config.get("seed", 42) for config in configs] == sent
    names = [job["name"] for job in fake_backend.jobs.values()]
    assert names == ["first", "first #2", "first #3"][: len(names)]


async def test_a_masked_token_is_not_reused(
    settings: Settings, fake_backend: FakeBackend, signed_in: None
) -> None:
    source = {"type": "blob", "url": "https://example.org/d", "token": "***"}
    config = {"model": "m", "datasetSource": {"type": "list", "sources": [source]}, "maxSteps": 9}
    fake_backend.add_job("completed", id="job_old", name="first", config=config)
    started = Started(settings, like="latest")
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    await started.end()
    sent = fake_backend.last("POST /v1/jobs").json()["config"]
    assert sent["datasetSource"] == {"type": "huggingface", "name": "owner/rows"}
    assert sent["maxSteps"] == 9


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("job_old:20", {"jobId": "job_old", "step": 20}),
        ("job_old", {"jobId": "job_old"}),
        ("job_old:final", {"jobId": "job_old"}),
        ("latest:20", {"jobId": "job_old", "step": 20}),
    ],
)
async def test_a_job_starts_from_a_checkpoint(
    settings: Settings, fake_backend: FakeBackend, signed_in: None, asked: str, sent: dict[str, object]
) -> None:
    fake_backend.features = ["parent"]
    old = fake_backend.add_job(id="job_old", config={"model": "m"})
    fake_backend.emit(old, "checkpoint.saved", step=20)
    fake_backend.finish(old)
    started = Started(settings, parent=asked)
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    assert (await started.end())[0] == 0
    assert fake_backend.last("POST /v1/jobs").json()["parent"] == sent
    assert fake_backend.jobs[job]["parent"]["jobId"] == "job_old"


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1)])
async def test_a_second_trainer_starts_from_the_first_ones_adapter(
    settings: Settings, fake_backend: FakeBackend, signed_in: None, status: str, code: int
) -> None:
    fake_backend.features = ["parent"]
    started = Started(settings, "first", then=["second"])
    first = await started.job(fake_backend)
    fake_backend.finish(first, status)
    if status == "completed":
        await fake_backend.until(lambda: len(fake_backend.jobs) == 2, 60)
        fake_backend.finish(next(reversed(fake_backend.jobs)))
    assert (await started.end())[0] == code
    created = [seen.json() for seen in fake_backend.requests if seen.route == "POST /v1/jobs"]
    assert [(body["name"], body.get("parent")) for body in created] == [
        ("first", None),
        ("second", {"jobId": first}),
    ][: len(fake_backend.jobs)]
    assert len(created) == (2 if code == 0 else 1), "nothing follows a job that failed"


async def test_trainers_that_cannot_follow_are_refused_before_anything_runs(
    settings: Settings, fake_backend: FakeBackend, signed_in: None
) -> None:
    with pytest.raises(ArkorError, match=r"no trainer .third"):
        await Started(settings, "first", then=["third"]).end()
    with pytest.raises(ArkorError, match="leave out --seeds"):
        await Started(settings, "first", then=["second"], seeds=2).end()
    assert fake_backend.count("POST /v1/jobs") == 0


@pytest.mark.parametrize(
    ("like", "parent", "words"),
    [
        ("nope", None, "There is no job nope"),
        ("job_old", None, "There is no trainer gone in arkor.toml"),
        (None, "job_old:20", "can't start a job from another job's adapter"),
    ],
)
async def test_unknown_jobs_and_checkpoints_are_refused(
    settings: Settings,
    fake_backend: FakeBackend,
    signed_in: None,
    like: str | None,
    parent: str | None,
    words: str,
) -> None:
    fake_backend.add_job("completed", id="job_old", name="gone")
    with pytest.raises(ArkorError, match=words):
        await Started(settings, like=like, parent=parent).end()
    assert fake_backend.count("POST /v1/jobs") == 0


async def test_notices_are_sent_as_configured(
    settings: Settings, fake_backend: FakeBackend, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    program = script(tmp_path / "tell", f"import sys\nopen({str(seen)!r}, 'a').write(sys.stdin.read())")
    text = (settings.project / "arkor.toml").read_text()
    (settings.project / "arkor.toml").write_text(f'[notify]\ncommand = ["{program}"]\n{text}')
    for agreed in (False, True):
        if agreed:
            asks = pending(settings)
            assert asks is not None
            assert agree(settings, asks["mark"])
        started = Started(settings)
        job = await started.job(fake_backend)
        fake_backend.finish(job)
        code, output = await started.end()
        assert code == 0
        assert seen.exists() == agreed
        assert ("Nobody has agreed to that" in " ".join(output)) == (not agreed)
    (told,) = seen.read_text().splitlines()
    assert json.loads(told)["job"] == {"id": job, "name": "first #2", "status": "completed"}


async def test_a_data_option_replaces_the_trainers_data(
    settings: Settings, fake_backend: FakeBackend, signed_in: None
) -> None:
    (settings.project / "data").mkdir(exist_ok=True)
    for name in ("a", "b"):
        (settings.project / "data" / f"{name}.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    started = Started(settings, data=["data/a.jsonl", "data/b.jsonl"])
    job = await started.job(fake_backend)
    fake_backend.finish(job)
    assert (await started.end())[0] == 0
    config = fake_backend.last("POST /v1/jobs").json()["config"]
    sources = [{"type": "file", "path": f"data/{name}.jsonl"} for name in ("a", "b")]
    assert config["datasetSource"] == {"type": "list", "sources": sources}
    assert "evalDatasetSource" not in config
    with pytest.raises(ArkorError, match="--data"):
        await Started(settings, data=["data/none.jsonl"]).end()
