"""A driver's process without a cluster: each job says its own pid and id, and ends as its ``config`` has it.

``ends`` is its verdict, and anything but ``completed`` ends the process with it. ``alone`` ends the process
without a word about the next job, ``deaf`` has it never say that it is free, ``seeks`` that it seeks a place.
A job says whether the one before it in its process was told to hold its place.
"""

from __future__ import annotations

import json
import os
import sys

from arkor_dev.contract.events import (
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_MESSAGE,
    TRAINING_PAUSED,
    LastEvent,
    TrainingCancelled,
    TrainingCompleted,
    TrainingFailed,
    TrainingMessage,
    TrainingPaused,
)
from arkor_dev.local.execution.messages import Ended, Free, JobRequest, Leave, Seeking, TrainingEvent
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.codec import Codec, Message, encode


def say(message: Message) -> None:
    sys.stdout.buffer.write(encode(message))
    sys.stdout.flush()


ENDS: dict[str, LastEvent | TrainingPaused] = {
    "completed": TrainingCompleted(type=TRAINING_COMPLETED),
    "failed": TrainingFailed(type=TRAINING_FAILED, error="its config asks for a failure"),
    "cancelled": TrainingCancelled(type=TRAINING_CANCELLED),
    "paused": TrainingPaused(type=TRAINING_PAUSED, step=1, reason="asked"),
}
ORDERS = Codec[JobRequest | Model | Leave](JobRequest, Model, Leave)
job: JobRequest | None = None
ends_next = held = False
for line in sys.stdin.buffer:
    match ORDERS.decode(line):
        case JobRequest() as told:
            if ends_next:
                break
            job, ends_next = told, "alone" in told.config
        case Model() if job and "seeks" in job.config:
            say(Seeking(True))
        case Model(name) if job:
            fields = {"pid": os.getpid(), "job": job.id, "model": name, "held": held}
            say(TrainingEvent(TrainingMessage(type=TRAINING_MESSAGE, message=json.dumps(fields))))
            say(Ended(ENDS[str(job.config.get("ends", "completed"))]))
        case Leave(hold):
            if job is None or job.attaches or "ends" in job.config or "seeks" in job.config:
                break
            held = hold
            if "deaf" not in job.config:
                job = None
                say(Free())
