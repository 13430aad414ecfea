"""One job on a cluster, from its message to its end: what is sent, followed, brought back, and left there.

All that is known of a job is in its own `Carried`: nothing of it reaches the next one of the driver.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import TRAINING_MESSAGE, TRAINING_STARTED
from arkor_dev.contract.placement.address import CLUSTER, INSECURE, STORAGE, host_of, is_loopback
from arkor_dev.local.checkpoints.origin import FileHashes
from arkor_dev.local.checkpoints.points import drop_later
from arkor_dev.local.execution import leases
from arkor_dev.local.workers.errors import JobFailure

from . import parcel
from .answers import HostileError, messages_of, renamed
from .away.attaching import attach, remove, unanswered
from .connection import TAKE_SECONDS, LostError, NoPlaceError, Place, Wish
from .endings import EndedError, StandsError, last_word
from .kept import again
from .returns import Returns
from .storage.driver_share import COPY_SECONDS, seen, share, taken
from .together.others import Others
from .together.places import Places, take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.local.workers.link import Link

    from .kept import Line, Spare

LEAVE_SECONDS: Final = 2.0


class Carried:
    """One job, told by ``link``; ``line`` is made where it is not, ``spare`` may hold a place for it."""

    def __init__(self, link: Link, line: Line, spare: Spare) -> None:
        self.link, self._line, self._spare = link, line, spare
        self.places: Places | None = None
        self.lease: leases.Lease | None = None
        self._asked: Places | None = None
        self.told, self._stays = "", False
        self._known = 0
        self._early: list[Mapping[str, Any]] = []
        self._turn = threading.Lock()
        self._faults: list[Exception] = []
        self._model: threading.Thread | None = None
        self._completed = False

    @property
    def done(self) -> bool:
        """Whether its one worker has completed it, and nothing was odd or is on its way."""
        is_still = self._model is not None and not self._model.is_alive()
        return self._completed and self.lease is not None and is_still and not self._faults

    def known(self, message: Mapping[str, Any]) -> None:
        """All that was said before this mark is kept where nothing loses it: the node may forget it."""
        self._known = self._number(message["mark"])

    def _number(self, mark: str | None) -> int:
        """The number of the message behind a mark; 0 for one of another place."""
        name, _, number = (mark or "").rpartition(":")
        return int(number) if self.lease and name == self.lease.name else 0

    def detach(self) -> None:
        """Let it train on there, if it has begun, when it is left."""
        self._stays = self.lease is not None and self.lease.begun

    def pass_on(self, message: Mapping[str, Any]) -> None:
        """Pass an order on; one that comes before there is a worker waits for it."""
        with self._turn:
            if self.places is None:
                self._early.append(message)
            else:
                self.places.first.tell(message)

    def leave(self, *, hold: bool = False) -> bool:
        """Leave nothing on the cluster, unless the job is to stay; whether it is sure that nothing is.

        ``hold`` holds its one place where that is so and the job is done.
        """
        with self._turn:
            places = self.places or self._asked
        if hold and places and self.done:
            left = self._spare.hold(places.first, self._wish, LEAVE_SECONDS)
        else:
            left = places.leave(LEAVE_SECONDS) if places and not self._stays else places is None
        if left and self.lease and (places or not self.lease.begun):
            self.lease.drop()
        elif self.lease and not (left or self._stays):
            with contextlib.suppress(OSError):
                self.lease.given_up()  # the job is over there, or goes on elsewhere and perhaps otherwise
        return left

    def run(self, job: dict[str, Any]) -> None:
        """Do the work; whatever goes wrong ends as a reason that the person reads."""
        try:
            self._train(job)
        except Exception as error:  # noqa: BLE001 - a job's last line of defence
            self._say(error)

    def _say(self, error: Exception) -> None:
        """Say what the job comes to by an error."""
        if isinstance(error, LostError) and not isinstance(error, EndedError):
            places = self.places or self._asked
            where = error.node or (places.first.facts.get("node") if places else None) or "of it"
            self._stays = self.lease is not None and self.lease.begun and not error.gone
            error = EndedError(f"The node {where} of the cluster {self.address} was lost ({error}).")
        self.link.send(**last_word(error))

    def _train(self, job: dict[str, Any]) -> None:
        self.job = job
        config, data = job["config"], Path(job["data"])
        self.address = config[CLUSTER]
        self.lease = leases.of_job(data, job["id"])
        places = (self._attached(data) if self.lease else None) or self._placed(data)
        self.home, self.node = places.first.facts["home"], places.first.facts["node"]
        with self._turn:
            for message in self._early:
                places.first.tell(message)
            self.places = places
        self._follow(places.first, data)

    # A place that is there

    def _attached(self, data: Path) -> Places | None:
        """The place where the job goes on; None where it is gone for good.

        Raises NoPlaceError where the cluster does not answer now, JobFailure where it has not for too long.
        """
        lease = self.lease
        assert lease
        if not lease.tried:  # said once
            self.link.progress(f"Connecting to the cluster {lease.address}, where it trains on", 0, None, "")
        try:
            self._line.make(lease.address, data, self._late, insecure=lease.insecure)
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
        place.facts = {"home": lease.home, "node": lease.node}
        where = f"the node {lease.node} of the cluster {lease.address}"
        self.told = f"It trains on {where}."
        self.others = Others([place], self._faults.append)
        self.link.send(attached=True)
        text = f"Connected again to {where}, where it has trained on."
        self.link.send(event=TRAINING_MESSAGE, fields={"message": text})
        return Places([place])

    # A new place

    def _placed(self, data: Path) -> Places:
        """Places for the job, where its workers have begun."""
        job, config = self.job, self.job["config"]
        if job.get("attaches"):
            self._begin_again(job)
        if job.get("resume") is None:
            drop_later(data, job["id"], -1)  # of a start that the data base has lost
        self.hashes = FileHashes(data)
        first = parcel.of_job(job)
        insecure = bool(config.get(INSECURE))
        if not self._line.made:
            self.link.progress(f"Connecting to the cluster {self.address}", 0, None, "")
            self._line.make(self.address, data, self._late, insecure=insecure)
        for old in leases.leases(data):
            if old.job == job["id"] and old.address == self.address and remove(old.actor, old.name):
                old.drop()
        self._wish = Wish.of(config)
        places = self._held(data, insecure) or self._found(data, insecure)
        places.check()
        facts = places.first.facts
        if self.lease:
            self.lease = self.lease.kept(home=facts["home"], node=facts["node"])
        self.told = f"It trains on the {places.words} of the cluster {self.address} ({self._wish.words})."
        host = host_of(self.address)
        if self._line.asks is False and host is not None and not is_loopback(host):
            self.told += " It asks for no token (--insecure-cluster): whoever reaches it can do the same."
        self.told += share(places.all, config.get(STORAGE))
        self._send(places, first, "the data")
        self.told += taken(places.all, config.get(STORAGE))
        started = {"id": job["id"], "config": config, "resume": job.get("resume")}
        self.others = Others(places.all, self._faults.append)
        self._known = self.others.start(started, parcel.threads_of(config))
        self._model = threading.Thread(target=self._bring_model, args=(places,), name="model", daemon=True)
        self._model.start()
        return places

    def _held(self, data: Path, insecure: bool) -> Places | None:
        """The place that is held, if it is one for the job."""
        spare = self._spare.take(self._wish)
        if spare is None:
            return None
        self.lease = leases.Lease.new(
            data, self.job["id"], self.address, insecure=insecure, actor=spare.actor
        )
        self._ask(places := Places([spare]))
        return places if again(spare, self.lease) else None

    def _found(self, data: Path, insecure: bool) -> Places:
        """New places."""
        self._ask(None)
        self.link.send(seeks=True)
        self.link.progress(f"Waiting for a node of {self.address}", 0, None, "")
        self.lease = None  # several workers do not train on alone: none of them sees that another one is gone
        if self._wish.workers == 1:
            self.lease = leases.Lease.new(data, self.job["id"], self.address, insecure=insecure)
        self._ask(places := take(self.job["id"], self._wish, self.lease, self._ask))
        self.link.send(seeks=False)
        return places

    def _begin_again(self, job: dict[str, Any]) -> None:
        """Say why a job that was to go on at its place is placed anew, and ask for its model."""
        orders = job["resume"]
        if orders.get("stand"):
            raise StandsError("Its place on the cluster was lost while the local backend was ended.")
        job["resume"] = {**orders, "why": f"{orders['why']} Its place on the cluster was lost meanwhile."}
        self.link.send(wants="model")

    def _ask(self, places: Places | None) -> None:
        with self._turn:
            self._asked = places

    def _late(self, text: str) -> None:
        """Say that there is no connection yet: nobody waits for that too long."""
        reason: Exception = JobFailure(text)
        try:
            if self.lease:
                unanswered(self.lease, reason)
        except (NoPlaceError, JobFailure) as more:
            reason = more
        self._say(reason)

    # To the node

    def _send(self, places: Places, found: parcel.Parcel, what: str) -> None:
        for place in places.all:
            parcel.Sender(place.call, place.facts["node"], self.hashes, self.link.progress).send(found, what)

    def _bring_model(self, places: Places) -> None:
        model = self.link.receive()
        try:
            found, name = parcel.of_model(model, Path(self.job["project"]))
            self._send(places, found, f"the model {model['name']}")
            for place in places.all:
                place.call("tell", json.dumps({**model, "path": name}).encode())
            if self.lease:
                self.lease = self.lease.kept(begun=True)
        except Exception as fault:  # noqa: BLE001 - it is raised where the messages are read
            self._faults.append(fault)

    # From the node

    def _follow(self, place: Place, data: Path) -> None:
        """Pass on what the worker says until it has said its last word."""
        shared, blind = seen(self.job, place)
        self.told += blind
        returns = Returns(data, self.job["id"], lambda name, offset: place.call("read", name, offset), shared)
        here = {"data": str(data), "project": self.job["project"]}
        after = self._known
        while True:
            if self._faults:
                raise self._faults[0]
            messages, over = messages_of(place.call("take", after, self._known, TAKE_SECONDS))
            for message in messages:
                after += 1
                if self.lease and "end" not in message:  # once that is known nothing is asked here any more
                    message["mark"] = f"{self.lease.name}:{after}"
                self._take(renamed(message, self.home, here), place, returns)
                if "end" in message:
                    return
                if not self.lease:  # nobody asks for it again
                    self._known = after
            if over and not messages:
                if not over.get("killed"):  # it may have ended because another one has
                    self.others.wait_for_fault()
                if self._faults:
                    raise self._faults[0]
                self.link.send(lost=f"{over['cause']} It ran on the node {self.node}.")
                return

    def _take(self, message: dict[str, Any], place: Place, returns: Returns) -> None:
        """Pass one message on, once what it tells of is on this machine."""
        fields = message.get("fields", {})
        if message.get("end") == "paused" and fields.get("reason") == "disk":
            raise LostError("its disk is full", gone=True)
        if not returns.bring(message, lambda below: place.call("snapshot", below, seconds=COPY_SECONDS)):
            return
        if "end" in message:
            fields.pop("outOfMemory", None)  # what would fit here is no advice for there
            self._completed = message["end"] == "completed"
        self.link.send(**message)
        if message.get("event") == TRAINING_STARTED:
            self.link.send(event=TRAINING_MESSAGE, fields={"message": self.told})
