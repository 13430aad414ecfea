"""Parses a node's JSON without trusting it: facts about the node, and its worker's messages."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.events import (
    CHECKPOINT_REMOVED,
    CHECKPOINT_SAVED,
    EVALUATION_COMPLETED,
    ROLLOUTS_CREATED,
    SAMPLE_CREATED,
    SYSTEM_METRICS,
    TRAINING_LOG,
    TRAINING_MESSAGE,
    TRAINING_PHASE,
    TRAINING_RESUMED,
    TRAINING_STARTED,
)
from arkor_dev.local.workers.errors import JobFailure

from .errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB_FACTS: Final = ("node", "home")
"""Facts about a job's actor in addition to the machine's: the node's address and the job's folder there."""
LINE: Final = 1000
"""Maximum length of a fact, in characters."""
ENDS: Final = ("completed", "failed", "paused", "cancelled")
EVENTS: Final = frozenset(
    {
        *(TRAINING_STARTED, TRAINING_PHASE, TRAINING_LOG, TRAINING_MESSAGE, TRAINING_RESUMED),
        EVALUATION_COMPLETED,
        *(CHECKPOINT_SAVED, CHECKPOINT_REMOVED, ROLLOUTS_CREATED, SAMPLE_CREATED, SYSTEM_METRICS),
    }
)
"""Events that a worker may send. Only the backend may report that a job or a stream has ended."""
RESERVED_FIELDS: Final = frozenset({"type", "jobId", "timestamp"})
"""Fields that every event has, set by the backend."""


def parse_facts(answer: bytes, *, of_job: bool = False) -> dict[str, Any]:
    """Return a node's `machine_facts`, or `HostedJob.facts` with ``of_job``. Raises ProtocolError."""
    names = ("python", "versions", "missing", *(JOB_FACTS if of_job else ()))
    try:
        fields = strict_json.parse(answer)
        facts = {name: fields[name] for name in names}
        versions, missing = facts["versions"], facts["missing"]
        lines = [facts["python"], *versions, *versions.values()]
        lines += [facts[name] for name in JOB_FACTS if of_job]
        is_valid = isinstance(missing, list) and all(map(_is_line, (*lines, *missing)))
        is_valid &= not of_job or (facts["home"].startswith("/") and len(facts["home"]) > 1)
    except (ValueError, KeyError, TypeError, AttributeError):
        is_valid = False
    if not is_valid:
        raise ProtocolError("facts about itself in an unknown form")
    return facts


def _is_line(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LINE and value.isprintable()


def parse_messages(answer: bytes) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the messages in a node's response, and how its worker ended, if it has. Raises ProtocolError."""
    try:
        fields = strict_json.parse(answer)
        messages, exit_status = fields["messages"], fields["over"]
        is_valid = isinstance(messages, list) and all(_is_message(message) for message in messages)
        is_valid &= exit_status is None or isinstance(exit_status["cause"], str)
    except (ValueError, KeyError, TypeError):
        is_valid = False
    if not is_valid:
        raise ProtocolError("an invalid message")
    return messages, exit_status


def parse_rendezvous(answer: bytes) -> tuple[int | None, dict[str, Any] | None]:
    """Return the port where workers meet, once the response has it, and the end, as `parse_messages` does.

    Raises ProtocolError, and JobFailure with the reason if a worker has failed.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if (fields := strict_json.parse(answer))["messages"]:
            first, port = fields["messages"][0], fields["messages"][0]["meets"]
            if len(first) == 1 and type(port) is int and 0 < port < 1 << 16:
                return port, None
    messages, exit_status = parse_messages(answer)
    if messages and messages[0].get("end") == "failed":
        raise JobFailure(str(messages[0]["fields"].get("error")))
    if messages:
        raise ProtocolError("another message than the port where its workers meet")
    return None, exit_status


def _is_message(message: object) -> bool:
    if not isinstance(message, dict) or len(message) > 2:
        return False
    has_fields = isinstance(message.get("fields"), dict) and not RESERVED_FIELDS & message["fields"].keys()
    if "event" in message:
        return has_fields and message["event"] in EVENTS
    if "end" in message:
        return has_fields and message["end"] in ENDS
    if "kept" in message:
        return type(message["kept"]) is int and 0 <= message["kept"] < 1 << 62
    progress = message.get("progress")
    if not isinstance(progress, dict) or progress.keys() != {"label", "done", "total", "unit"}:
        return False
    numbers = (int, float)
    return (
        isinstance(progress["label"], str)
        and isinstance(progress["unit"], str)
        and isinstance(progress["done"], numbers)
        and isinstance(progress["total"], (*numbers, type(None)))
    )


def localize_paths(value: Any, remote_home: str, folders: Mapping[str, str]) -> Any:
    """Replace folders below ``remote_home`` in all strings of ``value`` by this machine's, by name."""
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
