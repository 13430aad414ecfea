"""A worker of several without torch: it repeats what it is told, and ends as its ``config`` has it.

``ends`` has the end of each rank: a verdict, ``dies`` for a kill by the system, or None to go on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


told: list[dict[str, Any]] = []
for line in sys.stdin:
    told.append(json.loads(line))
    group = told[0]["group"]
    rank = group["rank"]
    if len(told) == 1 and not rank:
        say(meets="/run/meet")
    elif "path" in told[-1]:
        say(event="told", fields={"first": told[0], "then": told[1:], "rank": rank})
        end = told[0]["config"]["ends"][rank]
        if end == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        elif end:
            say(end=end, fields={"error": f"of rank {rank}"} if end == "failed" else {})
    elif "do" in told[-1]:
        say(end=f"after {told[-1]['do']}", fields={"rank": rank})
