"""The backend's side of a worker process: starts it, exchanges JSON lines with it, ends its process group."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections import deque
from typing import TYPE_CHECKING

from .codec import Codec, M, Message, encode
from .errors import SLOW_TEMPLATE, TRY_AGAIN, JobFailure
from .messages import Failed, ProgressReport, RunModule
from .out_of_memory import out_of_memory_kills

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from arkor_dev.contract.shapes import Progress

log = logging.getLogger(__name__)

BUFFERED = 16 * 2**20
"""Bytes of a worker's output to buffer."""
MESSAGE_LIMIT = 64 * 2**20
"""Maximum bytes of one message: a worker reads untrusted files, which must not fill the backend's memory."""
TAIL_LINES = 20

CHOOSES_GPUS = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "PYTORCH_CUDA_ALLOC_CONF"),
    *("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "HSA_OVERRIDE_GFX_VERSION"),
)
"""Environment variables that select GPUs (NVIDIA's and AMD's) and configure their use."""
PASSED = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH"),
    *("TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "OMP_NUM_THREADS"),
    *CHOOSES_GPUS,
)
"""Environment variables for a process that reads untrusted files: none that may contain a secret."""

DEFAULTS = {
    # Let waiting threads sleep instead of spin: training, chat and the browser share the same few cores. Next
    # to other busy programs, spinning doubled the time of a step.
    "OMP_WAIT_POLICY": "PASSIVE",
    # oneDNN caches compiled kernels by shape, up to 1,024 of them, and torch another 1,024. In 16 bits each
    # takes memory: a run whose rows all have different lengths grew by megabytes per step. But all kernels of
    # one step must fit: with 64, a step on rows of 186 to 792 tokens compiled 2,400 times.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "LRU_CACHE_CAPACITY": "64",
}
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",  # peft reads it
}


def passed(*more: str) -> dict[str, str]:
    """Return this process's environment variables in `PASSED` and in ``more``."""
    return {name: os.environ[name] for name in (*PASSED, *more) if name in os.environ}


