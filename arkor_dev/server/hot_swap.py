"""Hot swap: a running TypeScript trainer takes edits of its sources.

As in the ``arkor`` command's own Studio: if only callbacks changed, its process gets SIGUSR2 and loads them
from the new bundle while its job continues. If the job's config changed, SIGTERM asks it to stop after the
next checkpoint, and it is started again; a second SIGTERM would end it at once and is never sent here. An
SDK whose trainers have no readable config knows neither signal and is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ArkorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from arkor_dev.processes.training_runs import CommandRun, TrainingRuns
    from arkor_dev.project.typescript import Bundle, TypeScriptProject
    from arkor_dev.project.watch import ProjectWatch

log = logging.getLogger(__name__)

SOON: Final = 0.5
"""Seconds until the next look while a command has not yet started its job, and so may not handle signals."""
LONG: Final = 3600.0


class HotSwap:
    """Applies each edit to the running trainers; ``start_again`` starts a stopped one with the new code."""

    def __init__(
        self,
        watch: ProjectWatch,
        runs: TrainingRuns,
        project: Callable[[], TypeScriptProject],
        start_again: Callable[[CommandRun], Awaitable[object]],
    ) -> None:
        self._watch, self._runs, self._project = watch, runs, project
        self._start_again = start_again
        self._restarting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Apply edits until the watch is closed."""
        try:
            while not self._watch.closed:
                since = self._watch.edits
                applied = [self._apply(run, bundle) for run, bundle in await self._outdated()]
                await self._watch.changed(since, LONG if all(applied) else SOON)
        finally:
            for task in self._restarting:
                task.cancel()

    async def _outdated(self) -> list[tuple[CommandRun, Bundle]]:
        """Build the project, and return the runs that have another bundle loaded, with the new one."""
        runs = [run for run in self._runs.live() if run.launch.config is not None and not run.ending]
        if not runs:
            return []
        project = self._project()
        with contextlib.suppress(ArkorError):  # the page shows why it does not build
            await project.read()
            if (bundle := project.bundle) is not None:
                return [(run, bundle) for run in runs if run.bundle != bundle.digest]
        return []

    def _apply(self, run: CommandRun, bundle: Bundle) -> bool:
        """Swap the callbacks of ``run``, or stop it to start again; return False if it is too early."""
        if run.job_id is None:
            return False
        if bundle.config == run.launch.config:
            run.reload(bundle.digest)
        else:
            run.stop_early()
            task = asyncio.create_task(self._restart(run), name=f"restart of run {run.id}")
            self._restarting.add(task)
            task.add_done_callback(self._restarting.discard)
        return True

    async def _restart(self, run: CommandRun) -> None:
        await run.finished.wait()
        if run.exit_code != 0 or run.stopped:
            return  # it failed, or a person has stopped it
        try:
            await self._start_again(run)
        except ArkorError as fault:
            log.warning("%s could not be started again after an edit: %s", run.launch.trainer, fault.text)
