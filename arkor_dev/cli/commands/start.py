"""``arkor-dev start``: creates a job from a trainer of ``arkor.toml`` and follows it to its end.

Prints what a training command must print (docs/contract.md#training-command) and only watches: ending the
command leaves the job running. The exception is a backend that was started only for this command. It ends
with the command, so it pauses the job, or cancels one that could not be resumed, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import signal
import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console

from arkor_dev.cli.consent import SEND, ask_about_notices, confirm
from arkor_dev.cli.event_text import forecast_line
from arkor_dev.cli.interrupt import InterruptHandler, InterruptMessages
from arkor_dev.cli.lost_jobs import loss_line
from arkor_dev.cli.progress_view import view_for
from arkor_dev.client.creation import create, name_for
from arkor_dev.client.features import features_of, goes_on_later
from arkor_dev.client.following import watch
from arkor_dev.client.repetition import parent_of, repeated, with_adapter_of
from arkor_dev.connection.connect import BackendEndedError, joined
from arkor_dev.contract.changes import applied, complete, conflict
from arkor_dev.contract.errors import ArkorError, BadRequestError, ConflictError, NotFoundError
from arkor_dev.contract.settings import by_field
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.sources import SourceError
from arkor_dev.jobs.follow import JobEvent, job_of
from arkor_dev.notices.notifier import notifying
from arkor_dev.processes.job_report import reporter
from arkor_dev.project.arkor_toml import choose, load_trainers
from arkor_dev.project.arkor_toml import revision as revision_of
from arkor_dev.project.data_check import SECONDS, check_trainer
from arkor_dev.project.dataset_source import read_source
from arkor_dev.project.training_command import OUTDATED

from .cluster import need_placement, placed
from .data import lines_of
from .start_typescript import run_typescript, runs_typescript

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.backend.client import Backend
    from arkor_dev.cli.progress_view import PlainView
    from arkor_dev.client.creation import CreatedJob
    from arkor_dev.client.following import JobEnding
    from arkor_dev.contract.shapes import Trainer
    from arkor_dev.core.settings import Settings
    from arkor_dev.jobs.follow import Connection, Waiting

EXIT_CODES: Final = {"completed": 0, "failed": 1, "cancelled": 3, "deleted": 3, "paused": 4}
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
FORECAST_SECONDS: Final = 45.0
"""How long to wait for an estimate of time and memory; on an idle machine it takes 20 s at most."""
FORECAST_LOOK_SECONDS: Final = 0.3
TOML: Final = "arkor.toml"
SUFFIXES: Final = (".ts", ".mts", ".js", ".mjs")
OWN_DATA: Final = ("datasetSource", "evalDatasetSource", "datasetFormat")
CANCEL_SECONDS: Final = 20.0
"""How long to wait for a job to end after we have cancelled it."""


class _StoppedError(Exception):
    """A signal ended the command."""

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
    data: Sequence[str] = (),
    revision: str | None = None,
    like: str | None = None,
    parent: str | None = None,
    seeds: int = 1,
    then: Sequence[str] = (),
    yes: bool = False,
    console: Console | None = None,
) -> int:
    """Run ``trainer`` (None: the first), or the TypeScript entry ``file``, and return the exit code.

    ``file`` may also be the name of a trainer if there is an ``arkor.toml`` and no such file.

    ``changes`` are settings by field (`contract.changes`) that override the file's; the job records them.
    ``data`` are files of the project that replace the trainer's data set. ``like`` names a job whose settings
    and data are reused; ``parent`` a job, and a checkpoint of it, whose adapter is the starting point.
    ``seeds`` creates that many jobs at once, which differ only in the seed, and follows them one after
    another; the job ``like`` counts as the first. ``then`` are trainers to run next, each from the adapter of
    the job before it; a dry run of theirs starts from the base model.

    Exit codes: 0 completed; 1 failed, or can't be followed; 3 cancelled or deleted; 4 paused; 128 + n stopped
    by signal n. A TypeScript project's own command defines its codes. Of several jobs, the first code other
    than 0 counts. Raises ArkorError if no job was created: an invalid ``arkor.toml``, an unreachable backend.
    """
    if file is not None and await asyncio.to_thread(_names_trainer, settings, file):
        if trainer not in (None, file):
            raise BadRequestError(
                f"Two trainers are named: {one_line(file, 100)} and {one_line(trainer, 100)}."
            )
        file, trainer = None, file
    if file is not None or await asyncio.to_thread(runs_typescript, settings):
        if changes or like or parent or data or then or seeds > 1:
            raise BadRequestError(
                "--set, --changes, --like, --from, --data, --seeds and --then are for arkor.toml. This "
                "project has its settings in its own code."
            )
        return await run_typescript(settings, file=file, trainer=trainer, dry_run=dry_run)
    trainers = await asyncio.to_thread(load_trainers, settings.project)
    if revision is not None and revision != await asyncio.to_thread(revision_of, settings.project):
        raise ConflictError(OUTDATED)
    chosen, changes = choose(trainers, trainer), changes or {}
    if then and seeds > 1:
        raise BadRequestError("--then continues from one job: leave out --seeds.")
    for name in then:
        choose(trainers, name)
    if like is not None:
        chosen, changes = await repeated(settings, trainers, trainer, like, changes)
    if data:
        chosen = await asyncio.to_thread(_on_data, settings.project, chosen, data)
    configs = [
        _config(chosen, changes, later, dry_run=dry_run) for later in range(bool(like and seeds > 1), seeds)
    ]
    for config in configs:
        in_red = await placed(settings, config)
    total = None if configs[0].get("dryRun") else configs[0].get("maxSteps")
    total, console = total if isinstance(total, int) else None, console or Console(highlight=False)
    view = view_for(console, total)
    if revision is None and not data:  # otherwise Studio has shown the same findings
        await _say_errors(settings, chosen["name"], view)
    if in_red:
        view.say(in_red, "red")
    ask_about_notices(settings, lambda text: view.say(text, "yellow"))
    async with (
        notifying(settings, lambda text: view.say(text, "yellow")) as notices,
        joined(settings, view.notice, ask=lambda stake: confirm(stake, SEND, yes=yes)) as backend,
    ):
        await need_placement(backend, settings, configs[0])
        begin = None
        if parent is not None:
            chosen_parent = await parent_of(backend, parent)
            begin = chosen_parent.request()
            configs = [with_adapter_of(chosen_parent.job, config, changes) for config in configs]
        if not dry_run and revision is None:  # otherwise Studio has shown its own estimate
            with view:
                await _measure(backend, configs[0], view)
        created: list[CreatedJob] = []
        for config in configs:
            try:
                name = await name_for(backend, chosen["name"])
                created.append(await create(backend, settings, name, config, begin))
            except ArkorError as fault:
                if not created:
                    raise
                view.say(
                    f"Only {len(created)} of {seeds} jobs were created: {one_line(fault.text, 2000)}", "red"
                )
                break
        report = reporter()
        for job in created:
            report(job.id)
        codes: list[int] = []
        for number, job in enumerate(created):
            if number:
                view = view_for(console, total)
            notify = functools.partial(notices.notify, job.id, job.name)
            ending = _ending(backend, job.id, view, yes=yes)
            later = [later_job.id for later_job in created[number + 1 :]]
            with view:
                view.say(f"Started job {job.id}")
                if job.name != chosen["name"]:
                    view.say(f"Name: {one_line(job.name, 200)}")
                if later and not number:
                    view.say(f"Queued, with other seeds: {', '.join(later)}")
                if line := forecast_line(job.forecast):
                    view.say(line)
                code, continues = await _follow(backend, settings, job.id, view, notify, ending, later)
            codes.append(code)
            if not continues:
                break
    if then and not any(codes):
        return await run_start(
            settings, trainer=then[0], then=then[1:], dry_run=dry_run,
            parent=None if dry_run else created[0].id, yes=yes, console=console,
        )  # fmt: skip
    if codes[-1] == 0 and view.console.is_terminal:
        view.say(f"Next: open Studio ({_studio(settings)}) and talk to the result in the Playground.")
    return next((code for code in codes if code), 0)


def _on_data(project: Path, trainer: Trainer, data: Sequence[str]) -> Trainer:
    """Return ``trainer`` with these files as its data set. Raises BadRequestError for a missing one."""
    config = {key: value for key, value in trainer["config"].items() if key not in OWN_DATA}
    try:
        config["datasetSource"] = read_source(project, list(data) if len(data) > 1 else data[0])
    except SourceError as fault:
        raise BadRequestError(f"--data {fault}") from None
    return {**trainer, "config": config}  # type: ignore[typeddict-item]


def _config(
    trainer: Trainer, changes: Mapping[str, object], later_seed: int, *, dry_run: bool
) -> dict[str, object]:
    """Return a job's config: the trainer's with ``changes``, and a seed offset from theirs."""
    config = applied(trainer["config"], changes)
    if later_seed:
        seed = config.get("seed")
        first = seed if isinstance(seed, int) else by_field()["seed"].default
        assert isinstance(first, int)
        changes = {**changes, "seed": (first + later_seed) % 2**32}
        config = applied(trainer["config"], changes)
    if changes:
        if wrong := conflict(config):
            raise BadRequestError(wrong)
        config["setByHand"] = list(complete(trainer["config"], changes))
    if dry_run:
        config["dryRun"] = True
    return config


async def _follow(
    backend: Backend,
    settings: Settings,
    job_id: str,
    view: PlainView,
    notify: Callable[[JobEvent], None],
    ending: InterruptHandler,
    later: list[str],
) -> tuple[int, bool]:
    """Follow a job to its end; return its exit code, and whether those created with it can be followed."""

    def show(item: JobEvent | Connection | Waiting) -> None:
        view.show(item)
        if isinstance(item, JobEvent):
            notify(item)

    try:
        end = await _unless_stopped(watch(backend, job_id, show), ending)
        status = end.status
        if end.error and not end.reported:
            view.say(f"failed: {one_line(end.error, 2000)}", "red")
    except _StoppedError as stopped:
        await _say_stopped(backend, settings, job_id, view)
        if later:
            view.say(f"Still in the queue: {', '.join(later)}.", "yellow")
        return 128 + stopped.number, False
    except BackendEndedError:
        view.say(
            f"Studio, or the command that started this backend, has ended. Job {job_id} resumes by itself "
            "when `arkor-dev --local` runs next.",
            "yellow",
        )
        return EXIT_CODES["paused"], False
    except NotFoundError:
        status = "deleted"
    except ArkorError as fault:
        view.say(f"The job can no longer be followed: {one_line(fault.text, 2000)}", "red")
        return 1, False
    if status == "paused":
        local = _studio(settings).removeprefix("arkor-dev")
        view.say(f"Job {job_id} is paused. Resume with `arkor-dev jobs resume {job_id}{local}`.")
    elif status == "deleted":
        view.say(f"Job {job_id} was deleted.", "yellow")
    else:
        view.say(f"Job {job_id} finished with status={status}")
    return EXIT_CODES.get(status, 1), True


def _names_trainer(settings: Settings, text: str) -> bool:
    toml = settings.project / TOML
    return (toml.exists() or toml.is_symlink()) and not (
        (settings.project / text).is_file() or text.endswith(SUFFIXES)
    )


async def _measure(backend: Backend, config: Mapping[str, object], view: PlainView) -> None:
    """Measure the job's time and memory before it is created, if the backend can do that now.

    The new job then comes with its estimate. A failed measurement does not prevent training.
    """
    if "forecast" not in await features_of(backend):
        return
    with contextlib.suppress(ArkorError, ValueError, KeyError, TypeError, TimeoutError):
        forecast = json.loads((await backend.create_forecast({"config": config})).body)["forecast"]
        async with asyncio.timeout(FORECAST_SECONDS):
            while forecast["state"] == "measuring" or (
                # Even on an idle machine a new request waits a moment.
                forecast["state"] == "waiting" and not await _trains(backend)
            ):
                view.measuring(forecast.get("progress"))
                await asyncio.sleep(FORECAST_LOOK_SECONDS)
                forecast = json.loads((await backend.get_forecast(str(forecast["id"]))).body)["forecast"]


async def _trains(backend: Backend) -> bool:
    jobs = json.loads((await backend.list_jobs()).body)["jobs"]
    return any(job["status"] == "running" for job in jobs)


async def _say_errors(settings: Settings, trainer: str, view: PlainView) -> None:
    """Print errors of the data found within a few seconds, then continue."""
    with contextlib.suppress(ArkorError):
        report = await asyncio.to_thread(check_trainer, settings.project, trainer, lambda *_: None, SECONDS)
        errors = [finding for finding in report["findings"] if finding["level"] == "error"]
        for finding in errors:
            for line in lines_of(finding, 1):
                view.say(*line)


async def _say_stopped(backend: Backend, settings: Settings, job_id: str, view: PlainView) -> None:
    if not backend.ends_with_launch:
        view.say(
            f"Stopped following; job {job_id} keeps running. To cancel it, open Studio ({_studio(settings)}) "
            "and press Cancel on the job's page.",
            "yellow",
        )
        return
    if await goes_on_later(backend):
        view.say(
            f"Job {job_id} is paused: its backend was started for this command and ends with it. It "
            f"resumes by itself when `{_studio(settings)}` runs next.",
            "yellow",
        )
        return
    view.say(
        f"Cancelling job {job_id}: its backend was started for this command and ends with it. To keep jobs "
        f"running, leave `arkor-dev --local` open in another terminal.",
        "yellow",
    )
    with contextlib.suppress(ArkorError, TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS):
            await backend.cancel_job(job_id)
            for pause in itertools.repeat(0.1):
                job = await job_of(backend, job_id)
                if job is not None and (status := job.get("status")) in TERMINAL:
                    view.say(f"Job {job_id} finished with status={status}")
                    return
                await asyncio.sleep(pause)


def _studio(settings: Settings) -> str:
    if settings.ssh is not None:
        return f"arkor-dev --ssh {settings.ssh}"
    return "arkor-dev --local" if settings.local else "arkor-dev"


def _ending(backend: Backend, job_id: str, view: PlainView, *, yes: bool) -> InterruptHandler:
    async def would_be_lost() -> list[str]:
        if not backend.ends_with_launch or await goes_on_later(backend):
            return []
        return [loss_line(job_id, view.run, "this command")]

    words = InterruptMessages("", "arkor-dev: interrupted", "The job keeps running.")
    interactive = view.console.is_terminal and sys.stdin is not None and sys.stdin.isatty() and not yes
    ending = InterruptHandler(words, would_be_lost, lambda line: view.say(line, "yellow"), ask=interactive)
    # Keep ignoring a signal that was ignored from the start (nohup, a shell's background job).
    return ending.watch(number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


async def _unless_stopped(work: Coroutine[object, object, JobEnding], ending: InterruptHandler) -> JobEnding:
    """Return the coroutine's result; raise _StoppedError if SIGINT or SIGTERM comes first."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise _StoppedError(stopped.result())
    finally:
        ending.close()
        for pending in (task, stopped):
            pending.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