class Child:
    """A running worker. Its standard input stays open: closing it ends the worker."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        self._process = process
        self.module = module
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._strange = ""
        self._is_ending = False
        self._kills_before = out_of_memory_kills()
        self._memory_ran_out: bool | None = None
        self._errors = asyncio.create_task(self._read_errors())

    @classmethod
    async def start(cls, module: str, env: Mapping[str, str] | None = None, *, alone: bool = False) -> Child:
        """Start ``python -m <module>`` as the leader of its own process group.

        ``env`` is added to this process's environment; with ``alone`` it replaces that.
        """
        inherited: Mapping[str, str] = {} if alone else os.environ
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=BUFFERED,
            start_new_session=True,
            env={**DEFAULTS, **inherited, **QUIET, **(env or {})},
        )
        return cls(process, module)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, module: str) -> AsyncIterator[Child]:
        """Start a worker, and stop it at the end of the block."""
        child = await cls.start(module)
        try:
            yield child
        finally:
            await child.stop()

    def run(self, module: str) -> None:
        """Let a process that waits for it (``training.preloaded``) run ``module``."""
        self.module = module
        self.send(RunModule(module))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can receive messages. A process that was just killed may not have ended yet."""
        return self._process.returncode is None and not self._is_ending

    def send(self, message: Message) -> None:
        """Queue one message. If the worker is gone, the code that reads its messages notices."""
        if self._process.stdin and not self._process.stdin.is_closing():
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(encode(message))

    async def batches(self, codec: Codec[M]) -> AsyncIterator[list[M]]:
        """Yield lists of messages that arrived together, until the worker ends; other output kills it."""
        assert self._process.stdout
        buffer = bytearray()
        while data := await self._process.stdout.read(2**16):
            buffer += data
            try:
                if b"\n" in data:
                    *lines, incomplete = buffer.split(b"\n")
                    buffer = incomplete
                    yield [codec.decode(line) for line in lines]
                if len(buffer) > MESSAGE_LIMIT:
                    raise ValueError(f"more than {MESSAGE_LIMIT:,} bytes")
            except (ValueError, RecursionError) as fault:
                self._strange = str(fault)
                self.kill()
                return

    async def result(
        self,
        kind: type[M],
        subject: str,
        progress: Callable[[Progress], None] = lambda _: None,
        relief: str = TRY_AGAIN,
        ignored: tuple[type[Message], ...] = (),
    ) -> M:
        """Return the first message of ``kind``; pass every earlier progress to ``progress``.

        Raises JobFailure with the reason that a worker sends, or if it ends without a result: ``subject`` is
        its name in the message, ``relief`` the advice if memory ran out.
        """
        async for message in self.replies((kind, *ignored), subject, progress, relief):
            if isinstance(message, kind):
                return message
        raise AssertionError("replies never end by themselves")

    async def replies(
        self,
        kinds: tuple[type[Message], ...],
        subject: str,
        progress: Callable[[Progress], None],
        relief: str = TRY_AGAIN,
    ) -> AsyncIterator[Message]:
        """Yield the messages of these kinds; the caller leaves at the last. Raises like `result`."""
        async for batch in self.batches(Codec[Message](*kinds, ProgressReport, Failed)):
            for message in batch:
                match message:
                    case ProgressReport(fields):
                        progress(fields)
                    case Failed(error):
                        raise JobFailure(error)
                    case _:
                        yield message
        await self.ended()
        raise JobFailure(self.cause(subject, relief))

    def kill(self) -> None:
        """Kill the worker and all processes that it has started."""
        self._is_ending = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until the process has ended; its last messages may still be unread."""
        await self._process.wait()

    async def ended(self) -> int:
        """Wait for the end; return the exit status, negative for a signal. Kills its whole process group."""
        status = await self._process.wait()
        if self._memory_ran_out is None and self._kills_before is not None:
            self._memory_ran_out = out_of_memory_kills() != self._kills_before
        self.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._errors, 1)
        if self._process.stdin:
            self._process.stdin.close()
        return status

    async def stop(self) -> None:
        """Kill the worker and wait for its end."""
        self.kill()
        await self.ended()

    @property
    def killed(self) -> bool:
        """Whether it was ended by signal 9, which the system sends when memory runs out, or anyone else."""
        return self._process.returncode == -signal.SIGKILL and not self._strange

    @property
    def overran(self) -> bool:
        """Whether the system ended it for its processor time, which workers limit in chat templates."""
        return self._process.returncode == -signal.SIGXCPU

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether it was killed when memory ran out, as far as the system says; else that is assumed."""
        return self.killed and self._memory_ran_out is not False

    def cause(self, subject: str, relief: str = TRY_AGAIN) -> str:
        """Return why a worker ended without a reason; ``relief`` is the advice if memory ran out."""
        status = self._process.returncode
        if self._strange:
            return f"{subject} sent an invalid message, and was killed: {self._strange[:200]}"
        if self.killed:
            known = {
                True: f", most likely because the machine ran out of memory: {relief}",
                False: " by a person or another program: the kernel did not run out of memory",
                None: f", as happens where memory runs out: {relief}",
            }
            return f"{subject} was killed (signal 9){known[self._memory_ran_out]}."
        if self.overran:
            return f"{subject} exceeded its limit on processor time, and was ended. {SLOW_TEMPLATE}"
        if status == -getattr(signal, "SIGBUS", 0):
            return (
                f"{subject} ended: a file in use, such as the model's weights, was truncated or is unreadable"
            )
        ending = f"by signal {-status}" if status is not None and status < 0 else f"with exit status {status}"
        last = next((line for line in reversed(self._tail) if line.strip()), "it left no message")
        return f"{subject} ended {ending}: {last}"

    async def _read_errors(self) -> None:
        assert self._process.stderr
        while data := await self._process.stderr.read(2**16):
            for line in data.decode(errors="replace").splitlines():
                self._tail.append(line[:500])
                log.debug("%s[%d]: %s", self.module, self.pid, line)
