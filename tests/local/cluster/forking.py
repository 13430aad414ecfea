"""Loaded by Ray into each process of the tests' nodes: training workers are forked there as well.

See ``tests/local/forking_backend.py``. While the file `TRUE` lies in the nodes' folder for temporary files
they are started as anywhere, for the tests of how they start and die.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any, Final

TRUE: Final = "true-workers"
WORKER: Final = "arkor_dev.local.training.worker"

_start = asyncio.create_subprocess_exec


async def start(*argv: str, **how: Any) -> Any:
    """Start a process as ``asyncio.create_subprocess_exec`` does, which this stands in for."""
    if argv[1:] == ("-m", WORKER) and not Path(tempfile.gettempdir(), TRUE).exists():
        from tests.local.forking_backend import ForkedProcess  # our code comes with a job, not before it

        return await ForkedProcess.start(WORKER, how["env"])
    return await _start(*argv, **how)


if "ARKOR_TEST_FORKS" in os.environ:
    asyncio.create_subprocess_exec = start  # type: ignore[assignment]
