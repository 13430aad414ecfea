"""Reuses an older job in a new one: its settings and data (``--like``), or its adapter (``--from``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.connection.connect import joined
from arkor_dev.contract.changes import complete, from_managed
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.run_names import trainer_of
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.arkor_toml import choose

from .features import features_of
from .job_list import choose_job, jobs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Trainer
    from arkor_dev.core.settings import Settings

DATA: Final = ("datasetSource", "evalDatasetSource", "datasetFormat", "evaluations")
HIDDEN: Final = "***"
"""What a job shows instead of a data set's token."""
FINAL: Final = "final"


async def repeated(
    settings: Settings,
    trainers: list[Trainer],
    trainer: str | None,
    like: str,
    changes: Mapping[str, object],
) -> tuple[Trainer, dict[str, object]]:
    """Return the trainer with the data of job ``like``, and the changes that lead to that job's settings.

    Without a name, uses the trainer that the job is named after. ``changes`` take precedence over the job's
    settings. A dry run is repeated as a full run. Raises BadRequestError for an unknown job or trainer.
    """
    async with joined(settings, lambda _: None, idle=True) as backend:
        job = choose_job(await jobs_of(backend), like)
    repeated_config = from_managed(job["config"]) if isinstance(job.get("config"), dict) else {}
    own = trainer_of(job.get("name"), [known["name"] for known in trainers])
    if trainer is None and own is None:
        raise BadRequestError(
            f"There is no trainer {one_line(job.get('name'), 100)} in arkor.toml. Name the one that takes "
            f"that job's settings with --trainer."
        )
    chosen = choose(trainers, trainer or own)
    config: dict[str, Any] = dict(chosen["config"])
    if not _hides_token(repeated_config):
        config = {key: value for key, value in config.items() if key not in DATA}
        config |= {key: repeated_config[key] for key in DATA if repeated_config.get(key) is not None}
    fields = [row.field for row in SETTINGS if row.field != "dryRun"]
    differing = {
        field: repeated_config.get(field)
        for field in fields
        if repeated_config.get(field) != config.get(field)
    }
    # A setting given by hand removes a setting of the job that excludes it.
    by_hand = complete({**config, **differing}, changes)
    return {**chosen, "config": config}, {**differing, **by_hand}  # type: ignore[typeddict-item]


def _hides_token(config: Mapping[str, object]) -> bool:
    sources = [config.get("datasetSource"), config.get("evalDatasetSource")]
    for source in sources:
        parts = source.get("sources") if isinstance(source, dict) else None
        if isinstance(parts, list):
            sources += parts
    return any(isinstance(source, dict) and source.get("token") == HIDDEN for source in sources)


async def parent_of(backend: Backend, text: str) -> dict[str, object]:
    """Parse ``JOB``, ``JOB:STEP`` or ``JOB:final`` as ``{jobId, step?}``. Raises BadRequestError."""
    if "parent" not in await features_of(backend):
        raise BadRequestError("This backend can't start a job from another job's adapter.")
    name, colon, tail = text.rpartition(":")
    step = int(tail) if colon and tail.isascii() and tail.isdecimal() and len(tail) <= 9 else None
    job_name = name if step is not None or (colon and tail == FINAL) else text
    job_id = choose_job(await jobs_of(backend), job_name)["id"]
    return {"jobId": job_id} if step is None else {"jobId": job_id, "step": step}
