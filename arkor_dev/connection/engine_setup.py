"""Installs the local engine for the page: runs ``arkor-dev setup --json`` as a child and reads its output.

The child runs under the `supervisor`, so nothing of it outlives Studio. An installation that was cancelled,
or that failed, is continued by the next one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.contract.errors import ConflictError, InternalError
from arkor_dev.core.plain_text import plain
from arkor_dev.identity.engine import missing_extra
from arkor_dev.processes.run_child import SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import EnginePlan, EngineProgress, EngineSetup
    from arkor_dev.core.settings import Settings

COMMAND: Final = ("-P", "-m", "arkor_dev", "setup", "--json")
AFTERWARDS: Final = "arkor-dev --local --open"
ERROR_LINES: Final = 12
LINE_LIMIT: Final = 1 << 16
State = Literal["missing", "looking", "planned", "installing", "installed", "failed"]


class EngineSetupService:
    """One installation at a time. ``awaited``: this Studio's backend starts once it is complete."""

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._command = command
        self._awaited = settings.local and settings.ssh is None
        self._state: State = "missing"
        self._plan: EnginePlan | None = None
        self._progress: EngineProgress | None = None
        self._error: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def view(self) -> EngineSetup:
        """Return the state as the page shows it: ``installed`` if this Studio needs nothing more here."""
        elsewhere = self._settings.ssh is not None  # that machine has the engine
        if self._task is None and (
            elsewhere or await asyncio.to_thread(missing_extra, self._settings) is None
        ):
            self._state = "installed"
        return {
            "state": self._state,
            "next": None if self._awaited else AFTERWARDS,
            "plan": self._plan,
            "progress": self._progress,
            "error": self._error,
        }

    async def start(self, *, install: bool) -> None:
        """Install it, or only find out what would be installed. Raises ConflictError while that runs."""
        if self._task is not None:
            raise ConflictError("An installation is running already.")
        self._state, self._error, self._progress = "looking", None, None
        argv = [sys.executable, *self._command, "--yes" if install else "--dry-run"]
        self._task = asyncio.create_task(self._run(argv, install=install), name="setup")

    async def close(self) -> None:
        """Cancel what runs, and wait for its end."""
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, argv: list[str], *, install: bool) -> None:
        after: State = "planned" if self._plan else "missing"  # if it is cancelled
        try:
            words = await self._follow(argv, install=install)
            if words is not None:
                after, self._error = "failed", words
            elif install:
                after = "installed"
            else:
                after = "planned"
        except OSError as error:
            after, self._error = "failed", f"The installation cannot be started: {error.strerror}."
        except InternalError as error:
            after, self._error = "failed", error.text
        finally:
            self._state, self._task = after, None

    async def _follow(self, argv: list[str], *, install: bool) -> str | None:
        """Run the command to its end; return why it failed, or None. Kills it if this task is cancelled."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(SUPERVISOR), *argv,
            cwd=self._settings.home, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, start_new_session=True, limit=LINE_LIMIT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        stdin, stdout, stderr = child.stdin, child.stdout, child.stderr
        if stdin is None or stdout is None or stderr is None:
            raise InternalError("The installation has no pipes.")
        rest: deque[str] = deque(maxlen=ERROR_LINES)
        try:
            async for line in stderr:
                if not self._heard(line, install=install):
                    rest.append(plain(line.decode(errors="replace")).rstrip())
            output = (await stdout.read()).decode(errors="replace")
        except ValueError:  # a line beyond the limit
            output = ""
        finally:
            stdin.close()  # tells the supervisor to end whatever still runs
            await asyncio.shield(child.wait())
        if output.rstrip("\n").rpartition("\n")[2] == "exit 0":
            return None
        return "\n".join(rest).removeprefix("arkor-dev: ") or "The installation ended without a message."

    def _heard(self, line: bytes, *, install: bool) -> bool:
        """Process a line of the command's output; return whether it was one of its objects."""
        try:
            message = json.loads(line)
            match message:
                case {"step": "looking"}:
                    self._state = "looking"
                case {"step": "plan", "folder": str()}:
                    del message["step"]
                    self._plan = message
                    self._state = "installing" if install else "looking"
                case {"step": "progress", "now": str()}:
                    del message["step"]
                    self._progress = message
                case {"step": "installed"}:
                    pass
                case _:
                    return False
        except ValueError:
            return False
        return True
