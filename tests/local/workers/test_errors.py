"""What cannot be written says why; for a full disk, also what makes room."""

from __future__ import annotations

import errno
import os

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.local.workers.errors import write_failure


def test_a_full_disk_error_names_the_remedy() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert write_failure("the export", full) == (
        f"The disk is full: the export could not be written. {MAKE_ROOM}"
    )
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert write_failure("the export", denied) == "The export could not be written: Permission denied"
