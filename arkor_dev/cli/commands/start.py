"""``arkor-dev start``: create a job from a trainer of ``arkor.toml`` and follow it to its end.

It prints what a training command has to (docs/contract.md#training-command), and only watches: ending it
leaves the job as it is. The one exception is a backend that was started for this command alone, which cannot
outlive it: it pauses the job, or, where it could not go on with it later, the job is cancelled; that is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import signal
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from arkor_dev.cli.ending import Ending, Words
from arkor_dev.cli.event_text import forecast_line
from arkor_dev.cli.lost_jobs import goes_on_later, lost
from arkor_dev.cli.progress_view import view_for
from arkor_dev.contract.changes import applied, complete, conflict
from arkor_dev.contract.errors import ArkorError, BackendError, BadRequestError, ConflictError
from arkor_dev.contract.events import TRAINING_PAUSED
from arkor_dev.contract.run_names import free_name
from arkor_dev.contract.settings import by_field
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.connect import BackendEndedError, joined
from arkor_dev.jobs.follow import JobEvent, follow, job_of
from arkor_dev.notices.notifier import notifying
from arkor_dev.project.arkor_toml import choose, load_trainers
from arkor_dev.project.arkor_toml import revision as revision_of
from arkor_dev.project.data_check import SECONDS, check_trainer
from arkor_dev.project.training_command import OUTDATED

from .cluster.choice import need_placement, placed
from .data import lines_of
from .jobs import jobs_of
from .repeat import parent_of, repeated
from .start_typescript import run_typescript, runs_typescript

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.cli.progress_view import PlainView
    from arkor_dev.contract.shapes import Trainer
    from arkor_dev.core.settings import Settings

EXIT_CODES: Final = {"completed": 0, "failed": 1, "cancelled": 3, "paused": 4}
PASSING: Final = ("disk", "battery")
"""Reasons of a pause that end by themselves, and the pause with them."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
CANCEL_SECONDS: Final = 20.0
"""How long to wait for the end of a job that we have cancelled ourselves."""


