"""Limited child processes (``local/gguf/limited.py``) forked from one that has loaded the libraries before.

Each is the same program with the same pipes, environment and process group, and would load them for most of
its time. ``python -m tests.local.forked FD`` is the process that is forked. It is told ``{module, env}`` and
four descriptors: the child's three, and one on which its number and then its exit status are said.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from arkor_dev.local.modeling.lean_transformers import lean_imports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PIPE = subprocess.PIPE
ORDER = 2**17


class Forked:
    """One child, as far as ``subprocess.Popen`` is asked for one."""

    def __init__(self, door: socket.socket, module: str, env: Mapping[str, str], errors: int) -> None:
        given, write = os.pipe()
        read, said = os.pipe()
        self._answer, answer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        told = json.dumps({"module": module, "env": dict(env)}).encode()
        with answer:
            socket.send_fds(door, [told], [given, said, errors, answer.fileno()])
        os.close(given)
        os.close(said)
        self.stdin, self.stdout = os.fdopen(write, "wb"), os.fdopen(read, "rb")
        self.pid = int(self._answer.recv(64))
        self.returncode: int | None = None

    def wait(self) -> int:
        """Its exit status; a signal's number is negative."""
        if self.returncode is None:
            self.returncode = int(self._answer.recv(64))
            self._answer.close()
        return self.returncode


class Forks:
    """Starts children in place of ``subprocess``, forked from a process of the same environment."""

    PIPE = PIPE

    def __init__(self) -> None:
        self._doors: dict[tuple[tuple[str, str], ...], socket.socket] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def Popen(self, argv: Sequence[str], *, env: Mapping[str, str], stderr: Any, **how: Any) -> Forked:  # noqa: N802
        """Start ``python -m MODULE`` with pipes, as the leader of a process group."""
        assert how == {"stdin": PIPE, "stdout": PIPE, "start_new_session": True}, how
        python, flag, module = argv
        assert (python, flag) == (sys.executable, "-m")
        key = tuple(sorted(env.items()))
        if key not in self._doors:
            self._doors[key] = self._start(env)
        return Forked(self._doors[key], module, env, stderr.fileno())

    def _start(self, env: Mapping[str, str]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number = theirs.fileno()
        argv = [sys.executable, "-m", __name__, str(number)]
        with theirs:
            started = subprocess.Popen(argv, pass_fds=[number], stdin=subprocess.DEVNULL, env=dict(env))
        self._processes.append(started)
        return ours

    def end(self) -> None:
        """End what is forked."""
        for door in self._doors.values():
            door.close()
        for process in self._processes:
            process.wait(60)


def serve(door: socket.socket) -> None:
    """Fork for each order until nobody can give one any more."""
    with lean_imports():
        for name in ("transformers", "safetensors.torch", "llama_cpp"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        told, given, _, _ = socket.recv_fds(door, ORDER, 4)
        if not told:
            return
        if not os.fork():
            door.close()
            _keep(json.loads(told), given)
        for each in given:
            os.close(each)


def _keep(order: dict[str, Any], given: list[int]) -> NoReturn:
    """Be the child's parent."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    answer = socket.socket(fileno=given[3])
    child = os.fork()
    if not child:
        os.setsid()
        answer.send(str(os.getpid()).encode())
        _become(order, given)
    for each in given[:3]:
        os.close(each)
    found = os.waitid(
        os.P_PID, child, os.WEXITED | os.WNOWAIT
    )  # it is not gone yet: its number stays its own
    assert found
    status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
    with contextlib.suppress(OSError):
        answer.send(str(status).encode())
        answer.recv(1)
    os._exit(0)


def _become(order: dict[str, Any], given: list[int]) -> NoReturn:
    """Be the program."""
    try:
        for number, each in enumerate(given[:3]):
            os.dup2(each, number)
        os.closerange(3, max(given) + 1)
        os.environ.clear()
        os.environ.update(order["env"])
        importlib.import_module(order["module"]).main()
    except BaseException:  # noqa: BLE001 - it must not go on as a second parent
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
