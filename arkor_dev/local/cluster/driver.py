"""The process between the backend and a cluster, for one job: to the backend it is a training worker.

It is told a job and a model and passes them on with their files, passes on what the worker on the node says,
and brings what that has saved before it says so. When the node is lost it ends with ``lost``, which is a
crash like another: the job goes on from what was brought last. When a job finds no room it ends with
``waits``. ``end`` tells it to leave the cluster as it was.
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
from arkor_dev.local.jobs.artifacts import checkpoint_folder, drop_checkpoint, resume_folder
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link

from . import access, code, connection, parcel
from .connection import CONNECT_SECONDS, TAKE_SECONDS, LostError, NoPlaceError, Place, Wish
from .names import CHUNK
from .returns import HostileError, Returns, messages_of, renamed
from .together.others import EndedError, Others
from .together.places import Places, take

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAVE_SECONDS: Final = 2.0


class Driver:
    """One job on the cluster, from its message to its end."""

    def __init__(self) -> None:
        self.places: Places | None = None
        self._early: list[Mapping[str, Any]] = []
        self._turn = threading.Lock()
        self._leaving = False
        self._failure: Exception | None = None
        self.link = Link({"cancel": self._pass_on, "pause": self._pass_on, "end": lambda _: self.leave()})

    def _pass_on(self, message: Mapping[str, Any]) -> None:
        """Pass an order on; one that comes before there is a worker waits for it."""
        with self._turn:
            if self.places is None:
                self._early.append(message)
            else:
                self.places.first.tell(message)

    def leave(self) -> None:
        """Leave nothing on the cluster, and end."""
        with self._turn:
            places, self._leaving = self.places, True
        if places:
            places.leave(LEAVE_SECONDS)
        sys.stderr.flush()
        os._exit(0)

    def run(self) -> None:
        """Do the work; whatever goes wrong ends as a reason that the person reads."""
        try:
            self.train()
        except JobFailure as failure:
            self.link.send(end="failed", fields={"error": str(failure)})
        except NoPlaceError as reason:
            self.link.send(waits=str(reason))
        except EndedError as fault:
            self.link.send(lost=str(fault))
        except LostError as fault:
            traceback.print_exc()
            where = fault.node or (self.places.first.facts.get("node") if self.places else None) or "of it"
            self.link.send(lost=f"The node {where} of the cluster {self.address} was lost ({fault}).")
        except HostileError as fault:
            self.link.send(end="failed", fields={"error": f"The cluster's node sent {fault}: do not use it"})
        except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
            traceback.print_exc()
            self.link.send(end="failed", fields={"error": f"{type(error).__name__}: {error}"})
        threading.Event().wait(10 * LEAVE_SECONDS)  # the backend says end, or is gone
        self.leave()

    def train(self) -> None:
        self.job = job = self.link.receive()
        config, data = job["config"], Path(job["data"])
        self.address = config[CLUSTER]
        if job.get("resume") is None:
            drop_later(data, job["id"], -1)  # of a start that the data base has lost
        self.hashes = FileHashes(data)
        first = parcel.of_job(job)
        too_long = threading.Timer(CONNECT_SECONDS, self._no_connection)
        too_long.daemon = True
        too_long.start()
        self.link.progress(f"Connecting to the cluster {self.address}", 0, None, "")
        asks = access.check(self.address, insecure=bool(config.get(INSECURE)))
        connection.connect(self.address, code.packed(data))
        too_long.cancel()
        self.link.progress(f"Waiting for a node of {self.address}", 0, None, "")
        wish = Wish.of(config)
        places = take(job["id"], wish)
        with self._turn:
            self.places = places
        place = places.first
        for each in places.all:
            if missing := each.facts["missing"]:
                raise JobFailure(
                    f"The node {each.facts['node']} has no {', '.join(missing)}: install what training needs "
                    "there (pip install 'arkor-dev[local]'), in the Python that Ray runs with"
                )
        self.home, self.node = place.facts["home"], place.facts["node"]
        self.told = f"It trains on the {places.words} of the cluster {self.address} ({wish.words})."
        host = host_of(self.address)
        if asks is False and host is not None and not is_loopback(host):
            self.told += " It asks for no token (--insecure-cluster): whoever reaches it can do the same."
        self._send(first, "the data")
        cpus = config.get("cpus")
        threads = max(1, int(cpus)) if cpus else _threads()
        started = {"id": job["id"], "config": config, "resume": job.get("resume")}
        self.others = Others(places.all, self._fail)
        after = self.others.start(started, threads)
        with self._turn:
            for message in self._early:
                place.tell(message)
        threading.Thread(target=self._bring_model, name="model", daemon=True).start()
        self._follow(place, data, after)

    def _fail(self, fault: Exception) -> None:
        self._failure = fault

    def _no_connection(self) -> None:
        text = f"There is no connection to the cluster {self.address} after {CONNECT_SECONDS:.0f} s"
        self.link.send(end="failed", fields={"error": text})

    # To the node

    def _bring_model(self) -> None:
        model = self.link.receive()
        try:
            found, name = parcel.of_model(model, Path(self.job["project"]))
            self._send(found, f"the model {model['name']}")
            for place in self.places.all if self.places else ():
                place.tell({**model, "path": name})
        except Exception as fault:  # noqa: BLE001 - it is raised where the messages are read
            self._failure = fault

    def _send(self, found: parcel.Parcel, what: str) -> None:
        """Bring each node the files that it does not have, and put all of them where the job finds them."""
        for place in self.places.all if self.places else ():
            self._send_to(place, found, what)

    def _send_to(self, place: Place, found: parcel.Parcel, what: str) -> None:
        node = place.facts["node"]
        names = {name: self.hashes.of(path) for name, path in found.files.items()}
        self.hashes.keep()
        paths = {sha256: found.files[name] for name, sha256 in names.items()}
        try:
            lacking = json.loads(place.call("lacks", sorted(paths)))
            sizes = {sha256: paths[sha256].stat().st_size for sha256 in lacking}
            done, total = 0, sum(sizes.values())
            for sha256, size in sizes.items():
                with paths[sha256].open("rb") as file:
                    offset = 0
                    while offset < size or not offset:
                        piece = file.read(CHUNK)
                        place.call("put", sha256, offset, piece, size)
                        offset, done = offset + len(piece), done + len(piece)
                        self.link.progress(f"Sending {what} to {node}", done, total, "B")
                        if not piece:
                            break
            place.call("lay", names, found.links)
        except OSError as fault:
            raise JobFailure(f"{what} could not be brought to the node {node}: {fault}") from None

    # From the node

    def _follow(self, place: Place, data: Path, after: int) -> None:
        """Pass on what the worker says until it has said its last word."""
        job_id = self.job["id"]
        returns = Returns(data, job_id, lambda name, offset: place.call("read", name, offset))
        here = {"data": str(data), "project": self.job["project"]}
        while True:
            if self._failure:
                raise self._failure
            messages, over = messages_of(place.call("take", after, TAKE_SECONDS))
            after += len(messages)
            for message in messages:
                self._take(renamed(message, self.home, here), place, returns, data)
                if "end" in message:
                    return
            if over and not messages:
                if not over.get("killed"):  # it may have ended because another one has
                    self.others.wait_for_fault()
                if self._failure:
                    raise self._failure
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
                raise LostError("its disk is full")
            returns.take(place.call("snapshot", "."))
            fields.pop("outOfMemory", None)  # what would fit here is no advice for there
        self.link.send(**message)
        if name == TRAINING_STARTED:
            self.link.send(event=TRAINING_MESSAGE, fields={"message": self.told})


def _threads() -> int | None:
    """With how many threads this machine would compute, where that was said."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isascii() and said.isdecimal() and int(said) > 0 else None


if __name__ == "__main__":
    Driver().run()
