"""A child process for one task with untrusted files: limited in time and memory, without secrets."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from arkor_dev.local.workers.codec import Codec, M, Message, encode
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.messages import Failed, ProgressReport
from arkor_dev.local.workers.process import DEFAULTS, MESSAGE_LIMIT, QUIET, passed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[str, float, float | None, str], None]

OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
GIB: Final = 2**30
LINE_LENGTH: Final = 500


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits of a child process: seconds, and bytes of private memory."""

    seconds: float
    memory: int

    @classmethod
    def of(cls, size: int) -> ProcessLimits:
        """Return limits for ``size`` bytes of weights on a slow machine: some 20 MB per second."""
        return cls(600 + size / 2e7, 6 * GIB + 3 * size)


def run(module: str, request: Message, seconds: float, progress: Progress, doing: str, answer: type[M]) -> M:
    """Send the program ``module`` one ``request``; return its ``answer``, within ``seconds``.

    Raises JobFailure with the child's own reason, or with how it ended; ``doing`` names the task.
    """
    timed_out = threading.Event()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**DEFAULTS, **passed("HOME"), **QUIET, **OFFLINE},
            start_new_session=True,
        )
        assert child.stdin
        assert child.stdout

        def end() -> None:
            timed_out.set()
            _kill(child)

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(encode(request))
                child.stdin.flush()
            codec = Codec[M | ProgressReport | Failed](answer, ProgressReport, Failed)
            for message in _messages(child.stdout, codec, doing):
                match message:
                    case ProgressReport(report):
                        progress(report["label"], report["done"], report["total"], report["unit"])
                    case Failed(error):
                        raise JobFailure(error)
                    case _ if isinstance(message, answer):
                        return message
            child.wait()
        finally:
            timer.cancel()
            _kill(child)
            child.wait()
            child.stdout.close()
            with contextlib.suppress(OSError):
                child.stdin.close()
        if timed_out.is_set():
            raise JobFailure(f"{doing} took longer than {seconds / 60:.0f} minutes and was ended")
        errors.seek(max(0, errors.tell() - 20_000))
        lines = errors.read().decode(errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "it left no message")
        raise JobFailure(f"{doing} ended with exit status {child.returncode}: {last[:LINE_LENGTH]}")


def _messages(stdout: IO[bytes], codec: Codec[M], doing: str) -> Iterator[M]:
    """Yield a child's messages until it ends. Raises JobFailure for any other output."""
    while line := stdout.readline(MESSAGE_LIMIT):
        try:
            if line.endswith(b"\n"):  # otherwise it ended within a message
                yield codec.decode(line)
            elif len(line) == MESSAGE_LIMIT:
                raise ValueError("it has no end")
        except (ValueError, RecursionError) as fault:
            raise JobFailure(f"{doing} sent an invalid message: {str(fault)[:LINE_LENGTH]}") from fault


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def limit_memory(memory: int) -> None:
    """In the child: limit private memory to ``memory`` bytes, if the system supports it."""
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def limit_cpu_time(seconds: int) -> None:
    """In the child: have the system end it after ``seconds`` more of CPU time, if supported."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + seconds, hard))
