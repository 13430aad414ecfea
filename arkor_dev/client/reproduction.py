"""Repeats a training on this machine and compares the results (``verify --repeat``).

The settings come from the provenance, the rows from the project. The provenance contains no paths, so data
files are found by their hashes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.events import TRAINING_COMPLETED
from arkor_dev.contract.provenance.statement import (
    BASE,
    DATA,
    PARENT,
    ROWS,
    Statement,
    StatementError,
    builder,
    dependencies,
    external,
    figures,
    internal,
    object_at,
    read_statement,
)
from arkor_dev.contract.regular_files import sha256_of
from arkor_dev.contract.settings import wire_problem
from arkor_dev.contract.settings.conflicts import conflicts
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.sources import SourceError, files_of, parts_of, sources_of
from arkor_dev.jobs.follow import JobEvent
from arkor_dev.project.arkor_toml import load_trainers

from .creation import create
from .following import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from arkor_dev.contract.shapes import DatasetSource, Trainer
    from arkor_dev.core.settings import Settings
    from arkor_dev.identity.local_backend import Notice

    from .following import Item

CLOSE: Final = 0.02
"""Largest relative difference of two losses that count as equal."""
SOURCES: Final = tuple(DATA.items())


class FileComparison(TypedDict):
    """Whether a file of the result has the same bits after the repeated training."""

    name: str
    same: bool


class LossComparison(TypedDict):
    """A final loss of the original training and of its repetition."""

    before: float
    now: float


class ReproductionReport(TypedDict):
    """How a repeated training compares with the original one.

    ``ok`` if the bits are the ``same``, or if they differ for a known reason and the losses are close.
    ``losses`` are by name, those that both have.
    """

    ok: bool
    same: bool
    files: list[FileComparison]
    reasons: list[str]
    losses: dict[str, LossComparison]


async def reproduced(
    settings: Settings,
    before: Statement,
    *,
    on_notice: Callable[[Notice], None],
    on_created: Callable[[str], None],
    show: Callable[[Item], None],
) -> tuple[str, ReproductionReport]:
    """Repeat the training run that ``before`` describes; return the new job's id and the comparison.

    ``on_created`` gets that id before ``show`` gets the job's events. Raises BadRequestError if the training
    cannot be repeated.
    """
    if internal(before).get("merged"):
        raise BadRequestError("This is a merged model. Verify the adapter that it was made from instead.")
    settings = dataclasses.replace(settings, local=True)
    trainer = trainer_of(settings.project, before)
    config = config_of(trainer, before)
    last_events: list[JobEvent] = []

    def watched(item: Item) -> None:
        show(item)
        if isinstance(item, JobEvent):
            last_events.append(item)

    async with joined(settings, on_notice) as backend:
        job = await create(backend, settings, trainer["name"], config, _parent(before))
        on_created(job.id)
        ending = await watch(backend, job.id, watched)
    if ending.status != "completed":
        raise BadRequestError(f"There is nothing to compare: the repeated job {job.id} is {ending.status}.")
    return job.id, compared(before, read_again(_folder_of(last_events, before)))


def trainer_of(project: Path, before: Statement) -> Trainer:
    """Return the trainer whose files have the hashes in ``before``. Raises BadRequestError without one."""
    digests_by_kind = {begin: list(_digests(before, begin).values()) for _, begin in SOURCES}
    if not any(digests_by_kind.values()):
        raise BadRequestError(
            "It was not trained on files of a project, so its data can't be read again here."
        )
    for trainer in load_trainers(project):
        config = trainer.get("config")
        if not config:
            continue
        sources = dict(sources_of(config))
        if all(_hashes(sources.get(key), project) == digests_by_kind[begin] for key, begin in SOURCES):
            return trainer
    examples = ", ".join(f"{digest[:12]}…" for digests in digests_by_kind.values() for digest in digests[:3])
    raise BadRequestError(
        f"No trainer of {one_line(project, 300)} has the data that it was trained on (SHA-256 {examples}). "
        f"Name the project with --project, and restore the data."
    )


def _hashes(source: DatasetSource | None, project: Path) -> list[str]:
    """Return the SHA-256 of each file of a data set; empty if any of them lies outside the project."""
    parts = parts_of(source) if source else []
    if any(part["type"] != "file" for part in parts):
        return [""]
    try:
        return [sha256_of(file.path) for part in parts for file in files_of(part, project)]
    except (SourceError, OSError):
        return [""]


def config_of(trainer: Trainer, before: Statement) -> dict[str, object]:
    """Return the original config, on the data of ``trainer``. Raises BadRequestError if it cannot be used."""
    current: dict[str, object] = dict(trainer["config"])
    settings = object_at(external(before), "settings")
    config = {**settings, **{key: current[key] for key, _ in SOURCES if current.get(key) is not None}}
    # A local model folder may have another path on another machine; its files are compared later.
    model, name = str(current.get("model", "")), settings.get("model")
    if not isinstance(name, str) or Path(model).name == name:
        config["model"] = model
    # A dtype chosen by measurement may come out differently today.
    number = internal(before).get("numberFormat")
    if config.get("numberFormat") in (None, "auto") and not _wrong(config | {"numberFormat": number}):
        config["numberFormat"] = number
    if wrong := _wrong(config):
        raise BadRequestError(f"Its settings can't be used: {one_line(wrong, 300)}.")
    return config


def _wrong(config: dict[str, object]) -> str | None:
    return wire_problem(config) or next((text for _, text in conflicts(config, "{}".format)), None)


def _parent(before: Statement) -> dict[str, object] | None:
    for dependency in dependencies(before, PARENT):
        annotations = dependency.get("annotations", {})
        job, step = annotations.get("job"), annotations.get("step")
        if not isinstance(job, str):
            break
        final = annotations.get("artifact") != "checkpoint" or type(step) is not int
        return {"jobId": job} if final else {"jobId": job, "step": step}
    return None


def _folder_of(last_events: Iterable[JobEvent], before: Statement) -> Path:
    """Return the new job's counterpart of ``before``: its final folder or a checkpoint's."""
    for event in last_events:
        if event.name == TRAINING_COMPLETED and isinstance(event.data, dict):
            artifacts = event.data.get("artifacts")
            for artifact in artifacts if isinstance(artifacts, list) else ():
                if isinstance(artifact, dict) and artifact.get("name") == "final" and artifact.get("path"):
                    final = Path(str(artifact["path"]))
                    step = internal(before).get("step")
                    if internal(before).get("artifact") == "checkpoint" and type(step) is int:
                        return final.parent / "checkpoints" / str(step)
                    return final
    raise BadRequestError("The new job did not say where its adapter is, so nothing could be compared.")


def read_again(folder: Path) -> Statement:
    """Read the statement of the repeated training. Raises BadRequestError if it is unusable."""
    try:
        return read_statement(folder)
    except (FileNotFoundError, StatementError):
        raise BadRequestError(
            f"The repeated training has no provenance in {one_line(folder, 300)}, so it cannot be compared."
        ) from None


def compared(before: Statement, after: Statement) -> ReproductionReport:
    """Compare two statements: what is equal, what differs, and possible reasons."""
    old, new = _files(before), _files(after)
    files: list[FileComparison] = [{"name": name, "same": old[name] == new.get(name)} for name in old]
    files += [{"name": name, "same": False} for name in new if name not in old]
    all_same, losses = all(file["same"] for file in files), _losses(before, after)
    reasons = [] if all_same else reasons_of(before, after)
    close = all(abs(a - b) <= CLOSE * max(abs(a), abs(b)) for a, b in losses.values())
    ok = all_same or bool(reasons and losses and close)
    loss_table: dict[str, LossComparison] = {name: {"before": a, "now": b} for name, (a, b) in losses.items()}
    return {"ok": ok, "same": all_same, "files": files, "reasons": reasons, "losses": loss_table}


def _files(statement: Statement) -> dict[str, str]:
    """Return the hashes of the subjects by name, without the training state, which contains times."""
    subjects = statement["subject"]
    required = [subject for subject in subjects if subject.get("annotations", {}).get("optional") is not True]
    return {subject["name"]: subject["digest"]["sha256"] for subject in required}


def _losses(before: Statement, after: Statement) -> dict[str, tuple[float, float]]:
    old, new = figures(before), figures(after)
    return {name: (old[name], new[name]) for name in ("loss", "evalLoss") if name in old and name in new}


def reasons_of(before: Statement, after: Statement) -> list[str]:
    """List the differences that may explain different bits."""
    old, new = (object_at(builder(statement), "version") for statement in (before, after))
    reasons = [
        f"{one_line(name, 40)} is {_as_text(new.get(name))}, was {_as_text(old.get(name))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if _code(before) != _code(after) and old.get("arkor-dev") == new.get("arkor-dev"):
        reasons.append("arkor-dev's own code differs")
    for key, name in (
        ("processor", "the processor"),
        ("device", "the device"),
        ("threads", "the number of threads"),
        ("numberFormat", "the number format"),
    ):
        new_value, old_value = internal(after).get(key), internal(before).get(key)
        if new_value != old_value:
            reasons.append(f"{name} is {_as_text(new_value)}, was {_as_text(old_value)}")
    for begin, name in ((BASE, "the base model's files"), (ROWS, "the rows as the model reads them")):
        if _digests(before, begin) != _digests(after, begin):
            reasons.append(f"{name} differ")
    if _digests(before, PARENT) != _digests(after, PARENT):
        reasons.append("the adapter that it started from differs")
    if "extendedAfter" in internal(before):
        step = _as_text(internal(before)["extendedAfter"])
        reasons.append(f"it was extended after step {step}, but now trained in one run")
    if "adjusted" in internal(before):
        reasons.append(
            "its settings were changed while it trained, but now it trained in one run with the last ones"
        )
    return reasons


def _code(statement: Statement) -> object:
    return builder(statement).get("builderDependencies")


def _digests(statement: Statement, begin: str) -> dict[str, str]:
    return {
        dependency["name"]: dependency["digest"]["sha256"] for dependency in dependencies(statement, begin)
    }


def _as_text(value: object) -> str:
    return "not known" if value is None else one_line(value, 80)
