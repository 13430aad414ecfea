"""A backend whose workers are forked from a process that has loaded their libraries (``forked.py``).

``python -m tests.local.forking_backend ARGUMENTS`` is ``python -m arkor_dev.local ARGUMENTS`` but for how it
starts the workers in `FORKED`, where ``ARKOR_TEST_FORKS`` names a template. The tests of how processes start,
end and are killed have the true ones. `fork_workers` does the same in the tests' own process.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import importlib
import os
import runpy
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import BUFFERED, DEFAULTS, QUIET

from .forked import Template, ask, light_of, plain_of
from .harness import FORKS

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    import pytest

ROOT: Final = Path(__file__).parents[2]
HOOK: Final = ROOT / "tests" / "support" / "forking"
FORKED: Final = (
    "arkor_dev.local.attribution.worker",
    "arkor_dev.local.embeddings.losses_worker",
    "arkor_dev.local.embeddings.worker",
    "arkor_dev.local.evaluation.comparing",
    "arkor_dev.local.exports.worker",
    "arkor_dev.local.forecast.cache_warming",
    "arkor_dev.local.forecast.worker",
    "arkor_dev.local.gguf.worker",
    "arkor_dev.local.inference.worker",
    "arkor_dev.local.training.preloaded",
    "arkor_dev.local.training.worker",
)
QUESTIONS, ANSWERS, TOKENS = 8, (4, 8), 32
"""What forked workers ask of a short run (``short_evaluation.py``): general questions; how many of them are
answered, and with how many tokens; tokens of any other answer. The tests' phrase has fewer."""
LIGHT: Final = "arkor_dev.local.datasets.worker"
"""Forked from a process without torch."""
LIBRARIES: Final = (
    "tests.local.short_evaluation",
    "peft",
    "arkor_dev.local.training.run",
    "arkor_dev.local.training.final_evaluation.measure",
    "arkor_dev.local.training.samples.sampler",
    "tests.local.short_exports",
    "arkor_dev.local.inference.generation.loop",
    "arkor_dev.local.inference.transformers_engine",
    "transformers.models.llama.modeling_llama",
    "torch.fx.experimental.symbolic_shapes",  # a model's first shapes are computed by it
    "tests.local.warmed",
)


@functools.cache
def worker_template() -> dict[str, str]:
    """The environment by which backends fork their workers. It is empty where nothing can be forked.

    They are forked from one process as long as this one lives: to load the libraries takes seconds. Where
    several processes test (``scripts/test``) they share the one that ``tests.local.shared_template`` has.
    """
    if sys.platform != "linux":
        return {}
    if shared := os.environ.get("ARKOR_TEST_TEMPLATE"):
        return {FORKS: shared}
    environment = {"OMP_NUM_THREADS": "1", **DEFAULTS, **os.environ, **QUIET, "HF_HUB_OFFLINE": "1"}
    template = Template(LIBRARIES, environment, light=True)
    atexit.register(template.end)
    return {FORKS: template.name}


@functools.cache
def command_template() -> dict[str, str]:
    """The same for backends and commands that need no torch: where no template is shared, it loads none."""
    if sys.platform != "linux" or "ARKOR_TEST_TEMPLATE" in os.environ:
        return worker_template()
    template = Template((), os.environ, light=True)
    atexit.register(template.end)
    return {FORKS: template.name}


def fork_workers(template: dict[str, str], patch: pytest.MonkeyPatch) -> None:
    """Fork the workers of this process and of the backends that it starts from a ``worker_template``."""
    for name, value in of_a_studio(template).items():
        patch.setenv(name, value)
    if template:
        patch.setattr(asyncio, "create_subprocess_exec", start)


def of_a_studio(template: dict[str, str]) -> dict[str, str]:
    """What the environment of a whole Studio, or of a command, has besides, so that its backend forks."""
    return {**template, "PYTHONPATH": f"{HOOK}{os.pathsep}{ROOT}"} if template else {}


