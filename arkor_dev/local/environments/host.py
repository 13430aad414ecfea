"""The process that imports a project's environment once, and forks two processes for each episode.

One runs the environment. The other, its parent, runs none of the project's code: it adopts every process
that the environment starts, ends them all when the episode is over, and says why if that was not the worker's
wish.

Standard input is a Unix socket: `Host` as a line, and then a file descriptor for each episode, the socket on
which its process talks with the worker. Random numbers are seeded, and modules are as they were after the
import, so an episode depends on its row and seed alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from arkor_dev.local.gguf.limited import limit_cpu_time, limit_memory
from arkor_dev.local.workers.codec import Codec, Message, encode
from arkor_dev.local.workers.descendants import adopt_orphans, end_descendants
from arkor_dev.local.workers.link import die_with_parent
from arkor_dev.local.workers.project_code import ProjectCodeError, defined_in

from .adapters import Environment, EnvironmentFault, environment_of, has_functions
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
    Step,
    Stepped,
)

if TYPE_CHECKING:
    from collections.abc import Callable

WATCHED: Final = 0.1
"""Seconds between two looks at an episode's processes."""
REASON: Final = 500
"""Maximum length of a reason, in characters."""
FILE: Final = 2**28
"""Largest file that an environment may write, in bytes."""
LINE: Final = 2**24
"""Longest message from the worker, in bytes: a row is shorter."""


def main() -> NoReturn:
    """Load the environment, then fork for every socket that arrives, until the worker closes the pipe."""
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    try:
        request = Codec(Host).decode(_line(control, bytearray()))
        try:
            make = defined_in(Path(request.project), request.environment, "class")
        except ProjectCodeError as fault:
            control.sendall(encode(EpisodeFault(_clean(str(fault)))))
        except BaseException as error:  # noqa: BLE001 - sys.exit in a project's file, too
            control.sendall(encode(EpisodeFault(_raised("importing it", error, request.limits))))
        else:
            if has_functions(make):  # once, and not in each episode
                import transformers.utils.chat_template_utils  # noqa: F401
            control.sendall(encode(Ready()))
            _fork_episodes(control, make, request.limits)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_descendants()
        os._exit(0)


def _fork_episodes(control: socket.socket, make: Callable[[], object], limits: EnvironmentLimits) -> None:
    while True:
        if select.select([control], [], [], WATCHED)[0]:
            data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not data:
                return
            for descriptor in descriptors:
                if not os.fork():
                    control.close()
                    _watch(socket.socket(fileno=descriptor), make, limits)
                os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


# The process that watches an episode


def _watch(worker: socket.socket, make: Callable[[], object], limits: EnvironmentLimits) -> NoReturn:
    """Run the episode in a child; end all its processes when it ends, or when the worker hangs up."""
    try:
        os.setsid()
        adopt_orphans()
        signal.signal(signal.SIGTERM, lambda *_: os._exit(_ended(None)))
        child = os.fork()
        if not child:
            try:
                _serve(worker, make, limits)
            finally:
                os._exit(1)
        reason = _watched(worker, child, limits)
        _ended(child if reason is not None else None)
        if reason:
            # A line of its own, behind whatever the environment has written.
            worker.settimeout(1)
            worker.sendall(b"\n" + encode(EpisodeFault(reason)))
    finally:
        os._exit(0)


def _watched(worker: socket.socket, child: int, limits: EnvironmentLimits) -> str | None:
    """Wait for the end of the episode; return why it ended; None if the worker has hung up."""
    poll = select.poll()
    poll.register(worker, select.POLLHUP)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return _cause(os.waitstatus_to_exitcode(status))
        if poll.poll(1000 * WATCHED):
            return None
        if len(_processes(os.getpid(), limits.processes)) > limits.processes:
            return f"it had more than {limits.processes} processes at once"


def _cause(status: int) -> str:
    if status >= 0:
        return f"it ended its process, with exit status {status}"
    if -status == signal.SIGXCPU:
        return "it used more processor time than an episode may"
    with contextlib.suppress(ValueError):
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process was ended by signal {-status}"


