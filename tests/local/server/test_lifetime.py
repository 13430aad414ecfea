"""Nothing outlives the daemon, nothing is lost when something is killed, and one folder has one owner."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.__main__ import lock
from arkor_dev.local.workers.out_of_memory import out_of_memory_kills
from tests.local.conftest import CONFIG, ENDLESS, make_project
from tests.local.harness import Backend, launch, program, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.beside, pytest.mark.timeout(300)]  # three tries, and a busy machine


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def gone(backend: Backend) -> None:
    """Wait until no process of the backend is left."""
    until(lambda: not backend.processes(), 60)


def best_of_three(took: Callable[[Path], float], bound: float, folder: Path) -> None:
    """Of three tries, each with a folder of its own, one took less than ``bound`` seconds.

    During any one of them the machine may stand still.
    """
    tries: list[float] = []
    while len(tries) < 3 and min(tries, default=bound) >= bound:
        made = folder / f"try{len(tries)}"
        made.mkdir()
        tries.append(took(made))
    assert min(tries) < bound, tries


def test_the_backend_starts_quickly(tmp_path: Path, project: Path) -> None:
    def took(folder: Path) -> float:
        backend = Backend.start(folder / "data", project, folder / "cache")
        backend.stop()
        assert backend.ready["projectId"].startswith("prj_")
        return backend.started_in

    best_of_three(took, 10, tmp_path)  # 0.2 s on an idle machine


@pytest.mark.parametrize("way", ["the end of standard input", "a signal"])
def test_the_backend_ends_quickly(tmp_path: Path, project: Path, way: str) -> None:
    def took(folder: Path) -> float:
        backend = Backend.start(folder / "data", project, folder / "cache")
        try:
            began = time.monotonic()
            if way == "a signal":
                backend.process.send_signal(signal.SIGTERM)
            else:
                assert backend.process.stdin
                backend.process.stdin.close()
            assert backend.process.wait(60) == 0
            seconds = time.monotonic() - began
        finally:
            backend.stop()
        assert backend.errors == []
        assert not backend.socket.parent.exists()
        return seconds

    best_of_three(took, 10, tmp_path)


def test_the_socket_of_a_killed_backend_is_removed_at_the_next_start(
    backend: Backend, tmp_path: Path, project: Path
) -> None:
    backend.process.kill()
    backend.process.wait()
    assert backend.socket.is_socket()
    other = Backend.start(tmp_path / "other", project, tmp_path / "cache")
    assert not backend.socket.parent.exists()
    other.stop()


def test_a_missing_socket_folder_is_an_error(tmp_path: Path, project: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from arkor_dev.local import __main__ as main; "
        "from arkor_dev.local.workers import socket_folder; "
        "socket_folder.LONGEST = 5; sys.exit(main.main(sys.argv[1:]))"
    )
    folders = [f"--{name}={tmp_path / name}" for name in ("data", "cache")]
    done = subprocess.run(
        [sys.executable, "-c", program, *folders, f"--project={project}"],
        input=b'{"token": "t", "orgSlug": "local", "projectSlug": "tests"}\n',
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 73
    assert b"cannot create its socket: no folder" in done.stderr
    assert b"XDG_RUNTIME_DIR" in done.stderr


# Becomes somebody else and connects, as another account's process would that has learned the address.
STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except PermissionError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_cannot_connect(backend: Backend) -> None:
    argv = [sys.executable, "-I", "-S", "-c", STRANGER, str(backend.socket)]
    assert subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout == b"Permission denied\n"
    assert backend.call("GET", "/v1/me").status == 200


def test_a_data_folder_has_one_backend(backend: Backend, tmp_path: Path, project: Path) -> None:
    second = launch(*program(tmp_path / "data", project, tmp_path / "cache", {}))
    out, errors = second.communicate(b"{}\n", timeout=60)
    assert second.returncode == 75
    assert out == b""
    assert f"process {os.getpid()}" in errors.decode()  # what has started it
    assert len(errors.splitlines()) == 1


def test_a_file_that_is_not_a_database_is_left_unchanged(tmp_path: Path, project: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "backend.sqlite").write_bytes(b"not a data base" * 100)
    process = launch(*program(tmp_path / "data", project, tmp_path / "cache", {}))
    hello = {"token": "t", "orgSlug": "local", "projectSlug": "tests"}
    _, errors = process.communicate(json.dumps(hello).encode() + b"\n", timeout=60)
    assert process.returncode == 77
    assert b"arkor-dev local rebuild" in errors
    assert len(errors.splitlines()) == 1
    assert (tmp_path / "data" / "backend.sqlite").read_bytes() == b"not a data base" * 100


def test_a_full_disk_at_the_start_is_named(tmp_path: Path, project: Path) -> None:
    # SQLite cannot create its file here either, and its own words are of no help.
    code = (
        "import shutil, sys, types; from arkor_dev.local import __main__ as main; "
        "shutil.disk_usage = lambda _: types.SimpleNamespace(free=4096); "
        "sys.exit(main.main(sys.argv[1:]))"
    )
    data = tmp_path / "data"
    (data / "backend.sqlite").mkdir(parents=True)
    arguments = ["--data", str(data), "--project", str(project), "--cache", str(tmp_path / "cache")]
    hello = json.dumps({"token": "t", "orgSlug": "local", "projectSlug": "tests"})
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=f"{hello}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    advice = "delete other files on it, then run arkor-dev local gc"
    assert (done.returncode, done.stderr) == (74, f"The disk of {data} is full: {advice}\n")


@pytest.mark.parametrize("hello", [b"", b"\n", b"[]\n", b'{"token":""}\n', b"GET / HTTP/1.1\n"])
def test_a_wrong_handshake_is_refused(tmp_path: Path, project: Path, hello: bytes) -> None:
    process = launch(*program(tmp_path / "data", project, tmp_path / "cache", {}))
    out, errors = process.communicate(hello, timeout=60)
    assert process.returncode == 2
    assert out == b""
    assert b"started by arkor-dev --local" in errors


@pytest.mark.engine
def test_a_kill_loses_no_event_and_no_checkpoint(
    tmp_path: Path, tiny: Path, template: dict[str, str]
) -> None:
    project, data = make_project(tmp_path / "tests", tiny), tmp_path / "data"
    first = Backend.start(data, project, tmp_path / "cache", **template)
    done = first.submit({**CONFIG, "maxSteps": 1, "evalSteps": 0, "datasetSplit": 0})
    before = [frame for frame in first.events(done) if frame.id]  # a busy machine is slow enough for a ping
    job = first.submit(ENDLESS)
    step = first.wait_for(job, "checkpoint.saved").json["step"]
    (project / "data" / "later.jsonl").write_text("not JSON\n")
    queued = first.submit({**CONFIG, "datasetSource": {"type": "file", "path": "data/later.jsonl"}})
    seen = [frame for frame, _ in zip(first.events(job), range(20), strict=False)]
    assert first.say("Hi", baseModel="models/tiny")
    until(lambda: len(first.processes()) == 3)  # itself, what trains, and what answers
    first.process.kill()
    first.process.wait()
    gone(first)
    first.stop()

    second = Backend.start(data, project, tmp_path / "cache", "--no-resume", **template)
    try:
        assert second.ready["projectId"] == first.ready["projectId"]
        # The start waits for this too, but on a slow disk not for long.
        paused = until(lambda: (found := second.job(job))["status"] == "paused" and found)
        assert paused["pause"]["reason"] == "ended"
        assert paused["pause"]["message"] == "The local backend stopped while this job was training."
        assert paused["metrics"]["step"] >= paused["pause"]["step"] >= step
        events = []
        for frame in second.events(job):
            events.append(frame)
            if frame.event == "training.paused":
                break
        assert [(f.id, f.data) for f in events[:20]] == [(f.id, f.data) for f in seen]
        assert events[-1].json["step"] == paused["pause"]["step"]
        checkpoint = data / "jobs" / job / "checkpoints" / str(step)
        assert (checkpoint / "adapter_model.safetensors").is_file()
        assert not list((data / "jobs" / job).rglob("*.part"))
        after = [frame for frame in second.events(done) if frame.id]
        assert [(f.id, f.data) for f in after] == [(f.id, f.data) for f in before]
        # What waited is taken up again, by itself.
        assert "line 1: not JSON" in second.wait_for(queued, "training.failed").json["error"]
    finally:
        second.stop()


@pytest.mark.engine
@pytest.mark.skipif(out_of_memory_kills() is None, reason="this system does not count its kills")
def test_a_job_killed_three_times_is_paused_and_the_next_runs(
    tmp_path: Path, tiny: Path, template: dict[str, str]
) -> None:
    project = make_project(tmp_path / "tests", tiny)
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)
    try:
        job = backend.submit({**ENDLESS, "saveSteps": 0})
        backend.wait_for(job, "training.log")
        killed: set[int] = set()

        def kill_those_that_start() -> bool:
            """It comes no further than it was, or it is killed once more."""
            for worker in set(backend.processes("training.worker")) - killed:
                with contextlib.suppress(ProcessLookupError):
                    kill(worker)
                killed.add(worker)
            return bool(backend.job(job)["status"] == "paused")

        until(kill_those_that_start, 90)
        assert len(killed) >= 3
        paused = backend.wait_for(job, "training.paused").json
        assert "killed (signal 9) by a person or another program" in paused["message"]
        assert "That was the third time at step" in paused["message"]
        assert backend.job(job)["pause"]["message"] == paused["message"]

        endless = backend.submit({**ENDLESS, "saveSteps": 0})  # its checkpoints would not fit on the disk
        backend.wait_for(endless, "training.log")
    finally:
        backend.stop()


@pytest.mark.ci  # test_daemon_killed.py kills the whole Studio
@pytest.mark.engine
def test_killing_the_backend_ends_its_workers(tmp_path: Path, tiny: Path) -> None:
    """Also without a checkpoint to be written: those of an endless job would not fit on the disk."""
    project = make_project(tmp_path / "tests", tiny)
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache")
    try:
        backend.wait_for(backend.submit({**ENDLESS, "saveSteps": 0}), "training.log")
        assert backend.processes("training.worker")
        assert backend.process.stdin
        backend.process.stdin.close()
        gone(backend)
    finally:
        backend.stop()


@pytest.mark.engine
def test_a_killed_inference_worker_ends_the_answer_and_the_next_one_works(
    tmp_path: Path, tiny: Path, template: dict[str, str]
) -> None:
    project = make_project(tmp_path / "tests", tiny)
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "baseModel": "models/tiny",
        "maxTokens": 250,
        "temperature": 5,
    }
    try:
        for _ in range(5):  # an answer may be over before its process is stopped
            with backend.open("POST", "/v1/inference/chat", body) as answer:
                while (line := answer.readline()) and b'"content"' not in line:
                    pass
                (worker,) = backend.processes("inference.worker")
                os.kill(worker, signal.SIGSTOP)
                kill(worker)
                rest = answer.read().decode()
            if "event: error" in rest:
                break
        assert (
            "killed (signal 9)" in json.loads(rest.split("event: error\ndata: ")[1].split("\n")[0])["error"]
        )
        assert rest.endswith("data: [DONE]\n\n")
        assert backend.say("Hi", baseModel="models/tiny")
        backend.process.kill()
        backend.process.wait()
        gone(backend)
    finally:
        backend.stop()


def test_the_data_folder_may_be_a_symlink(tmp_path: Path, project: Path) -> None:
    (tmp_path / "other-disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "other-disk")
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache")
    try:
        assert backend.call("GET", "/v1/jobs").json["jobs"] == []
        assert (tmp_path / "other-disk" / "backend.sqlite").is_file()
    finally:
        backend.stop()


@pytest.mark.parametrize("kind", ["working", "on-demand", "idle"])
def test_a_short_lived_reader_of_the_data_folder_is_awaited(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Studio that starts while ``arkor-dev jobs`` runs would else say that another Studio is there."""
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write(f"122 {kind} 123\n")
        held.flush()
        release = threading.Timer(0.2, held.close)
        if kind == "idle":  # another one is not waited for, so there is nothing that would come late
            release.start()
        taken = lock(tmp_path)
        if kind == "idle":
            release.join()
    assert (taken is not None) == (kind == "idle")
    who = {"working": "Another Studio or", "on-demand": "`arkor-dev serve` (process 123)"}.get(kind, "")
    assert capsys.readouterr().err.startswith(who)
    if taken:
        taken.close()
