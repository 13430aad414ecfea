"""The folder of a result on this machine: an adapter's, or that of a job or checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.provenance.statement import FILE
from arkor_dev.core.plain_text import one_line

from .job_list import LATEST
from .which_backend import ids

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings


class Target(NamedTuple):
    """What to check: a folder, or the single file ``only`` in it."""

    folder: Path
    only: str | None = None


def target_of(settings: Settings, reference: str) -> Target:
    """Resolve ``reference``: a folder, a file in one, ``JOB`` or ``JOB:STEP``."""
    path = Path(reference)
    if path.is_dir():
        return Target(path)
    if path.exists() or path.is_symlink():
        return Target(path.parent, None if path.name == FILE else path.name)
    name, colon, step = reference.partition(":")
    jobs = settings.local_data / "jobs"
    subfolder = Path("checkpoints") / step if colon and step != "final" else Path("final")
    if name == LATEST:
        name = next((job for job in ids(settings) if (jobs / job / "final").is_dir()), name)
    sound = name.isascii() and name.replace("_", "").isalnum()
    sound &= not colon or step == "final" or (step.isascii() and step.isdigit())
    folders = [
        candidate
        for candidate in (jobs.glob(f"{name}*") if sound and jobs.is_dir() else ())
        if candidate.is_dir()
    ]
    folders = [candidate for candidate in folders if candidate.name == name] or folders
    if len(folders) == 1 and (folders[0] / subfolder).is_dir():
        return Target(folders[0] / subfolder)
    if len(folders) > 1:
        raise BadRequestError(f"{one_line(reference, 100)} matches {len(folders)} jobs. Give more of the id.")
    raise BadRequestError(
        f"No such folder, file or job on this machine: {one_line(reference, 300)}. Name an adapter's folder."
    )
