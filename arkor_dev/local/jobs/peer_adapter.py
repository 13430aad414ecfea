"""Imports an adapter that another program has trained (a PEFT folder), as a completed job.

Only PEFT's two files are copied, and nothing in them is trusted: the worker that loads them checks both
(``modeling.adapter_config``). Pickled weights are refused here. Blocking: call from a thread.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.bodies import JOB_CHANGES, NAME_LIMIT
from arkor_dev.contract.errors import BadRequestError, InternalError
from arkor_dev.contract.events import TRAINING_COMPLETED, TrainingCompleted
from arkor_dev.contract.regular_files import open_regular, read_small
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.local.workers.errors import write_failure

from .atomic_folder import write_atomically
from .disk import remove_files
from .job_config import check_config
from .job_folder import describe, final_folder, limit_of
from .records import now

if TYPE_CHECKING:
    from pathlib import Path

    from .job_row import JobRecord

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
PICKLED: Final = "adapter_model.bin"
ELSEWHERE: Final = "trainedElsewhere"
"""Config field that marks such a job: its rows and settings say nothing about its training."""
SPARE: Final = 256 << 20
"""Bytes to leave free on the disk."""
UNKNOWN_BASE: Final = f"its {CONFIG} does not name its base model: name the model yourself"


@dataclass(frozen=True, slots=True)
class PeerAdapter:
    """An adapter in ``folder``: its unchanged settings, its base model, an id derived from its content."""

    folder: Path
    settings: bytes
    base: str
    job_id: str

    @classmethod
    def read(cls, folder: Path, model: str | None) -> PeerAdapter:
        """Read the adapter in ``folder``; ``model`` overrides its base model. Raises BadRequestError."""
        try:
            settings = read_small(folder / CONFIG, limit_of(CONFIG) or 0)
            config = strict_json.parse(settings)
            with open_regular(folder / WEIGHTS) as file:
                weights = hashlib.file_digest(file, "sha256").digest()
        except FileNotFoundError as missing:
            raise _refused(_missing(folder, missing)) from None
        except OSError as error:
            raise _refused(f"{error.filename or folder} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise _refused(f"its {CONFIG} {error}") from None
        base = model or (config.get("base_model_name_or_path") if isinstance(config, dict) else None)
        if not isinstance(base, str) or not base.strip() or not base.isprintable():
            raise _refused(UNKNOWN_BASE)
        digest = hashlib.sha256(b"\0".join([settings, weights, base.encode("utf-8", "replace")])).hexdigest()
        return cls(folder, settings, base, f"job_{digest[:12]}")

    def job(self, data: str) -> JobRecord:
        """Return the job, measured on the file ``data``. Raises BadRequestError."""
        source = {"type": "file", "path": data}
        config = check_config({"model": self.base, "datasetSource": source, ELSEWHERE: True})
        name, moment = self.folder.name[:NAME_LIMIT], now()
        try:
            check({"name": name}, JOB_CHANGES)
        except SchemaError:
            name = "adapter"
        return {
            "id": self.job_id,
            "name": name,
            "status": "completed",
            "config": config,
            "createdAt": moment,
            "completedAt": moment,
            "tags": ["imported"],
        }

    def install_files(self, data: Path) -> TrainingCompleted:
        """Copy the files to the job's folder below ``data``; return the event that lists them.

        Raises BadRequestError if the adapter has changed meanwhile, and InternalError for a full disk.
        """

        def write(part: Path) -> None:
            (part / CONFIG).write_bytes(self.settings)
            with open_regular(self.folder / WEIGHTS) as source, (part / WEIGHTS).open("xb") as target:
                size = os.fstat(source.fileno()).st_size
                if size + SPARE > shutil.disk_usage(part).free:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                shutil.copyfileobj(source, target, 1 << 20)

        folder = final_folder(data, self.job_id)
        try:
            size = write_atomically(folder, write)
        except OSError as error:
            raise InternalError(write_failure("the adapter", error)) from None
        artifact = describe("adapter", "final", folder, size)
        return TrainingCompleted(type=TRAINING_COMPLETED, artifacts=[artifact])

    def remove_copies(self, data: Path) -> None:
        remove_files(data, self.job_id)


def _refused(reason: str) -> BadRequestError:
    return BadRequestError(f"The adapter cannot be used: {reason}")


def _missing(folder: Path, error: FileNotFoundError) -> str:
    if not folder.is_dir():
        return f"{folder} is not a folder of this machine"
    if (folder / PICKLED).exists() and not (folder / WEIGHTS).exists():
        return (
            f"its weights are pickled ({PICKLED}), and such a file can run any program when it is loaded. If "
            "you trust it, save the adapter again with PEFT's save_pretrained, which writes safetensors"
        )
    return f"{error.filename} is missing. Name a folder that PEFT's save_pretrained has written"
