"""The request log: figures of each request, and its text while the deployment keeps it.

The number of entries is limited. A text is kept only if its deployment requests that, is hidden once it
expires (reading checks its age), and is overwritten on disk when deleted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.local.jobs.database import SECURE_DELETE, TRUNCATE_LOG, stored_object, transaction
from arkor_dev.local.jobs.records import compact, now

from .deployments import NOT_KEPT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from arkor_dev.contract.deployments import EndpointRequest, EndpointRequests, EndpointTotals
    from arkor_dev.contract.shapes import Deployment
    from arkor_dev.local.jobs.store import Store
    from arkor_dev.local.modeling.tool_calls import ToolCall

MOST: Final = 10_000
"""Maximum number of requests per deployment whose figures are kept."""
MOST_TEXT: Final = 256 << 10
"""Maximum length of a request's text that is kept, in characters."""
MOST_TEXTS: Final = 256 << 20
"""Maximum total length of all texts, in characters; the oldest are deleted first."""
PAGE: Final = 50
COUNTED: Final = 1000
FAULT: Final = 400
COLUMNS: Final = "seq, at, call, status, key, stream, prompt, completion, first, seconds, error, said"


class RequestRow(NamedTuple):
    """A row of ``COLUMNS``; ``text`` is JSON."""

    seq: int
    at: str
    call: str
    status: int
    key: str | None
    stream: int
    prompt: int
    completion: int
    first: float | None
    seconds: float
    error: str | None
    text: str | None


