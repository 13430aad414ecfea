"""Parses a node's JSON without trusting it: facts about the node, and its worker's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.events import TRAINING_FAILED
from arkor_dev.local.execution.messages import (
    Ended,
    Meeting,
    Report,
    ResumePoint,
    TrainingEvent,
)
from arkor_dev.local.workers.codec import Codec
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.messages import ProgressReport

from .errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.local.workers.codec import M, Message

    from .protocol import ExitStatus, NodeFacts

JOB_FACTS: Final = ("node", "home")
"""Facts about a job's actor in addition to the machine's: the node's address and the job's folder there."""
LINE: Final = 1000
"""Maximum length of a fact, in characters."""
REPORTS: Final = Codec[Report](TrainingEvent, ProgressReport, ResumePoint, Ended)
FIRST_REPORTS: Final = Codec[Report | Meeting](TrainingEvent, ProgressReport, ResumePoint, Ended, Meeting)
RESERVED_FIELDS: Final = frozenset({"jobId", "timestamp"})
"""Fields that every event has, set by the backend."""


def parse_facts(answer: bytes, *, of_job: bool = False) -> NodeFacts:
    """Return a node's `machine_facts`, or `HostedJob.facts` with ``of_job``. Raises ProtocolError."""
    names = ("python", "versions", "missing", *(JOB_FACTS if of_job else ()))
    try:
        fields = strict_json.parse(answer)
        facts: Any = {name: fields[name] for name in names}
        versions, missing = facts["versions"], facts["missing"]
        lines = [facts["python"], *versions, *versions.values()]
        lines += [facts[name] for name in JOB_FACTS if of_job]
        is_valid = isinstance(missing, list) and all(map(_is_line, (*lines, *missing)))
        is_valid &= not of_job or (facts["home"].startswith("/") and len(facts["home"]) > 1)
    except (ValueError, KeyError, TypeError, AttributeError):
        is_valid = False
    if not is_valid:
        raise ProtocolError("facts about itself in an unknown form")
    parsed: NodeFacts = facts
    return parsed


def _is_line(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LINE and value.isprintable()


def parse_messages(answer: bytes) -> tuple[list[Report], ExitStatus | None]:
    """Return the messages in a node's response, and how its worker ended, if it has. Raises ProtocolError."""
    messages, exit_status = _parse(answer, REPORTS)
    return messages, exit_status


def parse_rendezvous(answer: bytes) -> tuple[int | None, ExitStatus | None]:
    """Return the port where workers meet, once the response has it, and the end, as `parse_messages` does.

    Raises ProtocolError, and JobFailure with the reason if a worker has failed.
    """
    messages, exit_status = _parse(answer, FIRST_REPORTS)
    match messages:
        case []:
            return None, exit_status
        case [Meeting(int(port)), *others] if not any(isinstance(other, Meeting) for other in others):
            return port, None
        case [Ended(event), *_] if event["type"] == TRAINING_FAILED:
            raise JobFailure(event["error"])
    raise ProtocolError("another message than the port where its workers meet")


def _parse(answer: bytes, codec: Codec[M]) -> tuple[list[M], ExitStatus | None]:
    try:
        fields = strict_json.parse(answer)
        exit_status = fields["over"]
        if not (exit_status is None or isinstance(exit_status["cause"], str)):
            raise ProtocolError("an invalid exit status")
        messages = [codec.of(message) for message in fields["messages"]]
    except (ValueError, KeyError, TypeError):
        raise ProtocolError("an invalid message") from None
    if not all(map(_is_allowed, messages)):
        raise ProtocolError("an invalid message")
    return messages, exit_status


def _is_allowed(message: Message) -> bool:
    """Return whether a worker may send this: the backend sets the fields of every event."""
    match message:
        case TrainingEvent(event) | Ended(event):
            return not RESERVED_FIELDS & event.keys()
    return True


def localized(message: Report, remote_home: str, folders: Mapping[str, str]) -> Report:
    """Replace folders below ``remote_home`` in a message by this machine's."""
    match message:
        case TrainingEvent(event):
            return TrainingEvent(localize_paths(event, remote_home, folders))
        case Ended(event):
            return Ended(localize_paths(event, remote_home, folders))
        case ProgressReport(progress):
            return ProgressReport(localize_paths(progress, remote_home, folders))
    return message


def localize_paths(value: object, remote_home: str, folders: Mapping[str, str]) -> Any:
    """Replace folders below ``remote_home`` in all strings of ``value`` by this machine's, by name.

    The result has the type of ``value``.
    """
    if isinstance(value, str):
        if remote_home in value:
            for name, folder in folders.items():
                value = value.replace(f"{remote_home}/{name}", folder)
        return value
    if isinstance(value, list):
        return [localize_paths(item, remote_home, folders) for item in value]
    if isinstance(value, dict):
        return {key: localize_paths(item, remote_home, folders) for key, item in value.items()}
    return value