class _StoppedError(Exception):
    """A signal asked us to end."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


async def run_start(
    settings: Settings,
    *,
    file: str | None = None,
    trainer: str | None = None,
    dry_run: bool = False,
    changes: Mapping[str, object] | None = None,
    revision: str | None = None,
    like: str | None = None,
    parent: str | None = None,
    later_seed: int = 0,
    yes: bool = False,
    console: Console | None = None,
) -> int:
    """Run ``trainer`` (None: the first), or the TypeScript entry ``file``, and return the exit code.

    0 the job completed, 1 it failed or can be followed no longer, 3 it was cancelled, 4 it was paused,
    128 + n stopped by signal n; of a TypeScript project, what its own command says. ``changes`` are settings
    by field (`contract.changes`) that go before the file's; the job says which they were. ``like`` names a
    job whose settings and data are taken, ``parent`` one, and a checkpoint of it, whose adapter it begins
    with. The seed is ``later_seed`` above that of the settings. Raises ArkorError when no job was created: a
    wrong ``arkor.toml``, a backend that is away.
    """
    if file is not None or await asyncio.to_thread(runs_typescript, settings):
        if changes or like or parent:
            raise BadRequestError(
                "--set, --like and --from are for arkor.toml. This project has its settings in its own code."
            )
        return await run_typescript(settings, file=file, trainer=trainer, dry_run=dry_run)
    trainers = await asyncio.to_thread(load_trainers, settings.project)
    if revision is not None and revision != await asyncio.to_thread(revision_of, settings.project):
        raise ConflictError(OUTDATED)
    chosen, changes = choose(trainers, trainer), changes or {}
    if like is not None:
        chosen, changes = await repeated(settings, trainers, trainer, like, changes)
    config = applied(chosen["config"], changes)
    if later_seed:
        seed = config.get("seed")
        first = seed if isinstance(seed, int) else by_field()["seed"].default
        assert isinstance(first, int)
        changes = {**changes, "seed": (first + later_seed) % 2**32}
        config = applied(chosen["config"], changes)
    if changes:
        if wrong := conflict(config):
            raise BadRequestError(wrong)
        config["setByHand"] = list(complete(chosen["config"], changes))
    if dry_run:
        config["dryRun"] = True
    in_red = await placed(settings, config)
    total = None if config.get("dryRun") else config.get("maxSteps")
    view = view_for(console or _stdout(), total if isinstance(total, int) else None)
    if revision is None:  # else Studio has asked, with the same findings
        await _say_errors(settings, chosen["name"], view)
    if in_red:
        view.say(in_red, "red")
    async with (
        notifying(settings, lambda text: view.say(text, "yellow")) as notices,
        joined(settings, view.notice) as backend,
    ):
        await need_placement(backend, settings, config)
        begin = None if parent is None else await parent_of(backend, parent)
        name = await _free_name(backend, chosen)
        job_id, forecast = await create(backend, settings, name, config, begin)
        tell = functools.partial(notices.take, job_id, name)
        ending = _ending(backend, job_id, view, yes=yes)
        with view:
            view.say(f"Started job {job_id}")
            if name != chosen["name"]:
                view.say(f"Name: {one_line(name, 200)}")
            if line := forecast_line(forecast):
                view.say(line)
            try:
                status = await _unless_stopped(watch(backend, job_id, view, tell), ending)
            except _StoppedError as stopped:
                await _say_stopped(backend, settings, job_id, view)
                return 128 + stopped.number
            except BackendEndedError:
                view.say(
                    f"Studio, or the command whose backend this was, has ended. Job {job_id} goes on "
                    "by itself when `arkor-dev --local` runs next.",
                    "yellow",
                )
                return EXIT_CODES["paused"]
            except ArkorError as fault:
                view.say(f"The job can be followed no longer: {one_line(fault.text, 2000)}", "red")
                return 1
            if status == "paused":
                local = " --local" if settings.local else ""
                view.say(f"Job {job_id} is paused. Resume with `arkor-dev jobs resume {job_id}{local}`.")
            else:
                view.say(f"Job {job_id} finished with status={status}")
    if status == "completed" and view.console.is_terminal:
        view.say(f"Next: open Studio ({_studio(settings)}) and talk to the result in the Playground.")
    return EXIT_CODES.get(status, 1)


async def run_seeds(settings: Settings, seeds: int, *, like: str | None, **more: Any) -> int:
    """Train ``seeds`` times with settings that differ in the seed alone; the first exit code that is not 0.

    The job ``like`` is the first of them. The rest is as for :func:`run_start`.
    """
    if seeds > 1 and await asyncio.to_thread(runs_typescript, settings):
        raise BadRequestError("--seeds is for arkor.toml. This project has its seed in its own code.")
    for later in range(1 if like and seeds > 1 else 0, seeds):
        if code := await run_start(settings, like=like, later_seed=later, **more):
            return code
    return 0


async def _say_errors(settings: Settings, trainer: str, view: PlainView) -> None:
    """Name what is wrong with the data, as far as a few seconds go, and go on."""
    with contextlib.suppress(ArkorError):
        report = await asyncio.to_thread(check_trainer, settings.project, trainer, lambda *_: None, SECONDS)
        errors = [finding for finding in report["findings"] if finding["level"] == "error"]
        for finding in errors:
            for line in lines_of(finding, 1):
                view.say(*line)


async def _free_name(backend: Backend, trainer: Trainer) -> str:
    """A name that no other job has; the trainer's own where the backend does not list its jobs."""
    taken: list[object] = []
    with contextlib.suppress(ArkorError):
        taken = [job.get("name") for job in await jobs_of(backend)]
    return free_name(trainer["name"], taken)


