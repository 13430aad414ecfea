"""Importing this runs one short job in this process, so that each process that is forked from it need not.

What a job does for the first time in a process is a quarter of a short one: modules that are imported late,
tables that libraries make once, the processor's kernels. ``test_forked.py`` holds such a worker to the bits
of a true one.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import torch
import torch.distributed.tensor  # a whole model's weights are saved by it

from arkor_dev.local.execution.messages import Ended, JobRequest
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training import worker
from tests.local.job_configs import config_of

from .tiny_model import chats, make, write_jsonl

if TYPE_CHECKING:
    from arkor_dev.local.workers.codec import Message

CONFIG: dict[str, Any] = {
    "model": "tiny",
    "datasetSource": {"type": "file", "path": "chats.jsonl"},
    "datasetSplit": 0.2,
    "maxSteps": 2,
    "evalSteps": 2,
    "saveSteps": 1,
    "numberFormat": "float32",
}


class Link:
    """A worker's link to the backend: has the job's messages, and remembers how the job ended."""

    def __init__(self, _: object) -> None:
        self._messages: list[Message] = []
        self.end = ""

    def of(self, folder: Path) -> None:
        """Prepare the messages of a job whose files are in ``folder``."""
        job = JobRequest("warm", config_of(CONFIG), str(folder / "data"), str(folder))
        self._messages = [job, Model("tiny", folder / "tiny")]

    def receive(self, _: object) -> Message:
        return self._messages.pop(0)

    def send(self, message: Message) -> None:
        if isinstance(message, Ended):
            self.end = message.status

    def progress(self, *_: object) -> None:
        pass


def warm() -> None:
    """Run it; what is drawn by chance later is what it would have been."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a pool of OpenMP's threads would be lost in what is forked, which waits for it
    room = patch.dict(os.environ, ARKOR_LEAST_FREE_BYTES="0")
    with TemporaryDirectory() as name, patch.object(worker, "Link", Link), room:
        folder = Path(name)
        make(folder / "tiny")
        write_jsonl(folder / "chats.jsonl", chats(20))
        work: Any = worker.TrainingWork()
        work.link.of(folder)
        work.train()
    assert work.link.end == "completed"
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(10)  # that of the limits of chat templates ends when nothing is rendered
    assert threading.active_count() == 1, "a process forks well that has one thread"
    torch.set_num_threads(threads)
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    del sys.modules[worker.__name__]  # which each of those processes runs as its program


warm()
