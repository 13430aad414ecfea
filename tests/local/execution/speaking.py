"""A driver's process without a cluster: each job says its own pid and id, and ends as its ``config`` has it.

``ends`` is its verdict, and anything but ``completed`` ends the process with it. ``alone`` ends the process
without a word about the next job, ``deaf`` has it never say that it is free, ``seeks`` that it seeks a place.
A job says whether the one before it in its process was told to hold its place.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


job: dict[str, Any] = {}
ends_next = held = False
for line in sys.stdin:
    told = json.loads(line)
    if "config" in told:
        if ends_next:
            break
        job, ends_next = told, "alone" in told["config"]
    elif "name" in told and "seeks" in job["config"]:
        say(seeks=True)
    elif "name" in told:  # the model
        fields = {"pid": os.getpid(), "job": job["id"], "model": told["name"], "held": held}
        say(event="training.message", fields=fields)
        say(end=job["config"].get("ends", "completed"), fields={})
    elif told.get("do") == "end":
        if not job or job.get("attaches") or "ends" in job["config"] or "seeks" in job["config"]:
            break
        job, held = ({} if "deaf" not in job["config"] else job), told["hold"]
        if not job:
            say(free=True)
