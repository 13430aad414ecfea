"""A worker's process that says what no worker says: on ``do`` it writes what a test asks for, and waits."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

WORDS = {
    "no JSON": b"Traceback (most recent call last)\n",
    "no object": b'["progress"]\n',
    "too deep": b"[" * 100_000 + b"\n",
    "no text": b"\xff\xfe\n",
}


def main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    os.write(1, json.dumps({"id": order.get("id"), "progress": {}}).encode() + b"\n")
    said = order["say"]
    while said == "no end":
        os.write(1, b"x" * 2**16)
    if said == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(1, WORDS[said])
    time.sleep(600)


if __name__ == "__main__":
    main()
