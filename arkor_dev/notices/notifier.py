"""Turns a job's events into notices: which to send, once each, and their text."""

from __future__ import annotations

import asyncio
import math
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, get_args

from arkor_dev.contract import events
from arkor_dev.contract.shapes import NON_FINITE
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.toml.notify import load_notify

from .claims import Claims
from .delivery import UndeliveredError, post, run, show
from .facts import Figure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from arkor_dev.contract.shapes import Sweep
    from arkor_dev.core.settings import Settings
    from arkor_dev.jobs.follow import JobEvent
    from arkor_dev.project.toml.notify import Notify

    from .facts import NoticeFacts, NoticeJob, NoticeVerdict

AT_ONCE: Final = 16
"""Maximum number of concurrent notices, in case a backend floods us with ended jobs."""
SETTLE_SECONDS: Final = 25.0
"""How long an otherwise finished command waits for its notices."""
STATUS: Final = {"finished": "completed", "failed": "failed", "paused": "paused", "non-finite": "running"}


def kinds_of(event: JobEvent) -> tuple[str, ...]:
    """Return an event's kinds, most specific of `KINDS` first; empty for one without a notice.

    A pause because the backend itself ends is not reported.
    """
    data = event.data if isinstance(event.data, dict) else {}
    match event.name:
        case events.TRAINING_COMPLETED:
            return ("finished",)
        case events.TRAINING_FAILED:
            return ("non-finite", "failed") if data.get("nonFinite") is True else ("failed",)
        case events.TRAINING_PAUSED:
            return () if data.get("reason") == "ended" else ("paused",)
        case events.TRAINING_MESSAGE:
            return ("non-finite",) if data.get("code") == NON_FINITE else ()
    return ()


def facts_of(
    kind: str, job_id: str, name: str, event: JobEvent, project: str, verdict: NoticeVerdict | None = None
) -> NoticeFacts:
    """Return the content of a notice of a job's event."""
    data = event.data if isinstance(event.data, dict) else {}
    sent = data.get("metrics")
    metrics = sent if isinstance(sent, dict) else {}
    figures: dict[Figure, float] = {
        key: metrics[key]
        for key in get_args(Figure)
        if isinstance(metrics.get(key), int | float) and math.isfinite(metrics[key])
    }
    name, step = one_line(name, 200), data.get("step")
    reason = one_line(data.get("error") or data.get("message") or "", 1000)
    at = f" at step {step}" if isinstance(step, int) else ""
    words = {
        "finished": f"{name} has finished",
        "failed": f"{name} has failed{at}",
        "paused": f"{name} is paused{at.replace(' at', ' after')}",
        "non-finite": f"{name} hit a non-finite loss{at}",
    }[kind]
    if kind == "finished" and "loss" in figures:
        words += f": loss {figures['loss']:.4g}"
    if kind == "finished" and verdict:
        words += f". {verdict['sentence']}"
    job: NoticeJob = {
        "id": one_line(job_id, 200),
        "name": name,
        "status": "failed" if event.name == events.TRAINING_FAILED else STATUS[kind],
    }
    if isinstance(step, int):
        job["step"] = step
    for field, value in figures.items():
        job[field] = value
    facts: NoticeFacts = {
        "event": kind,
        "message": f"{words}: {reason}" if reason and kind != "finished" else words,
        "timestamp": one_line(data.get("timestamp") or "", 60),
        "project": project,
        "job": job,
    }
    if kind == "finished" and verdict:
        facts["verdict"] = verdict
    return facts


def facts_of_sweep(kind: str, sweep: Sweep, project: str) -> NoticeFacts:
    """Return the content of a notice of a sweep, which replaces the job in it."""
    verdict = _verdict(sweep.get("verdict"))
    name = one_line(sweep.get("name"), 200)
    words = f"{name} has {'failed' if kind == 'failed' else 'ended'}"
    reason = one_line(sweep.get("error") or "", 1000) or (verdict["sentence"] if verdict else "")
    facts: NoticeFacts = {
        "event": kind,
        "message": f"{words}: {reason}" if reason else words,
        "timestamp": one_line(sweep.get("endedAt") or "", 60),
        "project": project,
        "job": {
            "id": one_line(sweep.get("id"), 200),
            "name": name,
            "status": one_line(sweep.get("state"), 20),
        },
    }
    if verdict:
        facts["verdict"] = verdict
    return facts