async def create(
    backend: Backend,
    settings: Settings,
    name: str,
    config: dict[str, object],
    parent: dict[str, object] | None,
) -> tuple[str, object]:
    """The new job's id, and what is forecast of it, where the backend knew that."""
    try:
        answer = await backend.create_job(name, config, parent)
    except BadRequestError as fault:
        source = config.get("datasetSource")
        if isinstance(source, dict) and source.get("type") == "file" and not settings.local:
            raise BadRequestError(
                f"{one_line(fault.text)} (This trainer's dataset is a file of the project, which only the "
                "local backend reads: add --local, or name a dataset by huggingface or url.)",
            ) from None
        raise
    job = answer.get("job")
    job = job if isinstance(job, dict) else {}
    job_id = job.get("id")
    if not isinstance(job_id, str) or not job_id or one_line(job_id, 200) != job_id:
        raise BackendError("The backend created a job but did not say which. Look for it in Studio.")
    return job_id, job.get("forecast")


async def watch(backend: Backend, job_id: str, view: PlainView, tell: Callable[[JobEvent], None]) -> str:
    """Show the job's events to the last; its final status. A pause that somebody has to end is one."""
    async with aclosing(follow(backend, job_id)) as items:
        async for item in items:
            view.show(item)
            if isinstance(item, JobEvent):
                tell(item)
            if isinstance(item, JobEvent) and item.name == TRAINING_PAUSED:
                reason = item.data.get("reason") if isinstance(item.data, dict) else None
                if reason not in PASSING:
                    return "paused"
    return await _final_status(backend, job_id, view)


async def _final_status(backend: Backend, job_id: str, view: PlainView) -> str:
    seen = view.run.ended
    # The stream may end a moment before the job's record says so.
    for pause in (0.0, 0.2, 0.8, 2.0):
        await asyncio.sleep(pause)
        with contextlib.suppress(ArkorError):
            job = await job_of(backend, job_id)
            status = str(job.get("status"))
            if status in TERMINAL:
                if status == "failed" and seen is None and job.get("error"):
                    view.say(f"failed: {one_line(job['error'], 2000)}", "red")
                return status
    return seen or "unknown"


async def _say_stopped(backend: Backend, settings: Settings, job_id: str, view: PlainView) -> None:
    if not backend.ends_with_launch:
        view.say(
            f"Stopped watching; job {job_id} goes on. To cancel it, open Studio ({_studio(settings)}) and "
            "press Cancel on the job's page.",
            "yellow",
        )
        return
    if await goes_on_later(backend):
        view.say(
            f"Job {job_id} pauses: its backend was started for this command and ends with it. It goes on by "
            f"itself when `{_studio(settings)}` runs next.",
            "yellow",
        )
        return
    view.say(
        f"Cancelling job {job_id}: its backend was started for this command and ends with it. For a job that "
        "goes on, keep `arkor-dev --local` open in another terminal.",
        "yellow",
    )
    with contextlib.suppress(ArkorError, TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS):
            await backend.cancel_job(job_id)
            for pause in itertools.repeat(0.1):
                status = (await job_of(backend, job_id)).get("status")
                if status in TERMINAL:
                    view.say(f"Job {job_id} finished with status={status}")
                    return
                await asyncio.sleep(pause)


def _studio(settings: Settings) -> str:
    return "arkor-dev --local" if settings.local else "arkor-dev"


def _ending(backend: Backend, job_id: str, view: PlainView, *, yes: bool) -> Ending:
    async def would_be_lost() -> list[str]:
        if not backend.ends_with_launch or await goes_on_later(backend):
            return []
        return [lost(job_id, view.run, "this command")]

    words = Words("", "arkor-dev: interrupted", "The job goes on.")
    ask = view.console.is_terminal and sys.stdin is not None and sys.stdin.isatty() and not yes
    ending = Ending(words, would_be_lost, lambda line: view.say(line, "yellow"), ask=ask)
    # A signal that was ignored from the start (nohup, a shell's background job) stays ignored.
    return ending.watch(number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


async def _unless_stopped(work: Coroutine[object, object, str], ending: Ending) -> str:
    """The work's result; raises _StoppedError when SIGINT or SIGTERM comes first."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise _StoppedError(stopped.result())
    finally:
        ending.close()
        for each in (task, stopped):
            each.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


def _stdout() -> Console:
    """Standard output, on which a character that its encoding lacks is no reason to stop watching."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False)