def _processes(root: int, most: int) -> list[int]:
    """Return descendants of ``root``, at most one more than ``most`` (Linux only)."""
    found: list[int] = []
    pending = [root]
    while pending and len(found) <= most:
        with contextlib.suppress(OSError, ValueError):
            for path in Path(f"/proc/{pending.pop()}/task").glob("*/children"):
                children = [int(pid) for pid in path.read_text().split()]
                found += children
                pending += children
    return found


def _ended(child: int | None) -> int:
    """End the process group ``child``, if any, and all other descendants; return 0."""
    if child is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0  # looking through all processes would take some milliseconds
    end_descendants()
    return 0


# The process of an episode


def _serve(worker: socket.socket, make: Callable[[], object], limits: EnvironmentLimits) -> NoReturn:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    _limit(limits)
    served, codec = _Served(make, limits), Codec[Begin | Step | Finish](Begin, Step, Finish)
    buffer = bytearray()
    while True:
        message = codec.decode(_line(worker, buffer))
        try:
            answer: Message = served.answer(message)
        except BaseException as error:  # noqa: BLE001 - an environment may raise anything, SystemExit too
            answer = EpisodeFault(_raised(type(message).__name__, error, limits))
        worker.sendall(encode(answer))
        if isinstance(answer, EpisodeFault | Finished):
            os._exit(0)  # also if threads are left


def _limit(limits: EnvironmentLimits) -> None:
    limit_memory(limits.memory)
    limit_cpu_time(limits.processor)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


METHODS: Final = {"Begin": "reset()", "Step": "step()", "Finish": "reward()"}


class _Served:
    """Answers the messages of one episode."""

    def __init__(self, make: Callable[[], object], limits: EnvironmentLimits) -> None:
        self._make, self._limits = make, limits
        self._environment: Environment | None = None

    def answer(self, message: Begin | Step | Finish) -> Message:
        match message:
            case Begin(row, seed):
                _seed(seed)
                self._environment = environment = environment_of(self._make)
                observation = environment.reset(row)
                text = None if observation is None else self._cut(observation)
                return EpisodeBegun(text, environment.tools, environment.done)
            case Step(calls):
                assert self._environment
                results: list[Result] = []
                for call in calls:
                    if results and self._environment.done:
                        results.append(Result("error: the episode is over", error=True))
                    else:
                        results.append(self._step(call))
                return Stepped(results, self._environment.done)
            case Finish(last):
                assert self._environment
                return Finished(self._environment.reward(last))

    def _step(self, call: EnvironmentCall) -> Result:
        assert self._environment
        result = self._environment.step(call)
        return Result(self._cut(result.text), result.error)

    def _cut(self, text: str) -> str:
        most = self._limits.characters
        return _clean(text if len(text) <= most else f"{text[:most]}… (cut)")


def _seed(seed: int) -> None:
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed)


def _raised(method: str, error: BaseException, limits: EnvironmentLimits) -> str:
    """Return the reason for the user."""
    if isinstance(error, EnvironmentFault):
        return _clean(str(error))
    if isinstance(error, MemoryError):
        return f"it needs more than {limits.memory / 2**30:.3g} GiB of memory"
    try:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
    except BaseException:  # noqa: BLE001 - its __str__ is the project's, too
        text = type(error).__name__
    return _clean(f"{METHODS.get(method, method)} failed: {text}"[:REASON])


def _clean(text: str) -> str:
    """Return ``text`` without what no encoding has."""
    return str(text).encode(errors="replace").decode()


def _line(stream: socket.socket, buffer: bytearray) -> bytes:
    """Return the next line from ``stream``, whose rest stays in ``buffer``; end this process at its end."""
    while b"\n" not in buffer:
        data = stream.recv(2**16)
        if not data or len(buffer) > LINE:
            os._exit(0)
        buffer += data
    line, _, rest = bytes(buffer).partition(b"\n")
    buffer[:] = rest
    return line


if __name__ == "__main__":
    main()
