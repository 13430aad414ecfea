"""Training runs: the child processes that this launch of Studio has started.

A run belongs to Studio and not to the tab that requested it: closing or reloading the tab changes nothing.
Each command runs under a `supervisor`, which ends it when Studio ends in whatever way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import ConflictError, InternalError, NotFoundError

from .job_report import VARIABLE, read_reports
from .leftovers import Marks
from .output_log import OutputBudget, OutputLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from arkor_dev.contract.shapes import TrainingRun

SUPERVISOR = Path(__file__).with_name("supervisor.py")
STOP_GRACE = 3.0
"""Seconds that a command gets after SIGINT, and again after SIGTERM."""
KEPT_RUNS = 20
SETTLE_AFTER = 2.0
"""Seconds after the start: supervisors of a launch just killed may be in their grace period."""
_JOB_ID = re.compile(rb"^Started job ([^\s]{1,200})\r?$", re.MULTILINE)
"""The line of the managed product's command (docs/contract.md#training-command)."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Launch:
    """A command to run in the project folder; a trainer, ``key``, can run only once at a time.

    ``typescript``: the command is the managed product's, which runs the last build, so the project must be
    built first, and which reports its job in its output alone; ``bundle`` and ``config`` are then digests of
    what it loads, and of its trainer's config. Our own takes the changed settings, ``changes`` by field, from
    a file, and reports its job on a pipe.
    """

    argv: list[str]
    key: str
    trainer: str | None
    file: str | None
    dry_run: bool
    typescript: bool = False
    changes: Mapping[str, object] | None = None
    bundle: str = ""
    config: str | None = None


if TYPE_CHECKING:
    Prepare = Callable[[Launch], Awaitable[tuple[Launch, Callable[[], None]]]]


class CommandRun:
    """One command: its output, its state, its end."""

    def __init__(
        self,
        launch: Launch,
        cwd: Path,
        on_change: Callable[[], None],
        on_begun: Callable[[], None],
        budget: OutputBudget,
        marks: Marks,
    ) -> None:
        self.id = secrets.token_hex(6)
        self.launch = launch
        self.output = OutputLog(budget)
        self.exit_code: int | None = None
        self.job_id: str | None = None
        self.bundle = launch.bundle
        """The bundle whose callbacks it has."""
        self.ending = False
        """Whether it was asked to stop after the next checkpoint."""
        self._cwd = cwd
        self._on_change = on_change
        self._marks = marks
        self._on_begun = on_begun
        self._started = _now()
        self._ended_at: str | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._supervisor: asyncio.subprocess.Process | None = None
        self._line = b""
        self._reports: int | None = None
        self.finished = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether the command is still running."""
        return self._ended_at is None

    def view(self) -> TrainingRun:
        """Return the run as the page sees it."""
        state = "running" if self._stopping is None else "stopping"
        return {
            "id": self.id,
            "command": self.launch.argv,
            "trainer": self.launch.trainer,
            "file": self.launch.file,
            "dryRun": self.launch.dry_run,
            "started": self._started,
            "ended": self._ended_at,
            "state": state if self.running else "ended",  # type: ignore[typeddict-item]
            "exitCode": self.exit_code,
            "jobId": self.job_id,
        }

    async def start(self) -> None:
        """Start the supervisor; a command that cannot be started is a line of the output.

        Raises InternalError if not even the supervisor starts (the folder is gone, no process is left).
        """
        argv, environment = self.launch.argv, {**os.environ, **self._marks.of(self.id)}
        try:
            with contextlib.ExitStack() as ours:
                inherited: list[int] = []
                if not self.launch.typescript:
                    self._reports, writer = os.pipe()
                    ours.callback(os.close, writer)
                    inherited.append(writer)
                    environment[VARIABLE] = str(writer)
                if self.launch.changes:
                    file = ours.enter_context(tempfile.TemporaryFile())
                    file.write(json.dumps(self.launch.changes).encode())
                    file.seek(0)
                    inherited.append(file.fileno())
                    argv = [*argv, f"--changes=/dev/fd/{file.fileno()}"]
                self._supervisor = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-S", str(SUPERVISOR), *argv,
                    cwd=self._cwd, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE, start_new_session=True,
                    limit=256 << 10, env=environment, pass_fds=inherited,
                )  # fmt: skip
        except OSError as error:
            if self._reports is not None:
                os.close(self._reports)
            raise InternalError(f"No command can be started in {self._cwd}: {error.strerror}.") from None

    async def follow(self) -> None:
        """Collect output and the end. Cancelling closes the supervisor's pipe, which ends the command."""
        assert self._supervisor is not None
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        reports: dict[str, str] = {}
        try:
            pump = asyncio.create_task(self._pump())
            readers = {pump}
            if self._reports is not None:
                readers.add(asyncio.create_task(read_reports(self._reports, self._found_job)))
            try:
                async for line in self._supervisor.stdout:
                    key, _, rest = line.decode(errors="replace").rstrip("\n").partition(" ")
                    reports[key] = rest
                if "started" in reports and "exit" not in reports:
                    reports["exit"] = await asyncio.to_thread(
                        self._without_supervisor, int(reports["started"])
                    )
                # At most a pipe's worth is left; a stray process that keeps the other end open must not block
                # us.
                await asyncio.wait(readers, timeout=5)
            finally:
                for reader in readers:
                    reader.cancel()
        finally:
            self._supervisor.stdin.close()
            if self._stopping is not None:
                self._stopping.cancel()
            if "started" in reports and "exit" not in reports:  # cancelled before the supervisor had ended
                reports["exit"] = self._without_supervisor(int(reports["started"]))
            if "exit" in reports:
                self.exit_code = int(reports["exit"])
                self.output.append(f"\n---\nexit={self.exit_code}\n".encode())
            else:
                reason = reports.get("failed", "its supervisor ended at once")
                self.output.append(f"\n---\nfailed to start: {reason}\n".encode())
            self._ended_at = _now()
            self.output.end()
            self.finished.set()
            self._on_begun()
            self._on_change()
        await self._supervisor.wait()

    def _without_supervisor(self, command: int) -> str:
        """End what a killed supervisor has left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(command, signal.SIGKILL)
        self._marks.kill(self.id)
        return "137"

    async def _pump(self) -> None:
        assert self._supervisor is not None
        assert self._supervisor.stderr is not None
        while data := await self._supervisor.stderr.read(256 << 10):
            self.output.append(data)
            if self.launch.typescript and self.job_id is None:
                self._find_job(data)

    def _find_job(self, data: bytes) -> None:
        text = self._line + data
        complete, newline, self._line = text.rpartition(b"\n")
        self._line = self._line[-4096:]
        if match := _JOB_ID.search(complete + newline):
            self._found_job(match[1].decode(errors="replace"))

    def _found_job(self, job_id: str) -> None:
        """Record the command's job, the first of several."""
        if self.job_id is None:
            self.job_id = job_id
            self._on_begun()
            self._on_change()

    def stop(self) -> None:
        """End the command: SIGINT, then SIGTERM, then SIGKILL, with a grace period between them."""
        if self.running and self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())

    @property
    def stopped(self) -> bool:
        """Whether a person has stopped it."""
        return self._stopping is not None

    def reload(self, bundle: str) -> None:
        """Let the command's own process load its callbacks anew from the bundle on disk."""
        self.bundle = bundle
        self._command(b"USR2 1\n")

    def stop_early(self) -> None:
        """Ask the command's own process, once, to stop after the next checkpoint."""
        if not self.ending:
            self.ending = True
            self._command(b"TERM 1\n")

    def _command(self, line: bytes) -> None:
        if self._supervisor is not None and self._supervisor.stdin is not None:
            with contextlib.suppress(ConnectionError):
                self._supervisor.stdin.write(line)

    def close_pipe(self) -> None:
        """Tell the supervisor that Studio ends; it ends the command within its grace period."""
        if self._supervisor is not None and self._supervisor.stdin is not None:
            self._supervisor.stdin.close()

    async def _stop(self) -> None:
        assert self._supervisor is not None
        assert self._supervisor.stdin is not None
        for command in (b"INT\n", b"TERM\n", b"KILL\n"):
            with contextlib.suppress(ConnectionError):
                self._supervisor.stdin.write(command)
                await self._supervisor.stdin.drain()
            await asyncio.sleep(STOP_GRACE)


