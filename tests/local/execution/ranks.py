"""A worker of several without torch: it repeats what it is told, and ends as its ``config`` has it.

``ends`` has the end of each rank: a verdict, ``dies`` for a kill by the system, or None to go on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from arkor_dev.contract.events import (
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_MESSAGE,
    TRAINING_PAUSED,
    TrainingCompleted,
    TrainingFailed,
    TrainingMessage,
    TrainingPaused,
)
from arkor_dev.local.execution.messages import Ended, GroupMember, JobRequest, Meeting, Pause, TrainingEvent
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.codec import Codec, Message, encode
from tests.local.job_configs import config_of


def say(message: Message) -> None:
    sys.stdout.buffer.write(encode(message))
    sys.stdout.flush()


ORDERS = Codec[JobRequest | Model | Pause](JobRequest, Model, Pause)
job = JobRequest("", config_of({}), "", "")
then: list[object] = []
rank = 0
for line in sys.stdin.buffer:
    match ORDERS.decode(line):
        case JobRequest(group=GroupMember(rank)) as job:
            if not rank:
                say(Meeting("/run/meet"))
        case Model() as model:
            then.append(model.name)
            group = {"rank": rank, "count": job.group.count} if job.group else None
            first = {"device": job.device, "group": group}
            told = json.dumps({"first": first, "then": then, "rank": rank})
            say(TrainingEvent(TrainingMessage(type=TRAINING_MESSAGE, message=told)))
            ends: Any = {**job.config}["ends"]
            end = ends[rank]
            if end == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            elif end:
                failed = TrainingFailed(type=TRAINING_FAILED, error=f"of rank {rank}")
                say(Ended(failed if end == "failed" else TrainingCompleted(type=TRAINING_COMPLETED)))
        case Pause():
            say(Ended(TrainingPaused(type=TRAINING_PAUSED, step=rank, reason="asked")))
