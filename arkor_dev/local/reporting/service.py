"""Sends a job's events to a reporter, through a bounded queue, to a process that may hang.

A batch is sent once the previous one was accepted. If a reporter is slower than the training, the oldest
figures are dropped, and that is reported. After a job's end it has some seconds to finish; then it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import SYSTEM_METRICS, TRAINING_LOG, TRAINING_RESUMED, TRAINING_STARTED
from arkor_dev.contract.extras import install_command
from arkor_dev.local.workers.process import Child

from .messages import ANSWERS, Accepted, BeginReport, EndReport, ReportEvents, ReportFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from arkor_dev.contract.events import Event

    from .messages import JobToReport, NamedJob, ReportedEvent

log = logging.getLogger(__name__)

WORKER: Final = "arkor_dev.local.reporting.worker"
WAITING: Final = 5000
"""Maximum number of events waiting for a slow reporter."""
BATCH_SIZE: Final = 200
CLOSE_SECONDS: Final = 20.0
"""Seconds that a reporter may take to finish after its job's end."""
END_SECONDS: Final = 0.5
"""Seconds that it may take when this process ends."""


CHOOSES_SERVER: Final = ("wandb/settings", ".wandb/settings")
"""Files of a project from which W&B takes its server's address, an account and a key, over the user's own.

It reads them where it runs, and sends ``WANDB_API_KEY`` to that server. It has no option to ignore them.
"""


class _Fault(Exception):  # noqa: N818 - why nothing more is reported
    """A reporter cannot continue; ``str()`` says why."""


class Report:
    """One job's connection to one ``reporter``. ``job`` is the description that its process receives.

    It starts when the task ``before``, of an earlier report on the same job, is done. ``report_fault``
    receives a sentence about an error, ``report_location`` one about where to find the run.
    """

    def __init__(
        self,
        reporter: str,
        job: JobToReport,
        report_fault: Callable[[str], None],
        report_location: Callable[[str], None],
        before: asyncio.Task[None] | None = None,
    ) -> None:
        self.reporter, self._job, self._report_fault, self._report_location = (
            reporter,
            job,
            report_fault,
            report_location,
        )
        self._queue: deque[ReportedEvent] = deque()
        self._changed = asyncio.Event()
        self._status: str | None = None
        self._failed = False
        self.lost = 0
        self.task = asyncio.create_task(self._run(before), name=f"report to {reporter}")

    def add(self, events: Iterable[Event]) -> None:
        """Add events, without waiting. If too many are waiting, drop the oldest figures."""
        if self._failed or self.task.done():
            return
        for event in events:
            if (
                event["type"] == TRAINING_STARTED
                or event["type"] == TRAINING_LOG
                or event["type"] == TRAINING_RESUMED
                or event["type"] == SYSTEM_METRICS
            ):
                self._add(event)
        self._changed.set()

    def _add(self, event: ReportedEvent) -> None:
        if len(self._queue) >= WAITING:
            # Keep the event that opens the run, however late it is.
            del self._queue[1 if self._queue[0]["type"] == TRAINING_STARTED else 0]
            self.lost += 1
            if self.lost == 1:
                self._report_fault(f"{self.reporter} accepts metrics too slowly: the oldest are dropped")
        self._queue.append(event)

    def end(self, status: str) -> None:
        """Finish sending the waiting events: the job is over, paused or has crashed."""
        if self.lost:
            self._report_fault(
                f"{self.lost:,} metrics were not reported to {self.reporter}, which was too slow"
            )
        self._status = status
        self._changed.set()

    def report_late(self) -> None:
        """Report that the reporter has not finished in time."""
        missing = f": {len(self._queue):,} metrics are missing there" if self._queue else ""
        self._report_fault(
            f"{self.reporter} has not finished {CLOSE_SECONDS:g} s after the job, and was killed{missing}"
        )

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait({before})
        child: Child | None = None
        try:
            child = await Child.start(WORKER)
            answers = child.batches(ANSWERS)
            child.send(BeginReport(self.reporter, **self._job))
            await self._answered(child, answers)
            while True:
                while not self._queue and self._status is None:
                    self._changed.clear()
                    await self._changed.wait()
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_SIZE))]
                if not batch:
                    break
                child.send(ReportEvents(batch))
                await self._answered(child, answers)
            child.send(EndReport(self._status or ""))
            await self._answered(child, answers)
        except (_Fault, OSError) as fault:
            self._failed = True
            self._queue.clear()
            self._report_fault(f"No further metrics are reported to {self.reporter}: {fault}")
        except Exception:
            log.exception("the report to %s", self.reporter)
            self._failed = True
            self._report_fault(
                f"No further metrics are reported to {self.reporter}: the local backend failed; its log says "
                "more"
            )
        finally:
            if child:
                await child.stop()

    async def _answered(self, child: Child, answers: AsyncIterator[list[Accepted | ReportFault]]) -> None:
        """Wait until the process has accepted the last batch."""
        answer = await anext(answers, None)
        if answer is None:
            await child.ended()
            raise _Fault("its process was killed" if child.killed else child.cause("its process"))
        match answer[-1]:  # one for each message
            case ReportFault(reason):
                raise _Fault(reason)
            case Accepted(str(location)):
                self._report_location(f"Reported to {self.reporter}: {location}")


