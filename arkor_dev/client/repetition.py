"""Reuses an older job in a new one: its settings and data (``--like``), or its adapter (``--from``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.connection.connect import joined
from arkor_dev.contract.changes import complete, from_managed
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import quoted
from arkor_dev.contract.run_names import trainer_of
from arkor_dev.contract.settings import SETTINGS, by_field
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.arkor_toml import choose

from .features import features_of
from .job_list import LATEST, choose_job, jobs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Job, Trainer
    from arkor_dev.core.settings import Settings

DATA: Final = ("datasetSource", "evalDatasetSource", "datasetFormat", "evaluations")
HIDDEN: Final = "***"
"""What a job shows instead of a data set's token."""
FINAL: Final = "final"
ADAPTER: Final = (
    "fullFineTuning", "loraR", "loraAlpha", "useRslora", "useDora", "loraTargetModules",
    "loraLayersToTransform", "loraModulesToSave",
)  # fmt: skip
"""Settings that an adapter was trained with, and that a run that begins with it must have, too."""


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
    config: dict[str, object] = dict(chosen["config"])
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


@dataclass(frozen=True, slots=True)
class Parent:
    """The job whose adapter another begins with: its final one, or that of the checkpoint of ``step``."""

    job: Job
    step: int | None = None

    def request(self) -> dict[str, object]:
        """Return ``parent`` of the call that creates a job."""
        job_id = self.job["id"]
        return {"jobId": job_id} if self.step is None else {"jobId": job_id, "step": self.step}


async def parent_of(backend: Backend, text: str) -> Parent:
    """Parse ``JOB``, ``JOB:STEP`` or ``JOB:final``. Raises BadRequestError.

    Without a step, a trainer's name is its newest job with a final adapter, and ``latest`` the newest of all.
    """
    if "parent" not in await features_of(backend):
        raise BadRequestError("This backend can't start a job from another job's adapter.")
    name, colon, tail = text.rpartition(":")
    step = int(tail) if colon and tail.isascii() and tail.isdecimal() and len(tail) <= 9 else None
    job_name = name if step is not None or (colon and tail == FINAL) else text
    jobs = await jobs_of(backend)
    if step is None:
        trained = (job for job in jobs if _has_adapter(job))
        named = (job for job in trained if job_name == LATEST or trainer_of(job.get("name"), [job_name]))
        if newest := next(named, None):
            return Parent(newest)
    return Parent(choose_job(jobs, job_name), step)


def _has_adapter(job: Job) -> bool:
    """Return whether a job has a final adapter, as far as the list of jobs says."""
    return job.get("status") == "completed" and not job.get("config", {}).get("dryRun")


def with_adapter_of(parent: Job, config: Mapping[str, object], given: Collection[str]) -> dict[str, object]:
    """Return ``config`` with the adapter's settings of the job ``parent``, and its model if it has none.

    ``given`` are the fields that were set for this run: they are not overridden. Raises BadRequestError, with
    all that differ, if they do not fit that job's adapter.
    """
    trained = from_managed(parent["config"]) if isinstance(parent.get("config"), dict) else {}
    known = by_field()

    def value(of: Mapping[str, object], field: str) -> object:
        found = of.get(field)
        if found is None and field == "loraAlpha":
            rank = value(of, "loraR")
            return 2 * rank if isinstance(rank, int | float) else None
        if isinstance(found, list):
            return sorted(found, key=str) if len(found) > 1 else found[0] if found else None
        return known[field].default if found is None else found

    differing = [
        f"{known[field].key} is {quoted(value(trained, field))} there, {quoted(value(config, field))} here"
        for field in ADAPTER
        if field in given and value(trained, field) != value(config, field)
    ]
    if differing:
        raise BadRequestError(
            f"The adapter of {one_line(parent.get('name'), 100)} does not fit these settings: "
            f"{'; '.join(differing)}. Leave them out: a run takes over those of its parent."
        )
    adopted = {**config, **{field: trained.get(field) for field in ADAPTER if field not in given}}
    adopted["model"] = config.get("model") or trained.get("model")
    if "initLoraWeights" not in given:
        adopted["initLoraWeights"] = None  # the weights are the parent's
    by_hand = config.get("setByHand")
    if isinstance(by_hand, list):
        changed = [field for field in ADAPTER if adopted[field] != config.get(field) and field not in by_hand]
        adopted["setByHand"] = [*by_hand, *changed]
    return {field: setting for field, setting in adopted.items() if setting is not None}
