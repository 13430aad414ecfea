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


async def test_both_streams_in_order_and_the_exit_code(tmp_path: Path) -> None:
    code = "import os; os.write(1, b'one '); os.write(2, b'two '); os.write(1, b'\\x1b[1mthree'); exit(3)"
    output = await run_child(python(code), tmp_path, 60)
    assert (output.code, output.text) == (3, "one two three")


async def test_it_runs_in_the_folder_with_nothing_to_read(tmp_path: Path) -> None:
    output = await run_child(python("import os; print(os.getcwd(), repr(input()))"), tmp_path, 60)
    assert output.code == 1
    assert "EOFError" in output.text
    output = await run_child(python("import os; print(os.getcwd())"), tmp_path, 60)
    assert (output.code, output.text) == (0, str(tmp_path))


async def test_only_the_end_of_a_flood_is_kept(tmp_path: Path) -> None:
    output = await run_child(python("print('x' * 3_000_000); print('the end')"), tmp_path, 60)
    assert output.text.endswith("x\nthe end")
    assert len(output.text) < TAIL


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        await run_child(["./nothing"], tmp_path, 60)


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"])
async def test_an_argument_that_no_program_can_take_is_an_os_error(argument: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="an argument is not valid text"):
        await run_child([sys.executable, argument], tmp_path, 60)


async def test_time_that_runs_out_leaves_nothing(tmp_path: Path) -> None:
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


async def test_a_background_child_does_not_hold_the_answer(tmp_path: Path) -> None:
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


async def test_a_caller_that_leaves_takes_the_child_along(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(run_child(python(code), tmp_path, 100))
    while not note.exists() or not note.read_text():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(int(note.read_text()))
