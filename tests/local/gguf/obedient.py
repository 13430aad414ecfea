"""A child process that does what a test asks for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from arkor_dev.local.gguf.limited import limit_memory
from arkor_dev.local.workers.codec import Message
from arkor_dev.local.workers.link import Link
from arkor_dev.local.workers.messages import Failed


@dataclass(frozen=True)
class Order(Message):
    """What to do, and with what."""

    do: str
    memory: int
    what: str = ""


@dataclass(frozen=True)
class Environment(Message):
    """The process's environment variables."""

    variables: dict[str, str]


def main() -> None:
    link = Link()
    order = link.receive(Order)
    limit_memory(order.memory)
    match order.do:
        case "environment":
            link.progress("Looking", 1, 2, "B")
            link.send(Environment(dict(os.environ)))
        case "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(order.what).write_text(str(child.pid))
            time.sleep(600)
        case "eat":
            try:
                link.send(Environment({"bytes": str(len(bytearray(2**30)))}))
            except MemoryError as error:
                link.send(Failed(f"MemoryError {error}"))
        case "say":
            words = {"no JSON": b"no message\n", "no object": b"[]\n"}
            while order.what == "no end":
                link._out.write(b"x" * 2**16)
            link._out.write(words[order.what])
        case "fail":
            link.send(Failed("no good today"))
        case "crash":
            sys.stderr.write("the last word\n")
            sys.stderr.flush()
            os._exit(3)
    os._exit(0)


if __name__ == "__main__":
    main()