class Reports:
    """All reporters of one start of a job. ``say`` adds a sentence to the job's log.

    Sentences that the log of a resumed job already contains are not repeated.
    """

    def __init__(self, say: Callable[[str], None], *, resumes: bool) -> None:
        self._say = say
        self._is_new_log = not resumes
        self._later: list[str] = []
        self.reports: list[Report] = []

    def once(self, text: str) -> None:
        """Add a sentence about the whole job, only once."""
        if self._is_new_log:
            self._say(text)
        else:
            self._later.append(text)

    def take(self, events: Iterable[Event]) -> None:
        """Pass on events that have been logged."""
        events = list(events)
        for event in events:
            if event["type"] == TRAINING_RESUMED:
                self._is_new_log = not event["step"]  # then the log has also restarted
            elif event["type"] == TRAINING_STARTED:
                for text in self._later if self._is_new_log else ():
                    self._say(text)
                self._later.clear()
        for report in self.reports:
            report.add(events)


def installed(name: str) -> bool:
    """Return whether this package is installed; a plain folder, as some packages create, does not count."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


class ReportingService:
    """The reports of a project's jobs, including those that are still finishing.

    ``state(job_id, reporter)`` is the file that records the last reported step of a job.
    """

    def __init__(self, state: Callable[[str, str], Path], project: Path) -> None:
        self._state, self._project = state, project
        self._finishing: dict[tuple[str, str], asyncio.Task[None]] = {}

    def begin(
        self,
        job: NamedJob,
        reporters: str | Iterable[str] | None,
        say: Callable[[str], None],
        *,
        resumes: bool,
    ) -> Reports:
        """Start reporting a job to ``reporters``; log which of them are not installed."""
        reports = Reports(say, resumes=resumes)
        for name in dict.fromkeys([reporters] if isinstance(reporters, str) else reporters or ()):
            if not installed(name):
                reports.once(
                    f"No metrics are reported to {name}, which is not installed. Install it with: "
                    f"{install_command(name)}"
                )
                continue
            chooses = next((path for path in CHOOSES_SERVER if (self._project / path).exists()), None)
            if name == "wandb" and chooses:
                reports.once(
                    f"No metrics are reported to wandb: the project's {chooses} chooses where they and your "
                    "key would go. Delete it, and set WANDB_BASE_URL, WANDB_ENTITY or WANDB_PROJECT instead."
                )
                continue
            child_job: JobToReport = {
                "job": {"id": job["id"], "name": job["name"], "project": self._project.name},
                "folder": str(self._project),
                "state": str(self._state(job["id"], name)),
            }
            before = self._finishing.get((job["id"], name))
            reports.reports.append(Report(name, child_job, say, reports.once, before))
        return reports

    def end(self, job: NamedJob, reports: Reports, status: str) -> None:
        """Let the reporters of a job finish in the background; ``status`` is how it ended."""
        for report in reports.reports:
            report.end(status)
            key = (job["id"], report.reporter)
            task = self._finishing[key] = asyncio.create_task(self._finish(report), name=f"end of {key}")
            task.add_done_callback(lambda done, key=key: self._forget(key, done))  # type: ignore[misc]

    async def _finish(self, report: Report) -> None:
        try:
            await asyncio.wait({report.task}, timeout=CLOSE_SECONDS)
            if not report.task.done():
                report.report_late()
        finally:
            report.task.cancel()
            await asyncio.wait({report.task})

    def _forget(self, key: tuple[str, str], done: asyncio.Task[None]) -> None:
        if self._finishing.get(key) is done:
            del self._finishing[key]

    async def close(self) -> None:
        """Give unfinished reporters a moment more, then end them."""
        tasks = set(self._finishing.values())
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=END_SECONDS)
            for task in unfinished:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*unfinished, return_exceptions=True)
