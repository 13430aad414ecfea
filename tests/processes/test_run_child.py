"""A bounded child: its output, its end, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.processes.run_child import TAIL, run_child

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def gone(pid: int) -> bool:
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_stdout_and_stderr_are_merged_in_order(tmp_path: Path) -> None:
    code = "import os; os.write(1, b'one '); os.write(2, b'two '); os.write(1, b'\\x1b[1mthree'); exit(3)"
    output = await run_child(python(code), tmp_path, 60)
    assert (output.code, output.text) == (3, "one two three")


async def test_the_child_runs_in_the_folder_with_empty_stdin(tmp_path: Path) -> None:
    output = await run_child(python("import os; print(os.getcwd(), repr(input()))"), tmp_path, 60)
    assert output.code == 1
    assert "EOFError" in output.text
    output = await run_child(python("import os; print(os.getcwd())"), tmp_path, 60)
    assert (output.code, output.text) == (0, str(tmp_path))


async def test_only_the_end_of_long_output_is_kept(tmp_path: Path) -> None:
    output = await run_child(python("print('x' * 3_000_000); print('the end')"), tmp_path, 60)
    assert output.text.endswith("x\nthe end")
    assert len(output.text) < TAIL


async def test_a_missing_command_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        await run_child(["./nothing"], tmp_path, 60)


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"])
async def test_an_invalid_argument_raises_os_error(argument: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="an argument is not valid text"):
        await run_child([sys.executable, argument], tmp_path, 60)


async def test_a_timeout_kills_the_whole_group(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    for seconds in (1, 5, 20):  # a busy machine may not even have started it by then
        began = time.monotonic()
        output = await run_child(python(code), tmp_path, seconds)
        assert output.code is None
        assert time.monotonic() - began < 50
        if output.text:
            break
    assert await gone(int(output.text))


async def test_a_background_grandchild_does_not_delay_the_result(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        "print(child.pid)\n"
    )
    began = time.monotonic()
    output = await run_child(python(code), tmp_path, 100)
    assert output.code == 0
    assert time.monotonic() - began < 60
    assert await gone(int(output.text))


async def test_cancelling_the_caller_kills_the_child(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(run_child(python(code), tmp_path, 100))
    while not note.exists() or not note.read_text():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(int(note.read_text()))