def verdict_of(event: JobEvent) -> NoticeVerdict | None:
    """Return the verdict in an event; None if it has none."""
    data = event.data if isinstance(event.data, dict) else {}
    return _verdict(data.get("evaluation")) if event.name == events.EVALUATION_COMPLETED else None


def _verdict(sent: object) -> NoticeVerdict | None:
    if not isinstance(sent, dict):
        return None
    verdict, sentence = (one_line(sent.get(key) or "", 300) for key in ("verdict", "sentence"))
    return {"verdict": verdict, "sentence": sentence} if verdict and sentence else None


class Notifier:
    """Sends the notices of ``[notify]``. ``warn`` is called with a sentence about each failure."""

    def __init__(
        self, settings: Settings, warn: Callable[[str], object], environ: Mapping[str, str] = os.environ
    ) -> None:
        self._settings = settings
        self._warn = warn
        self._environ = environ
        self._claims = Claims(settings)
        self._tasks: set[asyncio.Task[None]] = set()
        self._verdicts: dict[str, NoticeVerdict] = {}

    async def ready(self) -> bool:
        """Return whether there is a recipient, and a person has agreed to exactly this table."""
        return await asyncio.to_thread(self._table) is not None

    def _table(self) -> Notify | None:
        notify = load_notify(self._settings.project)
        return notify if notify is not None and self._claims.trusted(notify.mark) else None

    def notify(self, job_id: str, name: str, event: JobEvent) -> None:
        """Send an event's notice, if it has one. Returns at once."""
        if verdict := verdict_of(event):
            self._verdicts = {**dict(list(self._verdicts.items())[1 - AT_ONCE :]), job_id: verdict}
        if kinds := kinds_of(event):
            project, verdict = self._settings.project.name, self._verdicts.pop(job_id, None)
            self._send(kinds, lambda kind: facts_of(kind, job_id, name, event, project, verdict))

    def notify_sweep(self, sweep: Sweep) -> None:
        """Send the notice of a sweep that has ended by itself. Returns at once."""
        kind = "failed" if sweep.get("state") == "failed" else "finished"
        self._send((kind,), lambda kind: facts_of_sweep(kind, sweep, self._settings.project.name))

    def _send(self, kinds: tuple[str, ...], facts_for: Callable[[str], NoticeFacts]) -> None:
        if len(self._tasks) < AT_ONCE:
            task = asyncio.create_task(self._deliver(kinds, facts_for), name="notice")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def wait_sent(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until all notices are sent, for at most so long."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)

    async def close(self) -> None:
        """Cancel what is still being sent."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, kinds: tuple[str, ...], facts_for: Callable[[str], NoticeFacts]) -> None:
        notify = await asyncio.to_thread(self._table)
        kind = next((kind for kind in kinds if notify is not None and kind in notify.on), None)
        if notify is None or kind is None:
            return
        facts = facts_for(kind)
        if not await asyncio.to_thread(self._claims.claim, facts["job"]["id"], kind, facts["timestamp"]):
            return
        ways: list[Coroutine[object, object, None]] = []
        if notify.webhook or notify.webhook_env:
            ways.append(post(notify, facts, self._environ))
        if notify.command:
            ways.append(run(notify, facts, self._environ, self._settings.project))
        if notify.desktop:
            ways.append(show(facts, self._environ, self._settings.project))
        for result in await asyncio.gather(*ways, return_exceptions=True):
            if isinstance(result, Exception):
                reason = str(result) if isinstance(result, UndeliveredError) else type(result).__name__
                self._warn(
                    f"[notify]: “{one_line(facts['message'], 120)}” was not sent: {one_line(reason, 300)}"
                )


@asynccontextmanager
async def notifying(settings: Settings, warn: Callable[[str], object]) -> AsyncIterator[Notifier]:
    """Return a notifier for a command that starts a training run; its end waits a while for its notices."""
    notifier = Notifier(settings, warn)
    try:
        yield notifier
        await notifier.wait_sent()
    finally:
        await notifier.close()
