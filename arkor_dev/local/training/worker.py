"""The process that trains one job: handles its messages and reports how it ended."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import (
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_PAUSED,
    TrainingCancelled,
    TrainingCompleted,
    TrainingFailed,
    TrainingPaused,
)
from arkor_dev.local.cards.job_rows import FILES_CHANGED, save_rows
from arkor_dev.local.cards.sample_file import sample_observer
from arkor_dev.local.checkpoints.origin import FileHashes, hash_of_readable_data
from arkor_dev.local.checkpoints.preflight import check_writable
from arkor_dev.local.checkpoints.resume_points import drop_later
from arkor_dev.local.execution.messages import (
    Cancel,
    Ended,
    Evaluated,
    JobRequest,
    Pause,
    ResumePoint,
    TrainingEvent,
)
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.metrics.divergence import DivergenceMonitor
from arkor_dev.local.metrics.system_metrics import Machine, MetricsSampler
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers import resources
from arkor_dev.local.workers.errors import JobFailure, OutOfMemory, out_of_memory
from arkor_dev.local.workers.link import Link

from .distributed.rendezvous import PeerLostError, Rendezvous
from .phases import LOADING, Phases
from .preparation import RunPreparation
from .rows.weights import distinct
from .run_events import RunEvents
from .stop import Stop

if TYPE_CHECKING:
    from arkor_dev.contract.events import Event
    from arkor_dev.local.execution.messages import WorkerEvent


LOST_SECONDS: Final = 30.0


class TrainingWork:
    """One job, from its first message to its end."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.pause: str | None = None
        self.stop = Stop(self.cancel.is_set, lambda: self.pause)
        self.divergence = DivergenceMonitor()
        self.silent = False
        self.meeting: Rendezvous | None = None
        self.link = Link({Cancel: lambda _: self.cancel.set(), Pause: self._pause})

    def _pause(self, message: Pause) -> None:
        self.pause = message.reason

    def _send(self, event: WorkerEvent) -> None:
        if not self.silent:
            self.link.send(TrainingEvent(event))

    def _look_for_divergence(self, event: Event) -> None:
        if message := self.divergence.record(event):
            self._send(message)

    def train(self) -> None:
        job, began = self.link.receive(JobRequest), time.monotonic()
        data, folder = Path(job.data), job_folder(Path(job.data), job.id)
        meeting = self.meeting = Rendezvous.of(job.group, self.link)
        self.silent = meeting is not None and meeting.rank > 0  # only rank 0 reports
        if device := job.device:  # before listing what exists
            os.environ["CUDA_VISIBLE_DEVICES"] = device
        if not self.silent:
            if not job.resume and not job.evaluate:
                drop_later(data, job.id, -1)  # from a start that the database has lost
            check_writable(data, job.id)
        keep = sample_observer(folder)
        emit = RunEvents(self._send, keep, self._look_for_divergence)
        phases = Phases(emit)
        if not job.evaluate:
            phases.enter(LOADING)
        preparation = RunPreparation(job, emit, self._progress)
        # Used by the backend or by the final comparison; reading them records their values.
        for field in ("reportTo", "pauseOnBattery", "cpus", "gpus", "memory", "workers", "verdictMargin"):
            preparation.settings.get(field)
        keeps_rows = not (job.resume or job.evaluate or self.silent)
        read = job.config, Path(job.project), FileHashes(data)
        files = hash_of_readable_data(*read) if keeps_rows else ""
        preparation.read()
        if keeps_rows:
            files = files if hash_of_readable_data(*read) == files else FILES_CHANGED
            read[-1].save()
            save_rows(folder, distinct(preparation.train_rows), preparation.eval_rows, files)
        if meeting:
            meeting.check(preparation.plan.batch_size)
        model = self.link.receive(Model)
        if saved := job.evaluate:  # of an earlier job; nothing is trained
            from .final_evaluation.measure import judge_kept, measure_strengths

            measure = measure_strengths if saved.strengths else judge_kept
            evaluation = measure(preparation, model, saved)
            self.link.send(Evaluated(evaluation))
            return
        preparation.load(model)
        preparation.encode()
        if meeting:
            from .distributed.process_group import ProcessGroup

            group = ProcessGroup(meeting, preparation.base.device)
            if self.silent:
                preparation.make_run(group=group).run()
                self.link.send(Ended(TrainingCompleted(type=TRAINING_COMPLETED)))
                return
        else:
            group = None
        from arkor_dev.local.cards.writer import rewrite_card

        from .final_evaluation.measure import FinalEvaluation
        from .samples.sampler import Samples

        judging, samples = (
            FinalEvaluation(preparation, self.stop.requested),
            Samples(preparation, self.stop.requested, began),
        )
        run = preparation.make_run(self.stop, self._report_resume_point, group)
        run.phases = phases
        judging.follow(run)
        samples.follow(run)
        # Called on a separate thread; observers belong to the run's thread.
        with MetricsSampler(RunEvents(self._send), lambda: run.step, lambda: Machine(run.base.gpu)):
            end = run.run()
        if end.event["type"] == TRAINING_COMPLETED:
            if judging.judge() and samples.end():  # a person waits for the verdict
                rewrite_card(data, job.id)
                metrics = end.event["metrics"]
                metrics["peakBytes"] = resources.peak_memory()
                if peaks := run.base.gpu_peaks():
                    metrics["gpuPeakBytes"] = peaks
            elif self.cancel.is_set():
                end = Ended(TrainingCancelled(type=TRAINING_CANCELLED))
            else:  # all steps are saved: the comparison follows after resuming
                reason = self.pause or "ended"
                end = Ended(TrainingPaused(type=TRAINING_PAUSED, step=run.step, reason=reason))
        self.link.send(end)

    def _progress(self, label: str, done: float, total: float | None, unit: str) -> None:
        if not self.silent:
            self.link.progress(label, done, total, unit)

    def _report_resume_point(self, step: int) -> None:
        self.link.send(ResumePoint(step))

    def run(self) -> None:
        """Run the job; report any error in words for the user."""
        try:
            self.train()
        except PeerLostError:
            traceback.print_exc()
            time.sleep(LOST_SECONDS)  # the backend sees which worker is gone, and stops all of them
            sys.exit("The other workers of this job no longer answer")
        except JobFailure as failure:
            event = TrainingFailed(type=TRAINING_FAILED, error=str(failure))
            step = getattr(failure, "step", None)  # of a NonFiniteError, which is only importable with torch
            if step is not None:
                event["nonFinite"], event["step"] = True, step
            if isinstance(failure, OutOfMemory):
                event["outOfMemory"] = True
            self.link.send(Ended(event))
        except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
            traceback.print_exc()
            event = TrainingFailed(type=TRAINING_FAILED, error=f"{type(error).__name__}: {error}")
            if out_of_memory(error):
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                event["error"] = f"The machine ran out of memory: lower batch_size or max_length ({reason})."
                event["outOfMemory"] = True
            self.link.send(Ended(event))
        finally:
            if self.meeting and self.meeting.folder:
                self.meeting.folder.remove()


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # chat and the page take priority on a shared processor, without starving training
    TrainingWork().run()
    sys.stdout.flush()
    os._exit(0)
