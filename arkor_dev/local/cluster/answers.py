"""What a node says, in JSON: what it has, and the messages of its training worker. None of it is trusted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.events import (
    CHECKPOINT_REMOVED,
    CHECKPOINT_SAVED,
    EVALUATION_COMPLETED,
    SAMPLE_CREATED,
    SYSTEM_METRICS,
    TRAINING_LOG,
    TRAINING_MESSAGE,
    TRAINING_RESUMED,
    TRAINING_STARTED,
)
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE: Final = ("node", "home")
"""What a job's place tells besides: its address, and the folder of the job."""
LINE: Final = 1000
"""Characters of what a node says of itself in one line."""
ENDS: Final = ("completed", "failed", "paused", "cancelled")
EVENTS: Final = frozenset(
    {
        *(TRAINING_STARTED, TRAINING_LOG, TRAINING_MESSAGE, TRAINING_RESUMED, EVALUATION_COMPLETED),
        *(CHECKPOINT_SAVED, CHECKPOINT_REMOVED, SAMPLE_CREATED, SYSTEM_METRICS),
    }
)
"""What a worker tells of. That a job is over, or a stream, is for the backend to tell."""
OF_ALL: Final = frozenset({"type", "jobId", "timestamp"})
"""Fields of every event, which the backend sets."""


class HostileError(Exception):
    """A node has sent what no worker sends; ``str()`` says what."""


def facts_of(answer: bytes, *, of_place: bool = False) -> dict[str, Any]:
    """What a node tells of itself, as `there.facts` has it, and with ``of_place`` as `Node.facts` has it.

    Raises HostileError.
    """
    try:
        told = strict_json.parse(answer)
        facts = {name: told[name] for name in ("python", "versions", "missing", *(PLACE if of_place else ()))}
        named = facts["versions"]
        lines = [facts["python"], *named, *named.values(), *(facts[name] for name in PLACE if of_place)]
        sound = isinstance(facts["missing"], list) and all(map(_is_line, (*lines, *facts["missing"])))
        sound &= not of_place or (facts["home"].startswith("/") and len(facts["home"]) > 1)
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise HostileError("what it has in a form that nobody can read")
    return facts


def _is_line(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LINE and value.isprintable()


def messages_of(answer: bytes) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The messages of a node's answer, and how its worker ended, where it has. Raises HostileError."""
    try:
        told = strict_json.parse(answer)
        messages, over = told["messages"], told["over"]
        sound = isinstance(messages, list) and all(_is_message(message) for message in messages)
        sound &= over is None or isinstance(over["cause"], str)
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise HostileError("a message that is none")
    return messages, over


def meeting_of(answer: bytes) -> tuple[int | None, dict[str, Any] | None]:
    """The port of a node's answer at which workers meet, once it is there; its end as `messages_of` has it.

    Raises HostileError, and JobFailure with the reason of a worker that has failed.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if (told := strict_json.parse(answer))["messages"]:
            first, port = told["messages"][0], told["messages"][0]["meets"]
            if len(first) == 1 and type(port) is int and 0 < port < 1 << 16:
                return port, None
    messages, over = messages_of(answer)
    if messages and messages[0].get("end") == "failed":
        raise JobFailure(str(messages[0]["fields"].get("error")))
    if messages:
        raise HostileError("something else than where its workers meet")
    return None, over


def _is_message(message: object) -> bool:
    if not isinstance(message, dict) or len(message) > 2:
        return False
    fields = isinstance(message.get("fields"), dict) and not OF_ALL & message["fields"].keys()
    if "event" in message:
        return fields and message["event"] in EVENTS
    if "end" in message:
        return fields and message["end"] in ENDS
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


def renamed(value: Any, there: str, here: Mapping[str, str]) -> Any:
    """``value`` with every folder of the node's ``there`` in its texts called as it is ``here``, by name."""
    if isinstance(value, str):
        if there in value:
            for name, folder in here.items():
                value = value.replace(f"{there}/{name}", folder)
        return value
    if isinstance(value, list):
        return [renamed(each, there, here) for each in value]
    if isinstance(value, dict):
        return {key: renamed(each, there, here) for key, each in value.items()}
    return value
