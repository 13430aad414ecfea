"""Runs sweeps: adds a trial's job to the queue, takes its result, and asks the plan for the next action.

The jobs are ordinary ones, except that every other job in the queue goes first. No state of a sweep is only
in memory: each action is recorded before the job changes, so after being killed the backend repeats at most
the last change.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import math
import sqlite3
import time
from datetime import UTC, datetime
from statistics import fmean
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ArkorError, BadRequestError, ConflictError, NotFoundError
from arkor_dev.contract.events import TRAINING_LOG
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.shapes import TERMINAL, EvaluationMeasure
from arkor_dev.contract.sweep_space import LENGTH, combinations, space_problem
from arkor_dev.data.sources import name_of, parts_of, uses_of, weights_of
from arkor_dev.local.cards.job_rows import files_read
from arkor_dev.local.checkpoints.origin import DATA_CHANGED, FileHashes, hash_of_readable_data
from arkor_dev.local.evaluation import minimums, results
from arkor_dev.local.jobs.job_config import check_config, check_files, public, with_current_reviews
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.jobs.records import now
from arkor_dev.local.jobs.store import Store, new_id
from arkor_dev.local.workers import daemon_messages as notices
from arkor_dev.local.workers.background import background_task
from arkor_dev.local.workers.codec import read_as
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from . import plan, record
from .design import FEWEST_SOURCES, MOST_SOURCES, design, sizes
from .judging import none, selecting_loss
from .messages import (
    HeldOut,
    HoldOut,
    JudgeSources,
    JudgeSweep,
    Observation,
    SourcesJudged,
    Suggested,
    SuggestTrial,
    SweepJudged,
)
from .plan import Conclude, Confirm, Extend, Try
from .record import SEARCH, START, WINNER, Estimate, SweepRecord, Trial
from .sampler import GRID_MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from arkor_dev.contract.shapes import (
        DatasetSource,
        Job,
        JobConfig,
        JobSweep,
        NewSweep,
        Sweep,
        SweepTrial,
        SweepVerdict,
    )
    from arkor_dev.local.evaluation.results import Scores
    from arkor_dev.local.execution.messages import ResumeOptions
    from arkor_dev.local.forecast.service import Forecasts
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.jobs.scheduler import Scheduler
    from arkor_dev.local.workers.codec import M

    from .record import Role, State

log = logging.getLogger(__name__)

WORKER: Final = "arkor_dev.local.sweeps.worker"
LOOK_SECONDS: Final = 1.0
"""Seconds between checks of the time."""
TICK_SECONDS: Final = 0.4
"""Minimum seconds between two checks: a training job changes the store at every step."""
LONGEST: Final = 14 * 24 * 3600
MEASURE: Final = 40
"""Maximum length of a measure's name, in characters."""
EXTENDED: Final = "It is one of the better trials of its sweep, and continues."
TIME_IS_UP: Final = "the time was up before the best trial could be confirmed"
OTHER_DATA: Final = (
    "The files of its data set have changed since it began. Restore them to continue, or stop the sweep and "
    "start another with the new rows."
)
TOO_FEW: Final = (
    f"A sweep needs at least {2 * minimums.ROWS} independent held-out rows, half to select by and half to "
    "judge by, and this trainer holds out {}"
)
TOO_FEW_JUDGES: Final = (
    f"What sources do is judged by at least {minimums.ROWS} independent rows, and this trainer holds out {{}}"
)
MOST_REPEATS: Final = 3
"""Maximum number of times that a trial is repeated because its data changed while it ran."""
STOPPED: Final = "the sweep was stopped before the best trial could be confirmed"
DRY: Final = "A dry run says nothing about settings: sweep without dry_run"
NOT_ALL: Final = "its runs say something together only, and it was stopped before the last of them"


