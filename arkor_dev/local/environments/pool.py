"""A training worker's side of environments: starts the host, and talks with the episodes' processes.

Whatever a process does, the episode fails or the call returns; nothing that it sends is trusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket as sockets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.workers.codec import Codec, M, Message, encode
from arkor_dev.local.workers.errors import JobFailure

from .adapters import MOST_REWARD
from .messages import (
    Begin,
    EnvironmentCall,
    EnvironmentLimits,
    EpisodeBegun,
    EpisodeFault,
    Finish,
    Finished,
    Host,
    Ready,
    Result,
    Row,
    Step,
    Stepped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

MODULE: Final = "arkor_dev.local.environments.host"
MESSAGE: Final = 2**23
"""Longest message from an environment, in bytes."""
CHUNK: Final = 2**16
STOPPED: Final = 0.2
"""Seconds between two checks whether the job must stop."""
END_SECONDS: Final = 15.0
"""Seconds that the host has to end all processes."""
REASON: Final = 400
"""Maximum length of a failure's reason, in characters."""


class EnvironmentFailure(JobFailure):
    """Why an environment plays no episodes at the moment. A job can resume once it is corrected."""


@dataclass(eq=False)
class Episode:
    """An episode in a process of its own. ``failure`` says why it has failed; empty if it has not."""

    observation: str | None = None
    tools: list[dict[str, object]] = field(default_factory=list)
    done: bool = False
    reward: float | None = None
    failure: str = ""
    results: list[Result] = field(default_factory=list)
    """What the tools said to the calls of the last step."""
    socket: sockets.socket | None = field(default=None, repr=False)
    received: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def failed(self) -> bool:
        """Whether the environment has failed, and its process has ended."""
        return bool(self.failure)

    def fail(self, reason: str) -> None:
        """End the episode because its environment has failed."""
        # Whatever an environment writes is one line of text for the user.
        printable = "".join(letter if letter.isprintable() else " " for letter in reason)
        self.failure = self.failure or printable[:REASON]
        self.end()

    def end(self) -> None:
        """Let its process end."""
        if self.socket:
            self.socket.close()
            self.socket = None


