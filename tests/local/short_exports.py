"""Importing this lets forked workers prove an export with fewer texts and answers, in children they fork.

As few as the exports that are made in a test's own process (``exports/conftest.py``).
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from arkor_dev.local.exports import export
from arkor_dev.local.gguf import limited

from .forked import NAME, Forks

with contextlib.suppress(ImportError):
    import llama_cpp  # noqa: F401 - what several of those children would load

_export: Any = export
_export.ROWS = 8
_limited: Any = limited
_limited.subprocess = Forks(os.environ[NAME])
