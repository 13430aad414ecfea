"""A driver's process without a cluster: each job says its own pid and id, and ends as its ``config`` has it.

``ends`` is its verdict, and anything but ``completed`` ends the process with it. ``alone`` ends the process
without a word about the next job, ``deaf`` has it never say that it is free.
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
ends_next = False
for line in sys.stdin:
    told = json.loads(line)
    if "config" in told:
        if ends_next:
            break
        job, ends_next = told, "alone" in told["config"]
    elif "name" in told:  # the model
        say(event="training.message", fields={"pid": os.getpid(), "job": job["id"], "model": told["name"]})
        say(end=job["config"].get("ends", "completed"), fields={})
    elif told.get("do") == "end":
        if not job or job.get("attaches") or "ends" in job["config"]:
            break
        if "deaf" not in job["config"]:
            say(free=True)
        job = {}
