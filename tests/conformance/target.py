"""The backend under test, spoken to over plain HTTP: no line of the product is in between."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from email.message import Message

CLIENT = {"X-Arkor-Client": "conformance/1.0"}
OWN = ("ping", "end")
OVER = ("completed", "failed", "cancelled")
SECONDS = 120.0
"""The longest silence of a backend that works."""


@dataclass(frozen=True)
class Frame:
    """One server-sent event; ``id`` is None where the frame has none."""

    event: str
    data: str
    id: str | None = None

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.data)
        return value


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def error(self) -> str:
        """The text of a refusal, which has the one form that all refusals have."""
        assert self.headers["Content-Type"].startswith("application/json"), self
        assert isinstance(self.json, dict), self
        text = self.json.get("error")
        assert isinstance(text, str), self
        assert text.strip(), self
        return text


@dataclass
class Target:
    """A backend, the token and scope that it gives, and the configs of jobs that it can run.

    ``quick`` ends within seconds, ``endless`` runs until it is cancelled, ``broken`` fails. ``address`` is as
    in docs/contract.md#backend-base-url. ``ours``: nothing is in it that this repository does not know.
    """

    address: str
    token: str
    org: str
    project: str
    quick: dict[str, Any]
    ours: bool = True
    names: int = field(default=0, init=False)

    @property
    def endless(self) -> dict[str, Any]:
        return {**self.quick, "dryRun": False, "maxSteps": 1_000_000, "saveSteps": 500_000}

    @property
    def broken(self) -> dict[str, Any]:
        nowhere = {"type": "huggingface", "name": "arkor-conformance/no-such-data-set"}
        return {**self.quick, "datasetSource": nowhere}

    @property
    def scope(self) -> dict[str, str]:
        return {"orgSlug": self.org, "projectSlug": self.project}

    def name(self) -> str:
        """A name that no job of this run has had."""
        self.names += 1
        return f"conformance {self.names}"

    def open(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request with the token and the scope, unless told otherwise; the answer to be read.

        A ``body`` of bytes goes as it is, anything else as JSON.
        """
        sent: dict[str, str] = {"Authorization": f"Bearer {self.token}", **CLIENT, "Connection": "close"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        asked = urlencode(self.scope if query is None else query)
        connection, prefix = self._connection()
        connection.request(
            method,
            f"{prefix}{path}{'?' if asked else ''}{asked}",
            data,
            {name: value for name, value in sent.items() if value},
        )
        return connection.getresponse()

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        url = urlsplit(self.address)
        if url.scheme == "https":
            return http.client.HTTPSConnection(url.hostname or "", url.port, timeout=SECONDS), url.path
        if url.scheme != "http+unix":
            return http.client.HTTPConnection(url.hostname or "", url.port, timeout=SECONDS), url.path
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(SECONDS)
        connection.sock.connect(bytes.fromhex(url.hostname or ""))
        return connection, ""

    def call(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        """A request and its whole answer."""
        with self.open(method, path, body, **more) as answer:
            return Answer(answer.status, answer.headers, answer.read())

    def get(self, path: str) -> dict[str, Any]:
        """The object at a path."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.json

    # --- jobs -----------------------------------------------------------------------------------------

    def submit(self, config: Mapping[str, object], name: str | None = None) -> str:
        """Create a job; its id."""
        answer = self.call("POST", "/v1/jobs", {"name": name or self.name(), "config": config})
        assert answer.status in (200, 201), answer
        job_id = answer.json["job"]["id"]
        assert isinstance(job_id, str)
        assert job_id
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.get(f"/v1/jobs/{job_id}")["job"]
        return job

    def jobs(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.get("/v1/jobs")["jobs"]
        return listed

    def cancel(self, job_id: str) -> None:
        answer = self.call("POST", f"/v1/jobs/{job_id}/cancel")
        assert 200 <= answer.status < 300, answer

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job, once it is over."""
        until(lambda: self.job(job_id)["status"] in OVER)
        return self.job(job_id)

    # --- streams --------------------------------------------------------------------------------------

    def stream(self, job_id: str, last: str | None = None) -> http.client.HTTPResponse:
        """The open stream of a job's events, from behind the event ``last``."""
        headers = {"Accept": "text/event-stream", **({} if last is None else {"Last-Event-ID": last})}
        answer = self.open("GET", f"/v1/jobs/{job_id}/events/stream", headers=headers)
        assert answer.status == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return answer

    def frames(self, job_id: str, last: str | None = None) -> list[Frame]:
        """The whole stream of a job, up to and with ``end``; keep-alives are left out."""
        with self.stream(job_id, last) as answer:
            return [frame for frame in frames_of(answer) if frame.event != "ping"]

    def history(self, job_id: str, last: str | None = None) -> list[Frame]:
        """The history of a job that is over, as its whole stream tells it."""
        *frames, end = self.frames(job_id, last)
        assert end.event == "end"
        return frames

    def chat(self, **body: Any) -> list[Frame]:
        """The frames of a streamed answer."""
        with self.open("POST", "/v1/inference/chat", body) as answer:
            assert answer.status == 200, answer.read()
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            return list(frames_of(answer))


def frames_of(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[Frame]:
    """The frames of an event stream, as they come, until it is over."""
    event, data, number = "message", list[str](), None
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                event = value
            case "data":
                data.append(value)
            case "id":
                number = value
            case "" if not line and (data or event != "message"):
                yield Frame(event, "\n".join(data), number)
                event, data, number = "message", [], None


def history_of(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[Frame]:
    """The frames of a stream that belong to the job's history, as they come."""
    return (frame for frame in frames_of(lines) if frame.event not in OWN)


def first(count: int, lines: http.client.HTTPResponse) -> list[Frame]:
    """The first frames of a stream that belong to the job's history."""
    frames = history_of(lines)
    return [next(frames) for _ in range(count)]


def until(what: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until ``what`` is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
