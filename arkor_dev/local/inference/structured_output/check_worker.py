"""The limited process that compiles a schema before its request continues.

It receives `CompileSchema` and sends `SchemaCompiled`. A schema that needs too much time or memory kills
only this process.
"""

from __future__ import annotations

import time
from typing import Final

from arkor_dev.local.gguf.limited import limit_cpu_time, limit_memory
from arkor_dev.local.inference.check_messages import CompileSchema, SchemaCompiled
from arkor_dev.local.workers.link import Link

MEMORY: Final = 512 * 2**20
SECONDS: Final = 0.5
"""Processor time for compiling a schema: it is compiled again when used, while other requests wait."""
KILL_SECONDS: Final = 1
"""Processor time after which the system kills the process, in whole seconds."""


def main() -> None:
    """Answer until standard input ends."""
    link = Link()
    limit_memory(MEMORY)
    from .grammar import GrammarError, bytes_alone, matcher_of

    vocabulary = bytes_alone()

    def fault_in(schema: str) -> str | None:
        started = time.process_time()
        try:
            matcher_of(schema, vocabulary)
        except GrammarError as fault:
            return str(fault)
        except BaseException as error:  # noqa: BLE001 - an error in the library must not look like one of ours
            return f"it cannot be compiled ({type(error).__name__})"
        return None if time.process_time() - started <= SECONDS else "it takes too long to compile"

    while True:
        request = link.receive(CompileSchema)
        limit_cpu_time(KILL_SECONDS)
        link.send(SchemaCompiled(fault_in(request.schema)))


if __name__ == "__main__":
    main()