@dataclass
class LoggedRequest:
    """A request in progress; times are seconds from its arrival.

    Its text is ``messages``, ``tools`` and ``answers``, with the ``calls`` of each answer and its ``reasons``
    to end.
    """

    deployment: str
    call: str
    key: str | None = None
    stream: bool = False
    at: str = field(default_factory=now)
    status: int = 200
    prompt: int = 0
    completion: int = 0
    first: float | None = None
    seconds: float = 0.0
    error: str | None = None
    messages: Sequence[Mapping[str, object]] = ()
    tools: Sequence[object] = ()
    answers: list[str] = field(default_factory=list)
    calls: list[Sequence[ToolCall]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def text(self) -> dict[str, object]:
        """What is kept of the conversation, without what it does not have."""
        text: dict[str, object] = {"messages": list(self.messages), "answers": self.answers}
        if self.tools:
            text |= {"tools": list(self.tools), "calls": self.calls}
        return {**text, "reasons": self.reasons} if self.reasons else text


def add(store: Store, request: LoggedRequest) -> None:
    """Store a finished request, with its text if its deployment keeps texts and still exists."""
    db = store.writing
    with transaction(db):
        retention = db.execute(
            "SELECT retention FROM deployments WHERE id = ?", (request.deployment,)
        ).fetchone()
        if retention is None:
            return
        text = None
        if retention[0] != NOT_KEPT and request.answers:
            text = compact(request.text)
            text = text if len(text) <= MOST_TEXT else None
        db.execute(
            """INSERT INTO endpoint_requests
                (deployment, at, call, status, key, stream, prompt, completion, first, seconds, error, said)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                request.deployment, request.at, request.call, request.status, request.key, request.stream,
                request.prompt, request.completion, request.first, request.seconds, request.error, text,
            ),
        )  # fmt: skip
        db.execute(
            """DELETE FROM endpoint_requests WHERE deployment = ? AND seq <= (SELECT seq FROM
                endpoint_requests WHERE deployment = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)""",
            (request.deployment, request.deployment, MOST),
        )


def forget_texts(store: Store) -> int:
    """Delete the texts that their deployment does not keep, or no longer keeps; return their number."""
    db, deleted = store.writing, 0
    db.execute(SECURE_DELETE)
    with transaction(db):
        rows = db.execute("SELECT id, retention, days FROM deployments").fetchall()
        for deployment, retention, days in rows:
            deleted += db.execute(
                """UPDATE endpoint_requests SET said = NULL
                    WHERE deployment = ? AND said IS NOT NULL AND at < ?""",
                (deployment, _kept_since(retention, days)),
            ).rowcount
        total = db.execute("SELECT coalesce(sum(length(said)), 0) FROM endpoint_requests").fetchone()[0]
        if total > MOST_TEXTS:
            deleted += _forget_oldest(db, total - MOST_TEXTS)
    if deleted:
        db.execute(TRUNCATE_LOG)
    return deleted


def _forget_oldest(db: sqlite3.Connection, characters: int) -> int:
    deleted = 0
    rows = db.execute("SELECT seq, length(said) FROM endpoint_requests WHERE said IS NOT NULL ORDER BY seq")
    for number, size in rows.fetchall():
        if characters <= 0:
            break
        db.execute("UPDATE endpoint_requests SET said = NULL WHERE seq = ?", (number,))
        characters -= size
        deleted += 1
    return deleted


def _kept_since(retention: str | None, days: int | None) -> str:
    """Return the time before which texts are no longer kept."""
    if retention == "unlimited":
        return ""
    if retention != "days" or days is None:
        return "9999"
    try:
        since = datetime.now(UTC) - timedelta(days=days)
    except OverflowError:
        return ""
    return since.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def listing(store: Store, deployment: Deployment, before: int | None) -> EndpointRequests:
    """Return requests: those before the request of this number, or the newest."""
    rows = store.reading.execute(
        f"""SELECT {COLUMNS} FROM endpoint_requests WHERE deployment = ? AND seq < ?
            ORDER BY seq DESC LIMIT ?""",  # noqa: S608 - constant text
        (deployment["id"], (1 << 62) if before is None else before, PAGE + 1),
    ).fetchall()
    page = [_shape(deployment, RequestRow(*row))[0] for row in rows[:PAGE]]
    return {"requests": page, "totals": _totals(store, deployment["id"]), "more": len(rows) > PAGE}


def read_request(store: Store, deployment: Deployment, number: int) -> EndpointRequest | None:
    """Return a request, with its text if that is kept."""
    row = store.reading.execute(
        f"SELECT {COLUMNS} FROM endpoint_requests WHERE deployment = ? AND seq = ?",  # noqa: S608 - constant text
        (deployment["id"], number),
    ).fetchone()
    if row is None:
        return None
    wire, text = _shape(deployment, RequestRow(*row))
    kept = stored_object(text)
    if "messages" in kept:
        wire["messages"] = kept["messages"]
    if "answers" in kept:
        wire["answers"] = kept["answers"]
    if "reasons" in kept:
        wire["reasons"] = kept["reasons"]
    if "tools" in kept:
        wire["tools"], wire["calls"] = kept["tools"], kept.get("calls", [])
    return wire


def _shape(deployment: Deployment, row: RequestRow) -> tuple[EndpointRequest, str | None]:
    """Return a request in the contract's shape, with its text if that is kept."""
    since = _kept_since(deployment.get("runRetentionMode"), deployment.get("runRetentionDays"))
    text = row.text if row.at >= since else None
    wire: EndpointRequest = {
        "id": str(row.seq),
        "at": row.at,
        "call": row.call,
        "status": row.status,
        "key": row.key,
        "stream": bool(row.stream),
        "promptTokens": row.prompt,
        "completionTokens": row.completion,
        "firstTokenSeconds": row.first,
        "seconds": row.seconds,
        "kept": text is not None,
    }
    if row.error is not None:
        wire["error"] = row.error
    return wire, text


def _totals(store: Store, deployment: str) -> EndpointTotals:
    rows = store.reading.execute(
        """SELECT status, prompt, completion, seconds FROM endpoint_requests WHERE deployment = ?
            ORDER BY seq DESC LIMIT ?""",
        (deployment, COUNTED),
    ).fetchall()
    answered = sorted(seconds for status, _, _, seconds in rows if status < FAULT)
    written = sum(completion for status, _, completion, _ in rows if status < FAULT)
    seconds_in_all = sum(answered)
    return {
        "requests": len(rows),
        "errors": sum(status >= FAULT for status, *_ in rows),
        "promptTokens": sum(prompt for _, prompt, _, _ in rows),
        "completionTokens": sum(completion for _, _, completion, _ in rows),
        "tokensPerSecond": round(written / seconds_in_all, 2) if seconds_in_all > 0 else None,
        "medianSeconds": _quantile(answered, 0.5),
        "slowSeconds": _quantile(answered, 0.95),
    }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share of the values do not exceed."""
    if not ordered:
        return None
    return ordered[math.ceil(share * len(ordered)) - 1]
