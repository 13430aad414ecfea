"""One job on a cluster, from the backend's message to its end: send files, follow it, fetch files, clean up.

All state of a job is in its own `JobSession`, so none of it can leak into the driver's next job.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import (
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_MESSAGE,
    TRAINING_PAUSED,
    TRAINING_STARTED,
    TrainingMessage,
)
from arkor_dev.contract.placement import CLUSTER, INSECURE, STORAGE, host_of, is_loopback
from arkor_dev.data.methods import second_model_of
from arkor_dev.local.checkpoints.origin import FileHashes
from arkor_dev.local.checkpoints.resume_points import drop_later
from arkor_dev.local.execution import leases
from arkor_dev.local.execution.messages import (
    Attached,
    Ended,
    JobRequest,
    Lost,
    Marked,
    ModelWanted,
    Seeking,
    TrainingEvent,
)
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.codec import encode
from arkor_dev.local.workers.errors import JobFailure

from . import outgoing_files
from .actor_client import POLL_SECONDS
from .driver_cache import reuse_actor
from .driver_storage import COPY_SECONDS, open_storage, storage_summary, use_storage
from .errors import (
    NodeLostError,
    PausedError,
    ProtocolError,
    RequeueError,
    WorkerEndedError,
    final_message,
)
from .incoming_files import IncomingFiles
from .node_messages import localized, parse_messages
from .reattach import attach, remove_actor, wait_or_give_up
from .resources import ResourceRequest
from .worker_group import PeerWorkers, WorkerGroup, start_group

if TYPE_CHECKING:
    from arkor_dev.local.execution.messages import Command, Report
    from arkor_dev.local.workers.link import Link

    from .actor_client import ActorClient
    from .driver_cache import ClusterConnection, SpareActor

RELEASE_SECONDS: Final = 2.0


class JobSession:
    """One job, reported on ``link``. Opens ``connection`` if needed; ``spare`` may hold an actor for it."""

    def __init__(self, link: Link, connection: ClusterConnection, spare: SpareActor) -> None:
        self.link, self._connection, self._spare = link, connection, spare
        self.group: WorkerGroup | None = None
        self.lease: leases.Lease | None = None
        self._pending_group: WorkerGroup | None = (
            None  # its actors were requested and may not have responded yet
        )
        self._location, self._stays = "", False
        self._acknowledged = 0
        self._early_messages: list[Command] = []
        self._lock = threading.Lock()
        self._faults: list[Exception] = []  # raised by other threads, re-raised where messages are read
        self._model_thread: threading.Thread | None = None
        self._is_completed = False

    @property
    def is_complete(self) -> bool:
        """Whether its single worker has completed it, with no errors and nothing in transit."""
        is_idle = self._model_thread is not None and not self._model_thread.is_alive()
        return self._is_completed and self.lease is not None and is_idle and not self._faults

    def acknowledge(self, mark: str) -> None:
        """Record that all messages before this mark are stored here, so that the node may drop them."""
        self._acknowledged = self._number_of(mark)

    def _number_of(self, mark: str | None) -> int:
        """Return the number of the message after a mark; 0 for a mark of another actor."""
        name, _, number = (mark or "").rpartition(":")
        return int(number) if self.lease and name == self.lease.name else 0

    def detach(self) -> None:
        """Make `release` leave the job training on the node, if it has begun."""
        self._stays = self.lease is not None and self.lease.begun

    def pass_on(self, message: Command) -> None:
        """Send a command to the worker, or keep it until a worker has started."""
        with self._lock:
            if self.group is None:
                self._early_messages.append(message)
            else:
                self.group.first.send(message)

    def release(self, *, hold: bool = False) -> bool:
        """Remove the job from the cluster unless it was detached; return whether it is certainly gone.

        ``hold`` keeps its only actor for the next job if the job is complete.
        """
        with self._lock:
            group = self.group or self._pending_group
        if hold and group and self.is_complete:
            is_clean = self._spare.hold(group.first, self._request, RELEASE_SECONDS)
        else:
            is_clean = group.release(RELEASE_SECONDS) if group and not self._stays else group is None
        if is_clean and self.lease and (group or not self.lease.begun):
            self.lease.delete()
        elif self.lease and not (is_clean or self._stays):
            with contextlib.suppress(OSError):
                self.lease.give_up()  # the job ended, or continues elsewhere, perhaps with other settings
        return is_clean

    def run(self, job: JobRequest) -> None:
        """Run the job; convert any error to a final message."""
        try:
            self._train(job)
        except Exception as error:  # noqa: BLE001 - a job's last line of defence
            self._report(error)

    def _report(self, error: Exception) -> None:
        """Send the final message for ``error``."""
        if isinstance(error, NodeLostError) and not isinstance(error, WorkerEndedError):
            group = self.group or self._pending_group
            node = error.node or (group.first.facts.get("node") if group else None)
            # An unreachable node may still be training: keep the lease, so that a driver can attach.
            self._stays = self.lease is not None and self.lease.begun and not error.gone
            subject = f"The node {node}" if node else "A node"
            error = WorkerEndedError(f"{subject} of the cluster {self.address} was lost ({error}).")
        self.link.send(final_message(error))

    def _train(self, job: JobRequest) -> None:
        self.job = job
        config, data = job.config, Path(job.data)
        self.address = config[CLUSTER]
        self.lease = leases.of_job(data, job.id)
        group = (self._attach(data) if self.lease else None) or self._start(data)
        self.home, self.node = group.first.facts["home"], group.first.facts["node"]
        with self._lock:
            for message in self._early_messages:
                group.first.send(message)
            self.group = group
        self._follow(group.first, data)

    # Attaching to a job that already trains

    def _attach(self, data: Path) -> WorkerGroup | None:
        """Return the actor in which the job trains; None if it is permanently gone.

        Raises RequeueError if the cluster does not respond now, JobFailure if it has not for too long.
        """
        lease = self.lease
        assert lease
        if not lease.tried:  # only before the first attempt
            self.link.progress(
                f"Connecting to the cluster {lease.address}, where it is still training", 0, None, ""
            )
        try:
            self._connection.open(lease.address, data, self._on_timeout, insecure=lease.insecure)
            actor = attach(lease, self._number_of(self.job.mark))
        except (JobFailure, NodeLostError) as fault:
            wait_or_give_up(lease, fault)
        except ProtocolError:
            lease.give_up()
            raise
        if actor is None:
            lease.give_up()
            self.lease = None
            return None
        self.lease = lease.update(silent=0.0, tried=0.0)
        self._acknowledged = self._number_of(self.job.mark)
        actor.facts = {"home": lease.home, "node": lease.node}
        target = f"the node {lease.node} of the cluster {lease.address}"
        self._location = f"It trains on {target}."
        self.peers = PeerWorkers([actor], self._faults.append)
        self.link.send(Attached())
        text = f"Reconnected to {target}, where it has trained on."
        self.link.send(TrainingEvent(TrainingMessage(type=TRAINING_MESSAGE, message=text)))
        return WorkerGroup([actor])

    # Starting on new actors

    def _start(self, data: Path) -> WorkerGroup:
        """Start the job's workers on the cluster and send them everything that they need except the model."""
        config = self.job.config
        if self.job.attaches:
            self._restart()
        job = self.job
        if job.resume is None:
            drop_later(data, job.id, -1)  # of a start that the database does not contain
        self.hashes = FileHashes(data)
        files = outgoing_files.job_files(job)
        insecure = bool(config.get(INSECURE))
        if not self._connection.is_open:
            self.link.progress(f"Connecting to the cluster {self.address}", 0, None, "")
            self._connection.open(self.address, data, self._on_timeout, insecure=insecure)
        for old in leases.leases(data):
            if old.job == job.id and old.address == self.address and remove_actor(old.actor, old.name):
                old.delete()
        self._request = ResourceRequest.of(config)
        group = self._reuse_spare(data, insecure) or self._start_group(data, insecure)
        group.check_packages()
        facts = group.first.facts
        if self.lease:
            self.lease = self.lease.update(home=facts["home"], node=facts["node"])
        resources = self._request.description
        self._location = f"It trains on the {group.description} of the cluster {self.address} ({resources})."
        host = host_of(self.address)
        if self._connection.has_token is False and host is not None and not is_loopback(host):
            self._location += (
                " It requires no token (--insecure-cluster): anyone who reaches it can do the same."
            )
        self._location += use_storage(group.actors, config.get(STORAGE))
        self._send(group, files, "the data")
        self._location += storage_summary(group.actors, config.get(STORAGE))
        started = JobRequest(job.id, config, "", "", job.resume)  # the node has its own folders
        self.peers = PeerWorkers(group.actors, self._faults.append)
        self._acknowledged = self.peers.start(started, outgoing_files.thread_count(config))
        # In a thread: the worker reads its data, and may already fail, while the model is being sent.
        self._model_thread = threading.Thread(
            target=self._send_model, args=(group,), name="model", daemon=True
        )
        self._model_thread.start()
        return group

    def _reuse_spare(self, data: Path, insecure: bool) -> WorkerGroup | None:
        """Return the held actor, assigned to this job, if it fits."""
        spare = self._spare.take(self._request)
        if spare is None:
            return None
        self.lease = leases.Lease.new(
            data, self.job.id, self.address, insecure=insecure, actor=spare.actor_name
        )
        self._set_pending(group := WorkerGroup([spare]))
        return group if reuse_actor(spare, self.lease) else None

    def _start_group(self, data: Path, insecure: bool) -> WorkerGroup:
        self._set_pending(None)
        self.link.send(Seeking(True))
        self.link.progress(f"Waiting for a node of {self.address}", 0, None, "")
        self.lease = None  # without a driver, several workers do not notice that one is gone
        if self._request.workers == 1:
            self.lease = leases.Lease.new(data, self.job.id, self.address, insecure=insecure)
        group = start_group(self.job.id, self._request, self.lease, self._set_pending)
        self._set_pending(group)
        self.link.send(Seeking(False))
        return group

    def _restart(self) -> None:
        """Prepare the job for new actors after losing its old one: report why, and request its model."""
        resume = self.job.resume or {}
        if resume.get("stand"):
            raise PausedError("Its worker on the cluster was lost while the local backend was stopped.")
        why = f"{resume['why']} Its worker on the cluster was lost in the meantime."
        self.job = replace(self.job, resume={**resume, "why": why})
        self.link.send(ModelWanted())

    def _set_pending(self, group: WorkerGroup | None) -> None:
        with self._lock:
            self._pending_group = group

    def _on_timeout(self, reason: str) -> None:
        """End the job from the timer's thread when connecting takes too long."""
        error: Exception = JobFailure(reason)
        try:
            if self.lease:
                wait_or_give_up(self.lease, error)
        except (RequeueError, JobFailure) as outcome:
            error = outcome
        self._report(error)

    # Messages to the nodes

    def _send(self, group: WorkerGroup, files: outgoing_files.FileSet, subject: str) -> None:
        for actor in group.actors:
            node = actor.facts["node"]
            outgoing_files.Sender(actor.call, node, self.hashes, self.link.progress).send(files, subject)

    def _send_model(self, group: WorkerGroup) -> None:
        model = self.link.receive(Model)
        try:
            project = Path(self.job.project)
            files, folder = outgoing_files.model_files(model.path, project, "model")
            self._send(group, files, f"the model {model.name}")
            on_node = replace(model, path=Path(folder))
            if model.second:
                files, folder = outgoing_files.model_files(model.second, project, "second-model")
                self._send(group, files, f"the model {second_model_of(self.job.config)}")
                on_node = replace(on_node, second=Path(folder))
            for actor in group.actors:
                actor.call("send", encode(on_node))
            if self.lease:
                # From now on the worker needs nothing from this machine: a later driver may attach to it.
                self.lease = self.lease.update(begun=True)
        except Exception as fault:  # noqa: BLE001 - raised where the messages are read
            self._faults.append(fault)

    # Messages from the node

    def _follow(self, actor: ActorClient, data: Path) -> None:
        """Pass on the worker's messages, up to its final one."""
        shared, problem = open_storage(self.job, actor)
        self._location += problem
        incoming = IncomingFiles(
            data, self.job.id, lambda name, offset: actor.call("read", name, offset), shared
        )
        folders = {"data": str(data), "project": self.job.project}
        count = self._acknowledged
        while True:
            if self._faults:
                raise self._faults[0]
            messages, exit_status = parse_messages(
                actor.call("poll", count, self._acknowledged, POLL_SECONDS)
            )
            for message in messages:
                count += 1
                # The backend acknowledges a mark once it has stored the message. Until then the node keeps
                # it, so that after a crash of this process or the backend, the next driver continues with
                # this message.
                # After the end nothing is acknowledged.
                mark = f"{self.lease.name}:{count}" if self.lease else None
                self._handle(localized(message, self.home, folders), mark, actor, incoming)
                if isinstance(message, Ended):
                    return
                if not self.lease:  # no later driver can attach and need these messages again
                    self._acknowledged = count
            if exit_status and not messages:
                if not exit_status.get("killed"):  # another worker's failure may be the cause
                    self.peers.wait_for_fault()
                if self._faults:
                    raise self._faults[0]
                self.link.send(Lost(f"{exit_status['cause']} It ran on the node {self.node}."))
                return

    def _handle(self, message: Report, mark: str | None, actor: ActorClient, incoming: IncomingFiles) -> None:
        """Pass a message on, once the files that it mentions are on this machine."""
        if (
            isinstance(message, Ended)
            and message.event["type"] == TRAINING_PAUSED
            and message.event["reason"] == "disk"
        ):
            raise NodeLostError("its disk is full", gone=True)
        if not incoming.handle(message, lambda below: actor.call("snapshot", below, seconds=COPY_SECONDS)):
            return
        match message:
            case Ended(event):
                if event["type"] == TRAINING_FAILED:
                    # Advice about this machine's memory does not apply to the node.
                    event.pop("outOfMemory", None)
                self._is_completed = event["type"] == TRAINING_COMPLETED
                self.link.send(message)
            case _:
                self.link.send(message if mark is None else Marked(mark, message))
        if isinstance(message, TrainingEvent) and message.event["type"] == TRAINING_STARTED:
            location = TrainingMessage(type=TRAINING_MESSAGE, message=self._location)
            self.link.send(TrainingEvent(location))
