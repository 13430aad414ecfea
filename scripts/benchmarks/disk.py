"""What a streamed step costs when the model's files do not fit into memory, beside its floor.

The floor is the same step in memory and one reading of the files at the disk's rate, measured in turns. The
streamed side runs in a control group whose limit counts the page cache and the libraries, so that its
layers are read from the disk in each pass. This needs root, 5 GB of disk and 4 GB of memory.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import IO, TYPE_CHECKING, Final, cast

from .figures import Figure
from .sides import environment
from .streaming import ACCUMULATED, read_files, run_of, single_row, write_model

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYERS: Final = 20
LIMITS: Final = ("half", 1 / 2, (1, ACCUMULATED)), ("a third", 1 / 3, (1,))
"""Limits on the memory of the streamed side, as shares of the model's files, and the batches that fit."""
ROUNDS: Final = 3
BOUND: Final = 1.3


def measure(*, quick: bool) -> list[Figure]:
    """Return the seconds of a streamed step beside its floor, for each limit and number of batches."""
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "in-memory", Path(folder) / "streamed"
        write_model(one, hidden=128 if quick else 2048, layers=LAYERS)
        shutil.copytree(one, two)  # another file, whose pages are not those of the side in memory
        os.sync()
        return [figure for limit in LIMITS for figure in _limited(one, two, *limit, quick=quick)]


def _limited(
    one: Path, two: Path, name: str, share: float, counts: tuple[int, ...], *, quick: bool
) -> Iterator[Figure]:
    size = sum(path.stat().st_size for path in two.glob("*.safetensors"))
    _reading(two)
    with (
        _group(None if quick else int(share * size)) as group,
        _side(one, streamed=False) as plain,
        _side(two, group, streamed=True) as streamed,
    ):
        for count in counts:
            batches = "one batch" if count == 1 else f"{count} batches"
            _step(plain, count)
            _step(streamed, count)
            rounds = [
                (_step(plain, count), _reading(two), _step(streamed, count))
                for _ in range(1 if quick else ROUNDS)
            ]
            took = median(step for _, _, step in rounds)
            floor = median(computed + read for computed, read, _ in rounds)
            title = f"streamed in {name} of its size, {batches}"
            yield Figure(f"{title}, floor", took, "s", floor, most=BOUND)
            yield Figure(f"{title}, in memory", took, "s", median(computed for computed, _, _ in rounds))


@contextmanager
def _group(limit: int | None) -> Iterator[Path | None]:
    """Make a control group with that many bytes of memory, page cache included."""
    if limit is None:
        yield None
        return
    first = Path("/sys/fs/cgroup/memory")  # the first version's place; the second has one for all resources
    group = (first if first.is_dir() else first.parent) / f"arkor-bench-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first.is_dir() else "memory.max")).write_text(str(limit))
    except OSError as error:
        raise SystemExit(
            f"Without a control group for memory there is nothing to measure: {error}"
        ) from error
    try:
        yield group
    finally:
        group.rmdir()


@contextmanager
def _side(model: Path, group: Path | None = None, *, streamed: bool) -> Iterator[subprocess.Popen[str]]:
    """Run one side in a process of its own, and in that control group."""
    arguments = [str(model), "layers" if streamed else "none", *([str(group)] if group else [])]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.disk", *arguments],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        cast("IO[str]", process.stdin).close()


def _step(side: subprocess.Popen[str], count: int) -> float:
    """Return the seconds of a step of that side with ``count`` batches."""
    assert side.stdin
    assert side.stdout
    side.stdin.write(f"{count}\n")
    side.stdin.flush()
    if not (line := side.stdout.readline()):
        raise SystemExit(
            f"A side ended with {side.wait()} in a step of {count} batches: its limit is too low"
        )
    seconds: float = json.loads(line)
    return seconds


def _reading(model: Path) -> float:
    """Return the seconds of reading the model's files from the disk; the page cache then has none of them."""
    before = time.perf_counter()
    read_files(model, os.POSIX_FADV_DONTNEED)
    return time.perf_counter() - before


def _serve(model: Path, offload: str, group: str | None = None) -> None:
    if group:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as data:
        run = run_of(model, Path(data), offload=offload, gradientCheckpointing=True)
        chance = random.Random(3)  # noqa: S311 - no secrecy
        batches = [[single_row(chance)] for _ in range(ACCUMULATED)]
        for line in sys.stdin:
            before = time.perf_counter()
            run.learn(*batches[: int(line)])
            print(time.perf_counter() - before, flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), *sys.argv[2:])
