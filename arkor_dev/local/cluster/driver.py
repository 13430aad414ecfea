"""The process between the backend and a cluster, for one job: to the backend it is a training worker.

It is told a job and a model and passes them on with their files, passes on what the worker on the node says,
and brings what that has saved before it says so. When the node is lost it ends with ``lost``, which is a
crash like another: the job goes on from what was brought last. When a job finds no room it ends with
``waits``. ``end`` tells it to leave the cluster as it was, ``detach`` to let the job train on there. What
trains on there already is attached to: what it has said since is passed on as if it were said now.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import (
    CHECKPOINT_REMOVED,
    CHECKPOINT_SAVED,
    TRAINING_MESSAGE,
    TRAINING_RESUMED,
    TRAINING_STARTED,
)
from arkor_dev.contract.placement.address import CLUSTER, INSECURE, host_of, is_loopback
from arkor_dev.local.checkpoints.origin import FileHashes
from arkor_dev.local.checkpoints.points import drop_before, drop_later
from arkor_dev.local.execution import leases
from arkor_dev.local.jobs.artifacts import checkpoint_folder, drop_checkpoint, resume_folder
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link

from . import access, code, connection, parcel
from .away.attaching import StandsError, attach, remove, unanswered
from .connection import CONNECT_SECONDS, TAKE_SECONDS, LostError, NoPlaceError, Place, Wish
from .returns import HostileError, Returns, messages_of, renamed

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAVE_SECONDS: Final = 2.0


class Driver:
    """One job on the cluster, from its message to its end."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.lease: leases.Lease | None = None
        self._asked: Place | None = None
        self._stays = False
        self._known = 0
        self._is_connected = False
        self._asks: bool | None = None
        self._early: list[Mapping[str, Any]] = []
        self._turn = threading.Lock()
        self._failure: Exception | None = None
        orders = {"cancel": self._pass_on, "pause": self._pass_on, "known": self._is_known}
        self.link = Link({**orders, "detach": self._detach, "end": lambda _: self.leave()})

    def _is_known(self, message: Mapping[str, Any]) -> None:
        """All that was said before this mark is kept where nothing loses it: the node may forget it."""
        self._known = self._number(message["mark"])

    def _number(self, mark: str | None) -> int:
        """The number of the message behind a mark; 0 for one of another place."""
        name, _, number = (mark or "").rpartition(":")
        return int(number) if self.lease and name == self.lease.name else 0

    def _detach(self, _: Mapping[str, Any]) -> None:
        self._stays = self.lease is not None and self.lease.begun
        self.leave()

    def _pass_on(self, message: Mapping[str, Any]) -> None:
        """Pass an order on; one that comes before there is a worker waits for it."""
        with self._turn:
            if self.place is None:
                self._early.append(message)
            else:
                self.place.tell(message)

    def leave(self) -> None:
        """Leave nothing on the cluster, unless the job is to stay there, and end."""
        with self._turn:
            place = self.place or self._asked
        left = place.leave(LEAVE_SECONDS) if place and not self._stays else place is None
        if left and self.lease and (place or not self.lease.begun):
            self.lease.drop()
        sys.stderr.flush()
        os._exit(0)

    def run(self) -> None:
        """Do the work; whatever goes wrong ends as a reason that the person reads."""
        try:
            self.train()
        except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
            self._say(error)
        threading.Event().wait(10 * LEAVE_SECONDS)  # the backend says end, or is gone
        self.leave()

    def _say(self, error: Exception) -> None:
        """Say what the job comes to by an error."""
        if not isinstance(error, (JobFailure, NoPlaceError, StandsError)):
            traceback.print_exc()
        if isinstance(error, NoPlaceError):
            self.link.send(waits=str(error))
        elif isinstance(error, StandsError):
            self.link.send(end="paused", fields={"reason": "ended", "message": str(error)})
        elif isinstance(error, LostError):
            where = (self.lease.node if self.lease else "") or "of it"
            self._stays = self.lease is not None and self.lease.begun and not error.gone
            self.link.send(lost=f"The node {where} of the cluster {self.address} was lost ({error}).")
        elif isinstance(error, HostileError):
            text = f"The cluster's node sent {error}: do not use it"
            self.link.send(end="failed", fields={"error": text})
        else:
            kind = "" if isinstance(error, JobFailure) else f"{type(error).__name__}: "
            self.link.send(end="failed", fields={"error": f"{kind}{error}"})

    def train(self) -> None:
        self.job = job = self.link.receive()
        config, data = job["config"], Path(job["data"])
        self.address = config[CLUSTER]
        self.lease = leases.of_job(data, job["id"])
        place = self._attached(data) if self.lease else None
        if place is None:
            place = self._placed(data)
        with self._turn:
            for message in self._early:
                place.tell(message)
            self.place = place
        self._follow(place, data)

    # A place that is there

    def _attached(self, data: Path) -> Place | None:
        """The place where the job goes on; None where it is gone for good.

        Raises NoPlaceError where the cluster does not answer now, JobFailure where it has not for too long.
        """
        lease = self.lease
        assert lease
        if not lease.tried:  # said once
            self.link.progress(f"Connecting to the cluster {lease.address}, where it trains on", 0, None, "")
        try:
            self._connect(lease.address, data, insecure=lease.insecure)
            place = attach(lease, self._number(self.job.get("mark")))
        except (JobFailure, LostError) as fault:
            unanswered(lease, fault)
        except HostileError:
            lease.given_up()
            raise
        if place is None:
            lease.given_up()
            self.lease = None
            return None
        self.lease = lease.kept(silent=0.0, tried=0.0)
        self._known = self._number(self.job.get("mark"))
        self.home, self.node = lease.home, lease.node
        self.told = f"It trains on the node {self.node} of the cluster {self.address}."
        self.link.send(attached=True)
        where = f"the node {self.node} of the cluster {lease.address}"
        text = f"Connected again to {where}, where it has trained on."
        self.link.send(event=TRAINING_MESSAGE, fields={"message": text})
        return place

    # A new place

    def _placed(self, data: Path) -> Place:
        """A place for the job, where its worker has begun."""
        job, config = self.job, self.job["config"]
        if job.get("attaches"):
            self._begin_again(job)
        if job.get("resume") is None:
            drop_later(data, job["id"], -1)  # of a start that the data base has lost
        self.hashes = FileHashes(data)
        first = parcel.of_job(job)
        insecure = bool(config.get(INSECURE))
        if not self._is_connected:
            self.link.progress(f"Connecting to the cluster {self.address}", 0, None, "")
            self._connect(self.address, data, insecure=insecure)
        for old in leases.leases(data):
            if old.job == job["id"] and old.address == self.address and remove(old.name):
                old.drop()
        self.link.progress(f"Waiting for a node of {self.address}", 0, None, "")
        wish = Wish.of(config)
        self.lease = leases.Lease.new(data, job["id"], self.address, insecure=insecure)
        place = connection.place(self.lease, wish, self._ask)
        if missing := place.facts["missing"]:
            raise JobFailure(
                f"The node {place.facts['node']} has no {', '.join(missing)}: install what training needs "
                "there (pip install 'arkor-dev[local]'), in the Python that Ray runs with"
            )
        self.home, self.node = place.facts["home"], place.facts["node"]
        self.lease = self.lease.kept(home=self.home, node=self.node)
        self.told = f"It trains on the node {self.node} of the cluster {self.address} ({wish.words})."
        host = host_of(self.address)
        if self._asks is False and host is not None and not is_loopback(host):
            self.told += " It asks for no token (--insecure-cluster): whoever reaches it can do the same."
        self._sender(place).send(first, "the data")
        started = {"id": job["id"], "config": config, "resume": job.get("resume")}
        place.call("start", json.dumps(started).encode(), parcel.threads_of(config))
        threading.Thread(target=self._bring_model, args=(place,), name="model", daemon=True).start()
        return place

    def _begin_again(self, job: dict[str, Any]) -> None:
        """Say why a job that was to go on at its place is placed anew, and ask for its model."""
        orders = job["resume"]
        if orders.get("stand"):
            raise StandsError("Its place on the cluster was lost while the local backend was ended.")
        job["resume"] = {**orders, "why": f"{orders['why']} Its place on the cluster was lost meanwhile."}
        self.link.send(wants="model")

    def _ask(self, place: Place) -> None:
        with self._turn:
            self._asked = place

    def _connect(self, address: str, data: Path, *, insecure: bool) -> None:
        """Connect to the cluster once it is known that it may be used; nobody waits for that too long."""
        too_long = threading.Timer(CONNECT_SECONDS, self._no_connection)
        too_long.daemon = True
        too_long.start()
        try:
            self._asks = access.check(address, insecure=insecure)
            connection.connect(address, code.packed(data))
        finally:
            too_long.cancel()
        self._is_connected = True

    def _no_connection(self) -> None:
        text = f"There is no connection to the cluster {self.address} after {CONNECT_SECONDS:.0f} s"
        try:
            if self.lease:
                unanswered(self.lease, JobFailure(text))
            raise JobFailure(text)
        except (NoPlaceError, JobFailure) as reason:
            self._say(reason)

    # To the node

    def _sender(self, place: Place) -> parcel.Sender:
        return parcel.Sender(place.call, self.node, self.hashes, self.link.progress)

    def _bring_model(self, place: Place) -> None:
        model = self.link.receive()
        try:
            found, name = parcel.of_model(model, Path(self.job["project"]))
            self._sender(place).send(found, f"the model {model['name']}")
            place.call("tell", json.dumps({**model, "path": name}).encode())
            assert self.lease
            self.lease = self.lease.kept(begun=True)
        except Exception as fault:  # noqa: BLE001 - it is raised where the messages are read
            self._failure = fault

    # From the node

    def _follow(self, place: Place, data: Path) -> None:
        """Pass on what the worker says until it has said its last word."""
        job_id = self.job["id"]
        returns = Returns(data, job_id, lambda name, offset: place.call("read", name, offset))
        here = {"data": str(data), "project": self.job["project"]}
        after = self._known
        while True:
            if self._failure:
                raise self._failure
            messages, over = messages_of(place.call("take", after, self._known, TAKE_SECONDS))
            for message in messages:
                after += 1
                if "end" not in message:  # once that is known nothing is asked here any more
                    message["mark"] = f"{self.lease.name}:{after}" if self.lease else ""
                self._take(renamed(message, self.home, here), place, returns, data)
                if "end" in message:
                    return
            if over and not messages:
                self.link.send(lost=f"{over['cause']} It ran on the node {self.node}.")
                return

    def _take(self, message: dict[str, Any], place: Place, returns: Returns, data: Path) -> None:
        """Pass one message on, once what it tells of is on this machine."""
        job_id, fields = self.job["id"], message.get("fields", {})
        step, name = fields.get("step"), message.get("event")
        if name in (CHECKPOINT_SAVED, CHECKPOINT_REMOVED, TRAINING_RESUMED) and type(step) is not int:
            raise HostileError(f"{name} without a step")
        if name == CHECKPOINT_SAVED:
            returns.take(place.call("snapshot", f"checkpoints/{step}"))
        elif name == CHECKPOINT_REMOVED and checkpoint_folder(data, job_id, step).is_dir():
            drop_checkpoint(data, job_id, step)
        elif name == TRAINING_RESUMED:
            drop_later(data, job_id, step)
        elif "kept" in message:
            step = message["kept"]
            if not checkpoint_folder(data, job_id, step).is_dir():
                returns.take(place.call("snapshot", f"resume/{step}"))
                if not resume_folder(data, job_id, step).is_dir():
                    return  # a later one has taken its place on the node, and will come
            drop_before(data, job_id, step)
        elif "end" in message:
            if message["end"] == "paused" and fields.get("reason") == "disk":
                raise LostError("its disk is full", gone=True)
            returns.take(place.call("snapshot", "."))
            fields.pop("outOfMemory", None)  # what would fit here is no advice for there
        self.link.send(**message)
        if name == TRAINING_STARTED:
            self.link.send(event=TRAINING_MESSAGE, fields={"message": self.told})


if __name__ == "__main__":
    Driver().run()