class TrainingRuns:
    """All runs of this launch, newest last. ``on_change`` is called when a job appears or a run ends.

    ``records`` is the folder where launches record their processes, for the launch after a crash.
    """

    def __init__(self, project: Path, on_change: Callable[[], None], records: Path | None = None) -> None:
        self._project = project
        self._on_change = on_change
        self._runs: dict[str, CommandRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._budget = OutputBudget()
        self._marks = Marks(records)
        self._settling: asyncio.Task[None] | None = None

    def settle(self) -> None:
        """Start a delayed clean-up of what killed launches have left behind."""
        self._settling = asyncio.create_task(self._settle(), name="leftovers of killed launches")

    async def _settle(self) -> None:
        await asyncio.sleep(SETTLE_AFTER)
        await asyncio.to_thread(self._marks.settle)

    def views(self) -> list[TrainingRun]:
        """Return every run, newest first."""
        return [run.view() for run in reversed(self._runs.values())]

    def live(self) -> list[CommandRun]:
        """Return the runs that have not ended."""
        return [run for run in self._runs.values() if run.running]

    def get(self, run_id: str) -> CommandRun:
        """Return one run. Raises NotFoundError for an id that this launch has not issued."""
        try:
            return self._runs[run_id]
        except KeyError:
            raise NotFoundError("This launch of Studio has no such run.") from None

    async def start(self, launch: Launch, prepare: Prepare | None = None) -> CommandRun:
        """Start a command. Raises ConflictError, with the run's id, if its trainer is already running.

        ``prepare`` runs first, once it is known that nothing is running. It returns the launch as it should
        run, and what to call when that has a job, and again when it has ended.
        """
        async with self._starting:
            for run in self._runs.values():
                if run.running and run.launch.key == launch.key:
                    name = run.launch.trainer or run.launch.file or "this project's trainer"
                    raise ConflictError(f"{name} is already running.", run=run.id)
            await asyncio.to_thread(self._marks.write_down)
            launch, on_begun = await prepare(launch) if prepare else (launch, lambda: None)
            run = CommandRun(launch, self._project, self._on_change, on_begun, self._budget, self._marks)
            try:
                await run.start()
            except BaseException:
                on_begun()
                raise
            self._runs[run.id] = run
            task = asyncio.create_task(run.follow(), name=f"run {run.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._forget_old()
            return run

    def _forget_old(self) -> None:
        ended = [run for run in self._runs.values() if not run.running]
        for run in ended[: max(0, len(self._runs) - KEPT_RUNS)]:
            run.output.close()
            del self._runs[run.id]

    async def close(self) -> None:
        """End every command and wait for that."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)
        for run in self._runs.values():
            run.close_pipe()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=4)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for run in self._runs.values():
            run.output.close()
        self._marks.close()