class Sweeps:
    """The sweeps of one project; at most one runs at a time.

    ``must_wait`` returns whether other work, such as an export, waits for trials to free resources.
    """

    def __init__(
        self,
        store: AsyncStore,
        scheduler: Scheduler,
        forecasts: Forecasts,
        data: Path,
        project: Path,
        must_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self._must_wait = must_wait
        self._store, self._scheduler, self._forecasts = store, scheduler, forecasts
        self._data, self._project = data, project
        self._sweeps: dict[str, SweepRecord] = record.read_all(data)
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._exhausted: set[str] = set()
        self._spent: dict[str, float] = {}
        self._begun: set[str] = set()
        self._seen: dict[str, float] = {}
        self._hashes = FileHashes(data)
        self._held: set[str] = set()
        self._unwritten: set[str] = set()
        """Sweeps whose newest state is not on disk, which was full."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Continue the running sweep while the body runs."""
        return background_task(self._run())

    # Called by the server

    async def start(self, body: NewSweep) -> Sweep:
        """Start a sweep; return it. Raises BadRequestError, and ConflictError while another one runs."""
        config = await asyncio.to_thread(with_current_reviews, check_config(body["config"]), self._project)
        runs = None
        sources = body.get("sources")
        if sources is None:
            _check_request(config, body)
        else:
            runs = await asyncio.to_thread(_runs_of_sources, config, sources.get("runs"), body)
        began = time.time()
        deadline = None
        if (end := body.get("deadline")) is not None:
            with contextlib.suppress(OverflowError):  # the year 1, far east
                deadline = datetime.fromisoformat(end).timestamp()
            if deadline is None or not began < deadline <= began + LONGEST:
                raise BadRequestError("deadline must be a time in the next 14 days")
        rows = await self._check_held_out(config, least=minimums.ROWS if runs else 2 * minimums.ROWS)
        if runs:
            uses = _uses(config["datasetSource"], rows)
            if 0 in uses:
                name = name_of(parts_of(config["datasetSource"])[uses.index(0)])
                raise BadRequestError(
                    f"{name} leaves no row to train on: add rows, or remove it from dataset"
                )
        async with self._turn:
            if other := next((known for known in self._sweeps.values() if known.state == "running"), None):
                raise ConflictError(f"The sweep {other.name} is running: wait for its end, or stop it")
            sweep = SweepRecord(
                record.new_sweep_id(), body["name"].strip(), now(), began, config, body.get("space") or {},
                plan.seed_of(config), deadline, body.get("jobs"),
                data=await asyncio.to_thread(hash_of_readable_data, config, self._project, self._hashes),
                runs=runs, rows=rows if runs else [], steps=sources.get("steps") if sources else None,
            )  # fmt: skip
            await self._write(sweep)
            self._sweeps[sweep.id] = sweep
        self._scheduler.wake()
        self._news.set()
        return self._view(sweep)

    async def _check_held_out(self, config: JobConfig, least: int) -> list[int]:
        """Return the rows of each source, if known; raise BadRequestError if there are less than ``least``
        groups of held-out rows.

        ``evalSplit`` of the error is a share of the rows that would suffice.
        """
        try:
            found = (await self._ask(HoldOut(config, str(self._project)), HeldOut)).held_out
        except JobFailure as failure:  # data that no trial could read
            raise BadRequestError(str(failure)) from None
        if found is None:
            return []
        if found["groups"] >= least:
            return list(found["rows"])
        if least < 2 * minimums.ROWS:
            raise BadRequestError(f"{TOO_FEW_JUDGES.format(found['groups'])}: add rows to eval_dataset")
        share = found["share"]
        advice = "add rows" if share is None else f"hold out {100 * share:.0f} % (eval_split = {share})"
        raise BadRequestError(
            f"{TOO_FEW.format(found['groups'])}: {advice}", **({} if share is None else {"evalSplit": share})
        )

    def views(self) -> list[Sweep]:
        """Return all sweeps, newest first."""
        return [self._view(sweep) for sweep in reversed(self._sweeps.values())]

    def view(self, sweep_id: str) -> Sweep:
        """Return a sweep. Raises NotFoundError."""
        return self._view(self._get(sweep_id))

    async def stop(self, sweep_id: str) -> Sweep:
        """End a running sweep now, with the verdict that its results allow; ignore an ended one."""
        sweep = self._get(sweep_id)
        async with self._turn:
            if sweep.state == "running":
                await self._cancel(sweep)
                await self._end(sweep, "stopped", NOT_ALL if sweep.runs else STOPPED)
        return self._view(sweep)

    async def delete(self, sweep_id: str) -> None:
        """Delete an ended sweep but keep its jobs. Raises ConflictError while it runs."""
        sweep = self._get(sweep_id)
        async with self._turn:
            if sweep.state == "running":
                raise ConflictError(f"The sweep {sweep.name} is running: stop it before you delete it")
            await asyncio.to_thread(record.delete, self._data, sweep_id)
            self._sweeps.pop(sweep_id, None)
            self._unwritten.discard(sweep_id)

    def _get(self, sweep_id: str) -> SweepRecord:
        if sweep_id not in self._sweeps:
            raise NotFoundError(f"There is no sweep {sweep_id}")
        return self._sweeps[sweep_id]

    # The loop

    async def _run(self) -> None:
        while True:
            self._news.clear()
            beat = self._store.pulse.next()
            running = [waiting for waiting in self._sweeps.values() if waiting.state == "running"]
            for sweep_id in list(self._unwritten):
                with contextlib.suppress(OSError):
                    async with self._turn:
                        await self._write(self._sweeps[sweep_id])
            for sweep in () if self._scheduler.idle else running:
                try:
                    async with self._turn:
                        while sweep.state == "running" and await self._advance(sweep):
                            pass
                except (OSError, sqlite3.Error):  # a full disk: the next check repeats it
                    log.exception("the sweep %s", sweep.id)
                except Exception as error:
                    log.exception("the sweep %s", sweep.id)
                    sweep.error = f"the local backend failed: {type(error).__name__}: {error}"
                    sweep.state, sweep.ended = "failed", now()
                    with contextlib.suppress(OSError):
                        await self._write(sweep)
            await asyncio.sleep(TICK_SECONDS)
            waits = [asyncio.ensure_future(self._news.wait())]
            if running:
                waits.append(asyncio.ensure_future(beat.wait()))
            try:
                await asyncio.wait(
                    waits,
                    timeout=LOOK_SECONDS if running or self._unwritten else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                for waiting in waits:
                    waiting.cancel()

    async def _advance(self, sweep: SweepRecord) -> bool:
        """Take one action of a running sweep; return whether another one may follow immediately."""
        await self._compare_data(sweep)
        if sweep.deadline is not None and plan.seconds_left(sweep, time.time()) <= 0:
            await self._cancel(sweep)
            await self._record_results(sweep)
            held = sweep.id in self._held
            await self._end(sweep, "completed", f"{TIME_IS_UP}: {DATA_CHANGED}" if held else TIME_IS_UP)
            return False
        if await self._record_results(sweep):
            return True
        if sweep.id in self._held:
            return False
        if sweep.estimate is None:
            return await self._estimate(sweep)
        if self._must_wait() or sum(trial.under_way for trial in sweep.trials) >= self._scheduler.at_once:
            return False
        before = sweep.level, sweep.best
        action = plan.next_action(sweep, plan.seconds_left(sweep, time.time()), sweep.id in self._exhausted)
        match action:
            case Try():
                await self._try(sweep)
            case Extend(trial):
                trial.rung += 1
                await self._write(sweep)
                await self._extend(sweep, trial)
            case Confirm(role, seed):
                assert sweep.best is not None
                settings = sweep.search[sweep.best].settings if role == WINNER else {}
                await self._begin(sweep, settings, role, seed)
            case Conclude(why):
                await self._end(sweep, "completed", why)
            case None if before != (sweep.level, sweep.best):
                await self._write(sweep)
        return action is not None

    async def _compare_data(self, sweep: SweepRecord) -> None:
        """Hold the sweep while its data set's files differ from those at its start."""
        data = await asyncio.to_thread(hash_of_readable_data, sweep.config, self._project, self._hashes)
        if data == sweep.data:
            self._held.discard(sweep.id)
        elif sweep.id not in self._held:
            self._held.add(sweep.id)
            notices.message("warning", f"The sweep {sweep.name} waits. {OTHER_DATA}")

    async def _estimate(self, sweep: SweepRecord) -> bool:
        """Estimate a run of the starting settings; return whether an estimate exists.

        A run that cannot be estimated in advance, such as one on a cluster or with data to download, is
        timed: the sweep begins with a run of the starting settings that it needs at its end in any case.
        """
        if sweep.trials:
            if error := sweep.trials[0].error:
                await self._fail(sweep, f"The run with your settings failed: {error}")
            return False
        if self._must_wait():
            return False
        try:
            config = check_config({**sweep.config, "samples": ["off"]})
        except BadRequestError as error:  # the sweep may be of an earlier version
            await self._fail(sweep, error.text)
            return False
        forecast = await self._forecasts.request(config)
        if sweep.runs and forecast["state"] == "failed":
            await self._fail(sweep, f"A run cannot be estimated: {forecast.get('error')}")
            return False
        if forecast["state"] == "failed":
            await self._begin(sweep, {}, START, plan.fresh_seeds(sweep)[0])
            return True
        if forecast["state"] != "measured":
            return False
        training = float(forecast["trainingSeconds"])
        fixed = float(forecast["seconds"]) - training
        self._apply_estimate(sweep, Estimate(int(forecast["steps"]), fixed, training))
        if sweep.error:
            await self._fail(sweep, sweep.error)
            return False
        await self._write(sweep)
        return True

    def _apply_estimate(self, sweep: SweepRecord, estimate: Estimate) -> None:
        """Plan the search from the estimate; set the sweep's error if there is no time for it."""
        if sweep.runs:  # half of the sources are in a run: half of the steps use their rows as often
            sweep.steps = sweep.steps or max(plan.FEWEST_STEPS, round(estimate.steps / 2))
            training = estimate.training * sweep.steps / max(1, estimate.steps)
            estimate = Estimate(sweep.steps, estimate.fixed, training)
        sweep.estimate = estimate
        sweep.rungs = plan.rungs_of(sweep)
        if sweep.runs:
            return
        seconds_left = plan.seconds_left(sweep, time.time())
        count, needed = plan.planned(sweep, seconds_left)
        if count < 2:
            full_run = plan.seconds_of(sweep, 0, 1)
            least = _minutes(needed + 2 * full_run)
            sweep.error = (
                f"There is no time for a sweep: a run takes about {_minutes(full_run)}, and with "
                f"{plan.SEEDS} fresh seeds of the winner and of your settings it needs at least {least}"
            )

    # Trials

    async def _try(self, sweep: SweepRecord) -> None:
        settings: dict[str, object] | None = {}
        if sweep.runs:
            inside = await asyncio.to_thread(design, len(parts_of(sweep.config["datasetSource"])), sweep.runs)
            row = inside[len(sweep.search)]
            await self._begin(sweep, {}, sources=[number for number, trained in enumerate(row) if trained])
            return
        if sweep.search:
            trials = [
                Observation(trial.settings, trial.losses[0] if trial.losses else None)
                for trial in sweep.search
            ]
            valid = [
                entry
                for entry, trial in zip(trials, sweep.search, strict=True)
                if not trial.error or entry.loss
            ]
            # Failed trials count as tried.
            tried = [*valid, *(entry for entry in trials if entry not in valid)]
            request = SuggestTrial(sweep.space, sweep.config, sweep.seed, tried)
            settings = (await self._ask(request, Suggested)).settings
        if settings is None:
            self._exhausted.add(sweep.id)
            return
        await self._begin(sweep, settings)

    async def _begin(
        self,
        sweep: SweepRecord,
        settings: dict[str, object],
        role: Role = SEARCH,
        seed: int | None = None,
        sources: Sequence[int] = (),
    ) -> None:
        trial = Trial(sweep.number_of(role), settings, new_id(), role, seed, sources=list(sources))
        self._begun.add(trial.job)
        sweep.trials.append(trial)
        await self._write(sweep)
        await self._create(sweep, trial)

    async def _create(self, sweep: SweepRecord, trial: Trial) -> None:
        try:
            config = check_config(plan.config_of(sweep, trial))
            await asyncio.to_thread(check_files, config, self._project)
        except BadRequestError as error:
            trial.error = error.text
            await self._write(sweep)
            return
        role = {
            SEARCH: "run" if sweep.runs else "trial",
            WINNER: "winner, seed",
            START: "your settings, seed",
        }[trial.role]
        name = f"{sweep.name}, {role} {trial.number if trial.seed is None else trial.seed}"
        part: JobSweep = {"id": sweep.id, "name": sweep.name, "trial": trial.number}
        forecast = await self._forecasts.stored_estimate(config)
        await self._store.write(Store.create, name, config, forecast, None, trial.job, part)
        self._scheduler.wake()

    async def _extend(self, sweep: SweepRecord, trial: Trial) -> None:
        job = await self._store.read(Store.get, trial.job)
        further = job.get("resumable", 0) if job else 0
        orders: ResumeOptions = {"force": False, "further": further, "unasked": True}
        try:
            await self._store.write(
                Store.resume, trial.job, EXTENDED, orders, check_config(plan.config_of(sweep, trial))
            )
        except ArkorError as error:
            trial.error = error.text
            await self._write(sweep)
        self._scheduler.wake()

    async def _record_results(self, sweep: SweepRecord) -> bool:
        """Record the jobs' results, and repeat changes that a crash prevented; return whether any changed."""
        changed, jobs = False, await self._store.read(Store.of_sweep, sweep.id)
        for trial in sweep.trials:
            if not trial.under_way:
                continue
            job = jobs.get(trial.job)
            if job is None:
                if trial.losses:
                    trial.error, changed = "Its job was deleted", True
                elif sweep.id not in self._held:
                    await self._create(sweep, trial)
                continue
            self._clock(job)
            if job["status"] not in TERMINAL:
                continue
            config = plan.config_of(sweep, trial)
            if await asyncio.to_thread(self._read_other_data, sweep, trial, job):
                if sweep.id in self._held:
                    continue
                await self._repeat(sweep, trial)
            elif job["status"] != "completed":
                trial.error = job.get("error") or f"Its job was {job['status']}"
            elif any(job["config"].get(field) != config.get(field) for field in LENGTH):
                await self._extend(sweep, trial)
                continue
            else:
                await asyncio.to_thread(self._take, sweep, trial, job)
                await self._record_time(sweep, trial, job)
            changed = True
        if changed:
            if problem := sweep.error:
                await self._cancel(sweep)
                await self._fail(sweep, problem)
            await self._write(sweep)
        return changed

    def _read_other_data(self, sweep: SweepRecord, trial: Trial, job: Job) -> bool:
        """Return whether an ended job read other data than those of the sweep's start, or refused them."""
        if job["status"] == "failed" and DATA_CHANGED in (job.get("error") or ""):
            return True  # it was to continue
        read = files_read(job_folder(self._data, trial.job))
        if read is None:  # too many rows to record, or it could not read them
            return job["status"] == "failed" and not trial.losses and sweep.id in self._held
        return read != sweep.data and job["status"] in ("completed", "failed")

    async def _repeat(self, sweep: SweepRecord, trial: Trial) -> None:
        """Run a trial's last part again, with the sweep's data."""
        trial.repeats += 1
        if trial.repeats > MOST_REPEATS:
            trial.error = "The files of its data set changed each time that it ran"
        elif trial.losses:
            await self._extend(sweep, trial)
        else:
            trial.job = new_id()
            self._begun.add(trial.job)
            await self._write(sweep)
            await self._create(sweep, trial)

    def _take(self, sweep: SweepRecord, trial: Trial, job: Job) -> None:
        """Record the result of a completed job."""
        scores, measure = self._scores(trial)
        if scores is None:
            trial.error = "It has no losses of held-out rows"
            return
        facts = {"rows": scores["rows"], "tokens": scores["tokens"]}
        if not sweep.facts:
            sweep.facts, sweep.measure = facts, measure
            count = len(set(scores["groups"]))
            if sweep.runs:
                if count < minimums.ROWS:
                    sweep.error = f"{TOO_FEW_JUDGES.format(count)}. Add rows to eval_dataset"
            elif count < 2 * minimums.ROWS:
                sweep.error = f"{TOO_FEW.format(count)}. Hold out more (eval_split), or set eval_dataset"
        if sweep.facts != facts:
            trial.error = (
                "It has other held-out rows, or reads them as other tokens, so its loss cannot be compared"
            )
            return
        loss = fmean(scores["adapter"]) if sweep.runs else selecting_loss(scores)
        if loss is None or not math.isfinite(loss):
            trial.error = "It has no finite loss"
            return
        trial.losses.append(round(loss, 6))
        trial.ends.append(job["completedAt"] or "")
        trial.steps.append(int(job["metrics"].get("step", 0)))

    def _scores(self, trial: Trial) -> tuple[Scores | None, EvaluationMeasure | None]:
        """Return the losses of the held-out rows, and the score's name if it is not the usual loss."""
        result = results.result(job_folder(self._data, trial.job), None, None)
        scores = result.get("scores") if result else None
        if not result or not scores or not scores.get("keys"):
            return None, None
        held_out = result["evaluation"].get("heldOut")
        measure = held_out.get("measure") if isinstance(held_out, dict) else None
        try:
            return scores, measure and read_as(EvaluationMeasure, measure)
        except (ValueError, RecursionError):
            return scores, None

    def _clock(self, job: Job) -> None:
        """Add up the seconds for which a job runs, without waiting and pauses."""
        at, since = time.monotonic(), self._seen.pop(job["id"], None)
        if since is not None:
            self._spent[job["id"]] = self._spent.get(job["id"], 0.0) + at - since
        if job["status"] == "running":
            self._seen[job["id"]] = at

    async def _record_time(self, sweep: SweepRecord, trial: Trial, job: Job) -> None:
        """Correct the estimate by the job's time, which is too short if the job was only partly observed."""
        spent, reached = self._spent.pop(trial.job, None), len(trial.losses)
        if trial.error or sweep.error:
            return
        if sweep.estimate is None:
            if spent is None or trial.job not in self._begun:  # rather include pauses than miss a part
                spent = _moment(job["completedAt"] or "") - _moment(job["startedAt"] or "")
            training = min(spent, await self._training_seconds(job))
            steps = int(job["metrics"].get("totalSteps") or trial.steps[-1])
            self._apply_estimate(sweep, Estimate(max(1, steps), spent - training, training))
            return
        if spent is None:
            return
        before, after = 0.0, 1.0
        if trial.role == SEARCH:
            before, after = sweep.rungs[reached - 2] if reached > 1 else 0.0, sweep.rungs[reached - 1]
        sweep.paces.append(round(max(0.1, spent / plan.uncorrected(sweep, before, after)), 4))

    async def _training_seconds(self, job: Job) -> float:
        """Return the seconds of all its steps, by those between its first and its last report."""
        logged = await self._store.read(Store.events, job["id"], 0, -1)
        rows = [json.loads(data) for _, name, data in logged if name == TRAINING_LOG]
        times = [(row["step"], _moment(row["timestamp"])) for row in rows if row.get("loss") is not None]
        (first, begun), (last, ended) = (times[0], times[-1]) if times else ((0, 0.0), (0, 0.0))
        steps = int(job["metrics"].get("totalSteps") or last)
        return (ended - begun) / (last - first) * steps if last > first else math.inf

    # The end

    async def _cancel(self, sweep: SweepRecord) -> None:
        jobs = await self._store.read(Store.of_sweep, sweep.id)
        going = [job_id for job_id, job in jobs.items() if job["status"] not in TERMINAL]
        await asyncio.gather(*(self._scheduler.cancel(job_id) for job_id in going))

    async def _fail(self, sweep: SweepRecord, why: str) -> None:
        sweep.state, sweep.error, sweep.ended = "failed", why, now()
        await self._write(sweep)
        notices.message("error", f"The sweep {sweep.name} has ended: {why}")

    async def _end(self, sweep: SweepRecord, state: State, why: str) -> None:
        """End a sweep with its verdict; ``why`` explains a possible lack of results to judge."""
        if sweep.runs:
            sweep.verdict = effects = await self._judge_sources(sweep, why)
            sweep.state, sweep.ended = state, now()
            await self._write(sweep)
            notices.message("info", f"The runs of {sweep.name} have ended. {effects['sentence']}")
            return
        pairs = self._pairs(sweep)
        complete = len(pairs) >= plan.SEEDS
        trials = [
            Observation(_with_defaults(sweep, trial), trial.losses[0])
            for trial in sweep.search
            if trial.losses
        ]
        request = JudgeSweep(
            space=sweep.space,
            seed=sweep.seed,
            trials=trials,
            measure=_measure(sweep),
            start=[start for start, _ in pairs] if complete else [],
            winner=[winner for _, winner in pairs] if complete else [],
        )
        try:
            judged = await self._ask(request, SweepJudged)
            sweep.importances, verdict = judged.importances, judged.verdict
        except JobFailure as failure:
            verdict, why = None, str(failure)
        if verdict is None:
            if not why and sweep.best is None:
                tried = sum(bool(trial.losses) for trial in sweep.search)
                higher = sweep.measure is not None and sweep.measure.get("higher")
                end = "highest" if higher else "lowest"
                why = f"your settings had the {end} {_measure(sweep)} of {tried} trials"
            verdict = none(_lower(why).removesuffix("."))
        sweep.verdict = verdict
        sweep.state, sweep.ended = state, now()
        await self._write(sweep)
        notices.message("info", f"The sweep {sweep.name} has ended. {verdict['sentence']}")

    async def _judge_sources(self, sweep: SweepRecord, why: str) -> SweepVerdict:
        """Set a design's effects, and return the verdict; ``why`` explains a possible lack of results."""
        source = sweep.config["datasetSource"]
        results = [await asyncio.to_thread(self._scores, trial) for trial in sweep.search if trial.losses]
        scores = [found for found, _ in results if found]
        if why or len(scores) != sweep.runs:
            return none(_lower(why or NOT_ALL).removesuffix("."), "No result")
        general = [await asyncio.to_thread(self._general, trial) for trial in sweep.search]
        known = [loss for loss in general if loss is not None]
        used = _uses(sweep.config["datasetSource"], sweep.rows)
        inside = [
            [rows * (number in trial.sources) for number, rows in enumerate(used)] for trial in sweep.search
        ]
        request = JudgeSources(
            shares=[[rows / sum(run) for rows in run] for run in inside],
            mixture=[rows / sum(used) for rows in used],
            losses=[found["adapter"] for found in scores],
            groups=scores[0]["groups"],
            general=known if len(known) == len(general) else None,
            names=[name_of(part) for part in parts_of(source)],
            weights=weights_of(source),
        )
        try:
            judged = await self._ask(request, SourcesJudged)
        except JobFailure as failure:
            return none(_lower(str(failure)).removesuffix("."), "No result")
        sweep.effects = judged.effects
        return judged.verdict

    def _general(self, trial: Trial) -> float | None:
        """Return a run's mean loss on general questions, None if it was not measured."""
        result = results.result(job_folder(self._data, trial.job), None, None)
        if result is None:
            return None
        part = result["evaluation"].get("general")
        loss = part.get("adapter") if isinstance(part, dict) else None
        return loss if isinstance(loss, float) and math.isfinite(loss) else None

    def _pairs(self, sweep: SweepRecord) -> list[tuple[Scores, Scores]]:
        """Return the scores of the starting settings and of the winner, by seed."""
        by_role: dict[tuple[str, int | None], Scores] = {}
        for trial in sweep.trials:
            scores, _ = self._scores(trial) if trial.role != SEARCH and trial.losses else (None, None)
            if scores:
                by_role[trial.role, trial.seed] = scores
        seeds = sorted(seed or 0 for role, seed in by_role if role == START and (WINNER, seed) in by_role)
        return [(by_role[START, seed], by_role[WINNER, seed]) for seed in seeds]

    async def _ask(self, request: HoldOut | SuggestTrial | JudgeSweep | JudgeSources, answer: type[M]) -> M:
        async with Child.running(WORKER) as child:
            child.send(request)
            return await child.result(answer, "The process of the sweep")

    async def _write(self, sweep: SweepRecord) -> None:
        """Store a sweep. Raises OSError; if the sweep is known, it is stored once the disk has space."""
        if sweep.id in self._sweeps:
            self._unwritten.add(sweep.id)
        await asyncio.to_thread(record.write, self._data, sweep)
        self._unwritten.discard(sweep.id)

    # The contract's shapes

    def _view(self, sweep: SweepRecord) -> Sweep:
        view: Sweep = {
            "id": sweep.id,
            "name": sweep.name,
            "state": sweep.state,
            "createdAt": sweep.created,
            "config": public(sweep.config),
            "space": sweep.space,
            "trials": [_trial_view(sweep, trial) for trial in sweep.trials],
        }
        if sweep.deadline is not None:
            view["deadline"] = _iso(sweep.deadline)
        if sweep.jobs is not None:
            view["jobs"] = sweep.jobs
        if sweep.ended:
            view["endedAt"] = sweep.ended
        if sweep.error:
            view["error"] = sweep.error
        if sweep.state == "running" and sweep.id in self._held:
            view["held"] = OTHER_DATA
        if sweep.estimate:
            view["rungs"] = [max(1, round(part * sweep.estimate.steps)) for part in sweep.rungs]
            if sweep.state == "running":
                count, seconds = plan.planned(sweep, plan.seconds_left(sweep, time.time()))
                view["plan"] = {"trials": count}
                expected = plan.expected_seconds(sweep, seconds)
                if expected is not None:
                    view["plan"]["endsAt"] = _iso(time.time() + expected)
        if sweep.runs:
            view["runs"] = sweep.runs
        if sweep.effects:
            view["effects"] = sweep.effects
        ranked = plan.finalists(sweep) if sweep.rungs and not sweep.runs else []
        if ranked:
            view["best"] = ranked[0].number
        if sweep.measure:
            view["measure"] = sweep.measure
        if sweep.importances:
            view["importances"] = sweep.importances
        if sweep.verdict:
            view["verdict"] = sweep.verdict.copy()
            if sweep.verdict["verdict"] == "better" and sweep.best is not None:
                best = sweep.search[sweep.best]
                view["verdict"] |= {"trial": best.number, "settings": plan.changes_of(sweep, best)}
        return view


def _trial_view(sweep: SweepRecord, trial: Trial) -> SweepTrial:
    view: SweepTrial = {
        "number": trial.number,
        "role": trial.role,
        "settings": trial.settings,
        "jobId": trial.job,
        "results": [
            {"step": step, "loss": loss, "at": at}
            for step, loss, at in zip(trial.steps, trial.losses, trial.ends, strict=True)
        ],
    }
    if trial.sources:
        view["sources"] = trial.sources
    if trial.seed is not None:
        view["seed"] = trial.seed
    if trial.error:
        view["error"] = trial.error
    if trial.under_way and sweep.state == "running":
        view["underWay"] = True
    return view


def _check_request(config: JobConfig, body: NewSweep) -> None:
    """Raise BadRequestError for a request that does not describe a valid sweep."""
    space, method = body.get("space") or {}, config.get("method")
    if problem := space_problem(space, method):
        field, fault = problem
        raise BadRequestError(f"space{'.' if field else ''}{field} {fault}")
    if body.get("deadline") is None and body.get("jobs") is None:
        raise BadRequestError("A sweep needs a deadline or a number of jobs")
    if config.get("dryRun"):
        raise BadRequestError(DRY)
    if config.get("evalSteps") == 0 or (
        config.get("datasetSplit") == 0 and not config.get("evalDatasetSource")
    ):
        raise BadRequestError(
            "A sweep compares settings on held-out rows, and this trainer holds out none: set eval_split, "
            "or eval_dataset"
        )
    grid_size = combinations(space)
    if (grid_size is None or grid_size > GRID_MOST) and importlib.util.find_spec("optuna") is None:
        raise BadRequestError(
            f"A space of more than {GRID_MOST} combinations needs Optuna. Install it with: "
            f"{install_command('sweep')}"
        )


def _runs_of_sources(config: JobConfig, runs: int | None, body: NewSweep) -> int:
    """Return the number of ``runs`` of a design over a config's sources. Raises BadRequestError."""
    if any(body.get(key) is not None for key in ("space", "deadline", "jobs")):
        raise BadRequestError("A design over sources has no space, deadline or jobs: it ends after its runs")
    count = len(parts_of(config["datasetSource"]))
    if not FEWEST_SOURCES <= count <= MOST_SOURCES:
        advice = "put files together" if count > MOST_SOURCES else "list several in dataset"
        raise BadRequestError(
            f"Runs are compared over {FEWEST_SOURCES} to {MOST_SOURCES} sources, and this data set has "
            f"{count}: {advice}"
        )
    if any(part["type"] != "file" for part in parts_of(config["datasetSource"])):
        raise BadRequestError("Runs are compared over files of the project: download the other data sets")
    judges = config.get("evalDatasetSource")
    if judges and any(part["type"] != "file" for part in parts_of(judges)):
        raise BadRequestError("Runs are compared over files of the project: download the evaluation rows")
    if not judges:
        raise BadRequestError(
            "Held-out rows of the sources themselves would judge each by its own kind: set eval_dataset to "
            "rows like those that the model is for"
        )
    if config.get("evalSteps") == 0:
        raise BadRequestError(
            "Runs are compared on evaluation rows, and eval_steps = 0 measures none: remove it"
        )
    if config.get("dryRun"):
        raise BadRequestError(DRY)
    allowed = sizes(count)
    runs = runs or allowed[-1]
    if runs not in allowed:
        raise BadRequestError(
            f"sources.runs must be one of {', '.join(map(str, allowed))} for {count} sources, not {runs}"
        )
    return runs


def _uses(source: DatasetSource, rows: Sequence[int]) -> list[int]:
    """Return how many rows of an epoch each source has in a run that trains on it."""
    weights = weights_of(source)
    return [uses_of(count, weight or 1) for count, weight in zip(rows, weights, strict=True)]


def _with_defaults(sweep: SweepRecord, trial: Trial) -> dict[str, object]:
    """Return a trial's values for the whole space, including those shared with the starting settings."""
    shared = {field: sweep.config.get(field) for field in sweep.space}
    return {**{field: value for field, value in shared.items() if value is not None}, **trial.settings}


def _measure(sweep: SweepRecord) -> str:
    """Return the name of the held-out rows' score, such as ``mean loss``."""
    label = _lower(str(sweep.measure.get("label", "loss")) if sweep.measure else "loss")[:MEASURE]
    return label if label.startswith("mean ") else f"mean {label}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _iso(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
