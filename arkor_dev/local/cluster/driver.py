"""The process between the backend and a cluster. To the backend it is a training worker, one job at a time.

It receives a job and its model, sends their files to a node, and forwards the worker's messages, each only
after the files that it mentions have arrived. If the node is lost, the process ends with `Lost`, which the
backend treats as a crash: the job resumes from its last files that arrived. Without capacity it ends with
`Waits`. `Leave` removes everything from the cluster; `Detach` leaves the job training there. After
attaching to a job that already trains there, all messages since the last acknowledged one are forwarded.

After `Leave` the process exits, unless its job was completed and nothing of it remains: then it sends
`Free` and can take another job on the same cluster. If its connection no longer works, it exits without
reporting on that job. ``hold`` keeps the job's actor briefly for a next job with the same request; `Seeking`
says that this process waits for resources, so that other drivers release theirs.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from arkor_dev.contract.placement import CLUSTER, INSECURE
from arkor_dev.local.execution import leases
from arkor_dev.local.execution.messages import Cancel, Detach, Free, JobRequest, Leave, Pause, Stored
from arkor_dev.local.workers.link import Link

from .driver_cache import ClusterConnection, SpareActor
from .job_session import RELEASE_SECONDS, JobSession

if TYPE_CHECKING:
    from arkor_dev.local.execution.messages import Command

MAX_JOBS: Final = 20
"""Maximum number of jobs per process, which limits whatever Ray may accumulate in memory."""


class Driver:
    """Runs one job after another."""

    def __init__(self) -> None:
        self._connection, self._spare, self._jobs_left = ClusterConnection(), SpareActor(), MAX_JOBS
        self._ended = threading.Event()
        self.link = Link(
            {
                Cancel: self._pass_on,
                Pause: self._pass_on,
                Stored: self._acknowledge,
                Detach: self._detach,
                Leave: self._end,
            }
        )
        self.job = JobSession(self.link, self._connection, self._spare)

    def _pass_on(self, message: Command) -> None:
        self.job.pass_on(message)

    def _acknowledge(self, message: Stored) -> None:
        self.job.acknowledge(message.mark)

    def _detach(self, _: Detach) -> None:
        self.job.detach()
        self._release_and_exit()

    def _end(self, message: Leave) -> None:
        """Leave the cluster; become free if nothing of the job remains there, else exit."""
        self._jobs_left -= 1
        is_clean = self.job.release(hold=message.hold and self._jobs_left > 0)
        if not (is_clean and self.job.is_complete and self._jobs_left):
            self._exit()
        self.job = JobSession(self.link, self._connection, self._spare)
        self._ended.set()
        self.link.send(Free())

    def _release_and_exit(self) -> NoReturn:
        self.job.release()
        self._exit()

    def run(self) -> NoReturn:
        """Run jobs until the backend sends `Leave`, or is gone."""
        while True:
            job = self.link.receive(JobRequest)
            if self._connection.is_open and not self._can_run(job):
                self._exit()
            self.job.run(job)
            if not self._ended.wait(10 * RELEASE_SECONDS):
                self._release_and_exit()
            self._ended.clear()

    def _can_run(self, job: JobRequest) -> bool:
        """Return whether the open connection serves this job; a detached job may be on another cluster."""
        config = job.config
        if leases.of_job(Path(job.data), job.id):
            return False
        return self._connection.works(config[CLUSTER], insecure=bool(config.get(INSECURE)))

    def _exit(self) -> NoReturn:
        self._spare.kill()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    Driver().run()
