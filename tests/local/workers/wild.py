"""A worker's process that says what no worker says: on ``do`` it writes what a test asks for, and waits."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from arkor_dev.local.inference.messages import Answered, Begun
from arkor_dev.local.workers.codec import encode
from arkor_dev.local.workers.messages import Failed

WORDS = {
    "no JSON": b"Traceback (most recent call last)\n",
    "no object": b'["progress"]\n',
    "too deep": b"[" * 100_000 + b"\n",
    "no text": b"\xff\xfe\n",
}


def main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    if "request" in order:
        said = order["request"]["name"]
        os.write(1, encode(Answered(order["id"], Begun())))
    else:
        said = order["text"]
        os.write(1, encode(Failed("")))
    while said == "no end":
        os.write(1, b"x" * 2**16)
    if said == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(1, WORDS[said])
    time.sleep(600)


if __name__ == "__main__":
    main()
