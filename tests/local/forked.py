"""Processes of the local backend that are forked from one that has loaded their libraries before.

Each is the same program with the same pipes, environment and process group, and would load them for most of
its time: limited children (``local/gguf/limited.py``), a backend that forks its workers (`forking_backend`),
those workers, and commands. ``python -m tests.local.forked FD[,FD,FD] ROOM LIBRARY…`` is the process that
is forked: the template. Whoever connects to it tells ``{module, env, arguments, cwd}`` and the three ends of
the pipes, and is told the process's number and then its exit status.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from arkor_dev.local.workers.link import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PIPE: Final = subprocess.PIPE
SOCKET: Final = (socket.AF_UNIX, socket.SOCK_SEQPACKET)
ORDER: Final = 2**17
ROOM: Final = 2**14
"""Bytes that a child's arguments and environment may have more than its template's, as the system tells of
them."""
PLAIN: Final = (
    "arkor_dev.local.__main__",
    "arkor_dev.cli.main",
    "arkor_dev.cli.commands.start",
    "arkor_dev.server.serve",
    "tests.local.short_evaluation",
)
"""What backends and commands need, which never load torch."""
NAME: Final = "ARKOR_TEST_TEMPLATE_NAME"
"""In the environment of a template: its own name."""


class Template:
    """One process that is forked, until it is ended or this process is gone.

    With ``light`` there are two more, which import what they need when they are first asked for: the process
    behind the views of data (`light_of`), which hides torch, and backends and commands (`plain_of`).
    """

    def __init__(self, libraries: Sequence[str], env: Mapping[str, str], *, light: bool = False) -> None:
        self.name: Final = f"arkor-tests-{uuid.uuid4().hex}"
        self._names = names = [self.name, *([light_of(self.name), plain_of(self.name)] if light else [])]
        with contextlib.ExitStack() as stack:
            listening = [stack.enter_context(socket.socket(*SOCKET)) for _ in names]
            for each, name in zip(listening, names, strict=True):
                each.bind(address(name))
                each.listen(64)
            numbers = [each.fileno() for each in listening]
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    __name__,
                    ",".join(map(str, numbers)),
                    "-" * ROOM,
                    *libraries,
                ],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],  # a test may have gone elsewhere
                env={**env, "ARKOR_TEST_ROOM": "-" * ROOM},
            )

    def end(self) -> None:
        """End it; what is forked from it goes on."""
        self._process.kill()
        self._process.wait(60)
        for name in self._names:  # the others end with the first, a moment later
            with contextlib.suppress(OSError), socket.socket(*SOCKET) as connection:
                connection.settimeout(10)
                connection.connect(address(name))
                connection.recv(1)


def light_of(name: str) -> str:
    """Return the name of a template's second process."""
    return f"{name}-light"


def plain_of(name: str) -> str:
    """Return the name of a template's third process."""
    return f"{name}-plain"


def address(name: str) -> str:
    """Where the template of that name listens: in Linux's own space for such names, not in a folder."""
    return f"\0{name}"


def ask(
    name: str, module: str, env: Mapping[str, str], ends: Sequence[int], arguments: Sequence[str] = ()
) -> tuple[socket.socket, int]:
    """Let a template fork: the connection on which the exit status is told, and the process's number."""
    connection = socket.socket(*SOCKET)
    connection.connect(address(name))
    order = {"module": module, "env": dict(env), "arguments": list(arguments), "cwd": os.getcwd()}  # noqa: PTH109
    told = json.dumps(order).encode()
    socket.send_fds(connection, [told], list(ends))
    return connection, int(connection.recv(64))


class Forked:
    """One child, as far as ``subprocess.Popen`` is asked for one."""

    def __init__(
        self, template: str, module: str, env: Mapping[str, str], errors: int, arguments: Sequence[str] = ()
    ) -> None:
        given, write = os.pipe()
        read, said = os.pipe()
        self._connection, self.pid = ask(template, module, env, [given, said, errors], arguments)
        os.close(given)
        os.close(said)
        self.stdin, self.stdout = os.fdopen(write, "wb"), os.fdopen(read, "rb")
        self.returncode: int | None = None

    def wait(self) -> int:
        """Its exit status; a signal's number is negative."""
        if self.returncode is None:
            self.returncode = int(self._connection.recv(64))
            self._connection.close()
        return self.returncode


