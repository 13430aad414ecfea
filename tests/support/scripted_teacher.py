"""A teacher that is a real HTTP server on 127.0.0.1 and answers as a test says."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from .http_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Said:
    """How to answer a request: with ``rows`` or any ``text``, ``slow`` or ``cut`` off."""

    rows: list[Any] | None = None
    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    slow: float = 0
    cut: bool = False
    usage: dict[str, int] | None = field(
        default_factory=lambda: {"prompt_tokens": 300, "completion_tokens": 100}
    )


def passage_of(body: dict[str, Any]) -> str:
    """The passage in a request."""
    return str(body["messages"][1]["content"]).partition("\n\n")[2]


def sentences(text: str) -> list[str]:
    """The sentences of a passage that are long enough for a quote."""
    return [each for each in re.split(r"(?<=[.!?])\s+", text) if len(each) > 30]


def right(body: dict[str, Any]) -> Said:
    """A question and an answer about the first sentence, with its true quote."""
    quote = sentences(passage_of(body))[0]
    return Said([{"question": f"What is known about this: {quote[:40]}?", "answer": quote, "quote": quote}])


class ScriptedTeacher:
    """``script`` says how each request is answered, by its number from 0 and its body."""

    def __init__(self, script: Callable[[int, dict[str, Any]], Said]) -> None:
        self.script = script
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.models: list[Any] = [{"id": "wise"}]
        self.url = ""
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()

    def asked(self) -> list[str]:
        """The user's message of each request, in their order."""
        return [str(body["messages"][-1]["content"]) for body in self.bodies]

    def handle(self, http: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = json.loads(http.rfile.read(int(http.headers["Content-Length"])))
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.keys.append(http.headers["Authorization"])
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            said = self.script(number, body)
            time.sleep(said.slow)
            self._send(http, said)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the other side was killed
        finally:
            with self._lock:
                self._now -= 1

    def _send(self, http: BaseHTTPRequestHandler, said: Said) -> None:
        text = said.text if said.rows is None else json.dumps({"rows": said.rows})
        message = {"role": "assistant", "content": text}
        whole: dict[str, Any] = {"choices": [{"message": message}]}
        if said.usage is not None:
            whole["usage"] = said.usage
        data = json.dumps(whole if said.status == 200 else {"error": {"message": said.text}}).encode()
        http.send_response(said.status)
        for name, value in {"Content-Type": "application/json", **said.headers}.items():
            http.send_header(name, value)
        http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        http.wfile.write(data[: len(data) // 2] if said.cut else data)
        http.close_connection = http.close_connection or said.cut


@contextmanager
def scripted(script: Callable[[int, dict[str, Any]], Said]) -> Iterator[ScriptedTeacher]:
    """Serve a teacher while the block runs."""
    teacher = ScriptedTeacher(script)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/v1/models"
            teacher.keys.append(self.headers["Authorization"])
            data = json.dumps({"data": teacher.models}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions"
            teacher.handle(self)

    with serving(Handler) as url:
        teacher.url = f"{url}/v1"
        yield teacher
