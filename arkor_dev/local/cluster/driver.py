"""The process between the backend and a cluster, for a job at a time: to the backend it is a training worker.

It is told a job and a model and passes them on with their files, passes on what the worker on the node says,
and brings what that has saved before it says so. When the node is lost it ends with ``lost``, which is a
crash like another: the job goes on from what was brought last. When a job finds no room it ends with
``waits``. ``end`` tells it to leave the cluster as it was, ``detach`` to let the job train on there. What
trains on there already is attached to: what it has said since is passed on as if it were said now.

After ``end`` the process ends, too, unless its job was completed and nothing of it is left anywhere: then it
says ``free``, and may be told another job of the same cluster. One whose connection does not hold any more
ends without a word about that job. With ``hold`` it holds the job's place for a moment, if the next one of
the same wish comes at once; who else waits for a place has said so by ``seeks``.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from arkor_dev.contract.placement.address import CLUSTER, INSECURE
from arkor_dev.local.execution import leases
from arkor_dev.local.workers.link import Link

from .carried import LEAVE_SECONDS, Carried
from .kept import Line, Spare

if TYPE_CHECKING:
    from collections.abc import Mapping

JOBS: Final = 20
"""How many jobs one process carries at the most: whatever it might gather in memory is gone with it."""


class Driver:
    """Carries one job after the other."""

    def __init__(self) -> None:
        self._line, self._spare, self._left = Line(), Spare(), JOBS
        self._over = threading.Event()
        orders = {"cancel": self._pass_on, "pause": self._pass_on, "known": self._known}
        self.link = Link({**orders, "detach": self._detach, "end": self._end})
        self.job = Carried(self.link, self._line, self._spare)

    def _pass_on(self, order: Mapping[str, Any]) -> None:
        self.job.pass_on(order)

    def _known(self, told: Mapping[str, Any]) -> None:
        self.job.known(told)

    def _detach(self, _: Mapping[str, Any]) -> None:
        self.job.detach()
        self._leave()

    def _end(self, order: Mapping[str, Any]) -> None:
        """Leave the cluster, and be free where it is sure that all of the job is over; else end."""
        self._left -= 1
        left = self.job.leave(hold=bool(order.get("hold") and self._left))
        if not (left and self.job.done and self._left):
            self._exit()
        self.job = Carried(self.link, self._line, self._spare)
        self._over.set()
        self.link.send(free=True)

    def _leave(self) -> NoReturn:
        self.job.leave()
        self._exit()

    def run(self) -> NoReturn:
        """Carry jobs, until the backend says end or is gone."""
        while True:
            told = self.link.receive()
            if self._line.made and not self._holds(told):
                self._exit()
            self.job.run(told)
            if not self._over.wait(10 * LEAVE_SECONDS):
                self._leave()
            self._over.clear()

    def _holds(self, told: Mapping[str, Any]) -> bool:
        """Whether the line leads where the job is to go; one that trains on may be elsewhere."""
        config = told["config"]
        if leases.of_job(Path(told["data"]), told["id"]):
            return False
        return self._line.holds(config[CLUSTER], insecure=bool(config.get(INSECURE)))

    def _exit(self) -> NoReturn:
        self._spare.give_back()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    Driver().run()
