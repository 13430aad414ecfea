"""``python -m tests.local.shared_template`` prints the name of a template, and keeps it until it is ended."""

from __future__ import annotations

import signal
import sys

import tests.conftest  # noqa: F401 - the environment of the processes that test
from tests.local.forking_backend import worker_template
from tests.local.harness import FORKS

if __name__ == "__main__":
    name = worker_template().get(FORKS, "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # which ends the template
    print(name, flush=True)  # noqa: T201
    signal.pause()
