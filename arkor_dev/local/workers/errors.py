"""Errors that end a job with a reason for the user. Errors of requests are in ``contract.errors``.

Every other exception is a bug, and is logged as one.
"""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.errors import MAKE_ROOM, is_disk_full

TRY_AGAIN = "close other programs and try again"
SMALLER_MODEL = "close other programs, or choose a smaller model"
SMALLER = "close other programs, or choose a smaller model, batch_size or max_length"
"""Advice after running out of memory: for any process, one that runs a model, and one that trains."""

SLOW_TEMPLATE: Final = (
    "The model's chat template takes longer than a few seconds for one conversation: the model's folder is "
    "broken, or was made to do harm"
)


class JobFailure(Exception):  # noqa: N818 - it ends a job; not an error in the program
    """A job, or the preparation of a model, cannot continue; ``str()`` is the reason shown to the user."""


class OutOfMemory(JobFailure):
    """There is not enough memory for a job or a model."""


def write_failure(what: str, error: OSError) -> str:
    """Return that ``what`` could not be written, and why; for a full disk, also what frees space."""
    if is_disk_full(error):
        return f"The disk is full: {what} could not be written. {MAKE_ROOM}"
    return f"{what[:1].upper()}{what[1:]} could not be written: {error.strerror or error}"


def out_of_memory(error: BaseException) -> bool:
    """Return whether torch or Python ran out of memory. On the CPU only torch's message says so."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error)


def failure_reason(error: Exception) -> str:
    """Describe an unexpected error of a worker, with advice if memory ran out."""
    if out_of_memory(error):
        return "The machine ran out of memory: close other programs and try again"
    return f"{type(error).__name__}: {error}"
