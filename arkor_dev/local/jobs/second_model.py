"""Finds the model that a job needs besides the one that learns: a base, or the result of another job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from arkor_dev.data.methods import second_model_of
from arkor_dev.local.workers.errors import JobFailure

from .atomic_folder import damage
from .job_folder import final_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.local.models.catalog import Models, Report

JOB: Final = re.compile(r"job_[0-9a-f]{12}")


def find_second(models: Models, data: Path, config: Mapping[str, object]) -> Path | None:
    """Return the folder of the second model of a job with ``config``; None if it has none, or if that is not
    downloaded yet. Raises JobFailure if it does not exist.
    """
    name = second_model_of(config)
    if name is None or JOB.fullmatch(name):
        return _result_of(data, name) if name else None
    model = models.find_local(name)
    return model.path if model else None


async def ensure_second(
    models: Models, data: Path, config: Mapping[str, object], progress: Report
) -> Path | None:
    """Return the folder of the second model, downloading it if needed; None if there is none. Raises
    JobFailure.
    """
    name = second_model_of(config)
    if name is None or JOB.fullmatch(name):
        return _result_of(data, name) if name else None
    return (await models.ensure(name, progress)).path


def _result_of(data: Path, job_id: str) -> Path:
    folder = final_folder(data, job_id)
    if not folder.is_dir():
        raise JobFailure(
            f"The job {job_id} is to teach this one, and it has been deleted, or has no result: import its "
            "archive, or start a job with another teacher"
        )
    if wrong := damage(folder):
        raise JobFailure(f"The job {job_id} is to teach this one, and its result is damaged: {wrong}")
    return folder