def forking_python(folder: Path) -> Path:
    """Make an environment with this one's packages; return its Python, whose backends fork their workers.

    Code that ``PYTHONPATH`` names is run in place of this.
    """
    import venv  # for the few tests that need one, not for every backend

    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    packages = [each for each in sys.path if each.endswith("-packages")]
    (site / "these.pth").write_text("\n".join([str(ROOT), str(HOOK), *packages]))
    return folder / "bin" / "python"


class ForkedProcess:
    """One worker, as far as `workers.process.Child` asks ``asyncio.subprocess.Process`` for one."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid: Final = pid
        self.stdin: asyncio.StreamWriter
        self.stdout, self.stderr = asyncio.StreamReader(BUFFERED), asyncio.StreamReader(BUFFERED)
        self._connection = connection
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connection.setblocking(False)
        asyncio.get_running_loop().add_reader(connection, self._ended)

    @classmethod
    async def start(
        cls,
        module: str,
        env: Mapping[str, str],
        template: str | None = None,
        arguments: Sequence[str] = (),
        streams: Sequence[int | None] = (PIPE, PIPE, PIPE),
    ) -> ForkedProcess:
        """Let the template of that name fork, or the one of the environment.

        ``streams`` are its input, output and errors, as ``asyncio.create_subprocess_exec`` has them.
        """
        if template is None:
            template = light_of(os.environ[FORKS]) if module == LIGHT else os.environ[FORKS]
        with contextlib.ExitStack() as stack:
            ours, theirs = [], []
            for number, stream in enumerate(streams):
                if stream == PIPE:
                    ends = os.pipe()
                    ours.append(ends[number == 0])
                    theirs.append(ends[number != 0])
                    stack.callback(os.close, theirs[-1])
                elif stream == DEVNULL:
                    theirs.append(os.open(os.devnull, os.O_RDWR))
                    stack.callback(os.close, theirs[-1])
                    ours.append(-1)
                else:
                    theirs.append(number if stream is None else stream)
                    ours.append(-1)
            # A template answers only after it has loaded: the backend does other things meanwhile.
            found = cls(*await asyncio.to_thread(ask, template, module, env, theirs, arguments))
        loop = asyncio.get_running_loop()
        for reader, end in ((found.stdout, ours[1]), (found.stderr, ours[2])):
            if end < 0:
                reader.feed_eof()
                continue
            await loop.connect_read_pipe(
                lambda reader=reader: asyncio.StreamReaderProtocol(reader),  # type: ignore[misc]
                os.fdopen(end, "rb", 0),
            )
        if ours[0] >= 0:
            transport, protocol = await loop.connect_write_pipe(
                asyncio.streams.FlowControlMixin, os.fdopen(ours[0], "wb", 0)
            )
            found.stdin = asyncio.StreamWriter(transport, protocol, None, loop)
        return found

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._connection)
        self._status.set_result(int(self._connection.recv(64) or 1))
        self._connection.close()

    @property
    def returncode(self) -> int | None:
        return self._status.result() if self._status.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._status)

    async def communicate(self) -> tuple[bytes, bytes]:
        """What it said, once it has ended."""
        said = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return said[0], said[1]

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


TRUE_START: Final = asyncio.create_subprocess_exec


async def start(*argv: str, **how: Any) -> Any:
    """Start a process as ``asyncio.create_subprocess_exec`` does, which this stands in for."""
    python, flag, module = argv[:3]
    if (python, flag, module) == (sys.executable, "-m", "arkor_dev.local") and FORKS in how["env"]:
        return await ForkedProcess.start(
            "tests.local.forking_backend", how["env"], plain_of(how["env"][FORKS]), argv[3:],
            (how["stdin"], how["stdout"], how["stderr"]),
        )  # fmt: skip
    if (python, flag) == (sys.executable, "-m") and module in (*FORKED, LIGHT):
        assert how["start_new_session"]
        return await ForkedProcess.start(module, how["env"])
    return await TRUE_START(*argv, **how)


def patch() -> None:
    """Let this process, which is a backend, fork its workers."""
    importlib.import_module("tests.local.short_evaluation")
    asyncio.create_subprocess_exec = start  # type: ignore[assignment]


if __name__ == "__main__":
    patch()
    runpy.run_module("arkor_dev.local", run_name="__main__", alter_sys=True)