class ForkedBackend(Forked):
    """A backend, as far as `harness.Backend` and its tests ask ``subprocess.Popen`` for one."""

    def __init__(self, template: str, module: str, env: Mapping[str, str], arguments: Sequence[str]) -> None:
        heard, errors = os.pipe()
        super().__init__(plain_of(template), module, env, errors, arguments)
        os.close(errors)
        self.stderr = os.fdopen(heard, "rb")
        self.args: Final = [sys.executable, "-m", module, *arguments]

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            super().wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select.select([self._connection], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("the backend", timeout or 0)
        return super().wait()

    def communicate(self) -> tuple[bytes, bytes]:
        """The little that it said, once it has ended."""
        self.wait()
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def answer(template: str, module: str, env: Mapping[str, str], order: bytes) -> bytes:
    """What a program prints that gets ``order`` as its input; it ends well. Its errors go where ours go."""
    child = Forked(template, module, env, sys.stderr.fileno())
    with child.stdout, child.stdin:
        child.stdin.write(order)
        child.stdin.close()
        found = child.stdout.read()
    assert child.wait() == 0
    return found


class Forks:
    """Starts limited children in place of ``subprocess``, forked from the template of that name."""

    PIPE = PIPE

    def __init__(self, template: str) -> None:
        self._template = template

    def Popen(self, argv: Sequence[str], *, env: Mapping[str, str], stderr: Any, **how: Any) -> Forked:  # noqa: N802
        """Start ``python -m MODULE`` with pipes, as the leader of a process group."""
        assert how == {"stdin": PIPE, "stdout": PIPE, "start_new_session": True}, how
        python, flag, module = argv
        assert (python, flag) == (sys.executable, "-m")
        return Forked(self._template, "tests.local.one_core", env, stderr.fileno(), [module])


def serve(listening: socket.socket, libraries: Sequence[str]) -> None:
    """Fork for whoever asks, until this process is ended."""
    die_with_parent()
    os.environ[NAME] = listening.getsockname().decode().removeprefix("\0")
    gc.disable()  # modules are no garbage
    for name in libraries:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()
    gc.enable()
    for name in ("arkor_dev.local.__main__", "tests.local.forking_backend"):
        sys.modules.pop(name, None)  # which each backend runs as its program
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listening.accept()
        with connection:
            told, given, _, _ = socket.recv_fds(connection, ORDER, 3)
            if told and not os.fork():
                listening.close()
                _keep(connection, json.loads(told), given)
        for each in given:
            os.close(each)


def _keep(connection: socket.socket, order: dict[str, Any], given: list[int]) -> NoReturn:
    """Be the child's parent."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        os.setsid()
        try:
            connection.send(str(os.getpid()).encode())
        except OSError:  # who asked for it was killed meanwhile
            os._exit(1)
        _become(order, given)
    for each in given:
        os.close(each)
    found = os.waitid(
        os.P_PID, child, os.WEXITED | os.WNOWAIT
    )  # it is not gone yet: its number stays its own
    assert found
    status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
    with contextlib.suppress(OSError):
        connection.send(str(status).encode())
        connection.recv(1)
    os._exit(0)


def _become(order: dict[str, Any], given: list[int]) -> NoReturn:
    """Be the program."""
    status: Any = 1  # it must not go on as a second parent, whatever happens
    try:
        for number, each in enumerate(given):
            os.dup2(each, number)
        os.closerange(3, max(given) + 2)
        for number, name in enumerate(("stdin", "stdout", "stderr")):  # the template's may have been files
            old = getattr(sys, name)
            how: dict[str, Any] = {"encoding": old.encoding, "errors": old.errors, "closefd": False}
            setattr(sys, name, open(number, "w" if number else "r", 1 if number == 2 else -1, **how))  # noqa: SIM115, PTH123
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        _show([sys.executable, "-m", order["module"], *order["arguments"]], order["env"])
        sys.argv = [order["module"], *order["arguments"]]
        _extend_path(order["env"])
        if short := sys.modules.get("tests.local.short_evaluation"):
            short.adjust(order["env"])
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = 0 if end.code is None else end.code
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    if not isinstance(status, int):
        sys.stderr.write(f"{status}\n")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status if isinstance(status, int) else 1)


def _extend_path(env: Mapping[str, str]) -> None:
    """Import from the folders of ``PYTHONPATH`` that the template has not, with their ``sitecustomize``."""
    more = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder not in ("", *sys.path)]
    sys.path[:0] = more
    if any(Path(folder, "sitecustomize.py").exists() for folder in more):
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")


def _show(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Let the system tell of this process the command line and environment that the program would have."""
    places = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:49]
    of_argv, end_of_argv, of_env, end_of_env = map(int, places)
    for place, end, words in (
        (of_argv, end_of_argv, argv),
        (of_env, end_of_env, [f"{name}={value}" for name, value in env.items()]),
    ):
        text = b"".join(os.fsencode(word) + b"\0" for word in words)
        assert len(text) <= end - place, "its template was started with less"
        ctypes.memmove(place, text.ljust(end - place, b"\0"), end - place)


def _wait_for_the_first(listening: socket.socket, libraries: Sequence[str]) -> None:
    """Serve from when somebody asks: not every test's process does."""
    die_with_parent()
    select.select([listening], [], [])
    serve(listening, libraries)


if __name__ == "__main__":
    first, *others = (socket.socket(fileno=int(number)) for number in sys.argv[1].split(","))
    for other, theirs in zip(others, (["arkor_dev.local.modeling.tokenizer"], PLAIN), strict=False):
        if not os.fork():
            for each in (first, *others):
                if each is not other:
                    each.close()
            if theirs is not PLAIN:
                sys.modules["torch"] = None  # type: ignore[assignment] # as the worker itself hides it
            _wait_for_the_first(other, theirs)
    for each in others:
        each.close()
    serve(first, sys.argv[3:])
