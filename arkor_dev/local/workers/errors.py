"""What ends a job, with a reason for a person; what refuses a request is in ``contract.errors``.

Anything else that escapes is a bug and is logged as one.
"""

from __future__ import annotations

TRY_AGAIN = "close other programs and try again"
SMALLER_MODEL = "close other programs, or choose a smaller model"
SMALLER = "close other programs, or choose a smaller model, batch_size or max_length"
"""What helps a process for which memory was too small: any, one that runs a model, one that trains it."""


class JobFailure(Exception):  # noqa: N818 - it ends a job; it is no error in the program
    """A job, or a model's preparation, that cannot go on; ``str()`` is the reason shown to the person."""


def out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory; torch says so on the CPU by text alone."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error)