class EnvironmentPool:
    """Runs episodes of ``environment``, ``module:name`` of ``project``.

    The host starts with the first episodes. ``stopped`` is asked while an environment works; then the methods
    raise Stopped. They raise JobFailure if the environment cannot be loaded.
    """

    def __init__(
        self,
        environment: str,
        project: Path,
        stopped: Callable[[], bool],
        limits: EnvironmentLimits | None = None,
    ) -> None:
        self._request = Host(environment, str(project), limits or EnvironmentLimits())
        self._limits, self._stopped = self._request.limits, stopped
        self._process: subprocess.Popen[bytes] | None = None
        self._control: sockets.socket | None = None
        self._episodes: list[Episode] = []

    def begin(self, rows: Sequence[tuple[Row, int]]) -> list[Episode]:
        """Begin an episode for each row and seed; they begin at once."""
        self._episodes = [episode for episode in self._episodes if episode.socket]
        episodes = []
        for _ in rows:
            episodes.append(Episode(socket=self._connected()))
            self._episodes.append(episodes[-1])
        messages: list[Message] = [Begin(_as_json(row), seed) for row, seed in rows]
        for episode, answer in self._exchange(dict(zip(episodes, messages, strict=True)), EpisodeBegun):
            episode.observation, episode.tools = answer.observation, answer.tools
            episode.done = answer.done
        return episodes

    def step(self, calls: Mapping[Episode, Sequence[EnvironmentCall]]) -> None:
        """Make the calls of each episode's last answer, all episodes at once."""
        messages: dict[Episode, Message] = {episode: Step(list(own)) for episode, own in calls.items()}
        for episode, answer in self._exchange(messages, Stepped):
            if len(answer.results) != len(calls[episode]):
                episode.fail("it sent an invalid message")
                continue
            episode.results, episode.done = answer.results, answer.done

    def finish(self, answers: Mapping[Episode, str]) -> None:
        """Get the reward of each episode, given its last answer, and end it."""
        messages: dict[Episode, Message] = {episode: Finish(text) for episode, text in answers.items()}
        for episode, answer in self._exchange(messages, Finished):
            if answer.reward is not None and not abs(answer.reward) <= MOST_REWARD:
                episode.fail("it sent an invalid message")
                continue
            episode.reward = answer.reward
            episode.end()

    def close(self) -> None:
        """End the host and every process of its episodes."""
        while self._episodes:
            self._episodes.pop().end()
        process, self._process = self._process, None
        if self._control:
            self._control.close()
            self._control = None
        if process:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # The host

    def _connected(self) -> sockets.socket:
        """Return the worker's end of a new episode's socket; start the host if it does not run."""
        for _ in range(2):
            control = self._control or self._started()
            ours, theirs = sockets.socketpair()
            with theirs:
                try:
                    sockets.send_fds(control, [b"1"], [theirs.fileno()])
                except OSError:  # an environment has ended the host, and with it its episodes
                    ours.close()
                    self.close()
                    continue
            ours.setblocking(False)
            return ours
        raise EnvironmentFailure(
            f"The environment {self._request.environment} ended the process that it runs in"
        )

    def _started(self) -> sockets.socket:
        ours, theirs = sockets.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._request.project,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
        self._control = ours
        ours.setblocking(False)
        loading = Episode(socket=ours)
        for _ in self._exchange({loading: self._request}, Ready, self._limits.start):
            return ours
        self._control = None
        self.close()
        raise JobFailure(f"The environment {self._request.environment} cannot be loaded: {loading.failure}")

    # Messages

    def _exchange(
        self, messages: Mapping[Episode, Message], kind: type[M], seconds: float | None = None
    ) -> list[tuple[Episode, M]]:
        """Send each episode its message; return the answers of those that have not failed, in order.

        An answer may take ``seconds``, by default those of the calls that it is about.
        """
        answers: dict[Episode, M] = {}
        codec = Codec[Message](kind, EpisodeFault)
        with selectors.DefaultSelector() as selector:
            talks = {}
            for episode, message in messages.items():
                calls = len(message.calls) if isinstance(message, Step) else 1
                limit = self._limits.call * calls if seconds is None else seconds
                if episode.socket is None:
                    continue
                talk = talks[episode] = _Talk(episode, encode(message), time.monotonic() + limit, limit)
                selector.register(episode.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, talk)
            while talks:
                if self._stopped():
                    raise Stopped
                wait = max(0.0, min(STOPPED, min(talk.until for talk in talks.values()) - time.monotonic()))
                for key, events in selector.select(wait):
                    talk = key.data
                    if events & selectors.EVENT_WRITE and not talk.write():
                        selector.modify(key.fileobj, selectors.EVENT_READ, talk)
                    if events & selectors.EVENT_READ:
                        talk.read()
                now = time.monotonic()
                for episode, talk in list(talks.items()):
                    line = talk.line()
                    if line is None and not talk.over and talk.until > now:
                        continue
                    del talks[episode]
                    assert episode.socket
                    selector.unregister(episode.socket)
                    if line is None:
                        episode.fail(
                            "its process ended" if talk.over else f"it took longer than {talk.limit:g} s"
                        )
                        continue
                    try:
                        answer = codec.decode(line)
                    except (ValueError, RecursionError):
                        episode.fail("it sent an invalid message")
                        continue
                    if isinstance(answer, kind):
                        answers[episode] = answer
                    else:
                        assert isinstance(answer, EpisodeFault)
                        episode.fail(answer.reason or "it failed")
        return [(episode, answers[episode]) for episode in messages if episode in answers]


def _as_json(row: Row) -> Row:
    """Return a row as JSON values: dates of a table become text, and NaN becomes null."""
    text = json.dumps(row, default=str)
    value: Row = json.loads(text, parse_constant=lambda _: None)
    return value


@dataclass(eq=False)
class _Talk:
    """A message to an episode, whose answer must come before the time ``until``."""

    episode: Episode
    unsent: bytes
    until: float
    limit: float
    over: bool = False

    def write(self) -> bool:
        """Send what the socket takes; return whether anything is left."""
        assert self.episode.socket
        try:
            self.unsent = self.unsent[self.episode.socket.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.unsent = b""  # it may have said why, before it ended
        return bool(self.unsent)

    def read(self) -> None:
        """Receive what has arrived."""
        assert self.episode.socket
        try:
            data = self.episode.socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.episode.received += data
        self.over = not data or len(self.episode.received) > MESSAGE

    def line(self) -> bytes | None:
        """Return the next line that is not empty, if it has arrived."""
        while b"\n" in self.episode.received:
            line, _, rest = bytes(self.episode.received).partition(b"\n")
            self.episode.received[:] = rest
            if line:
                return line
        return None
