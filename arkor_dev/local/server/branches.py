"""Starts a job from another job's checkpoint: checks that it fits, and copies it into the new job."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.provenance.statement import CARD
from arkor_dev.contract.regular_files import read_inside
from arkor_dev.contract.settings import by_field
from arkor_dev.local.jobs.atomic_folder import MANIFEST, damage, write_atomically
from arkor_dev.local.jobs.job_folder import STATE, adapter_folder, kind_of, parent_folder
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.models.catalog import is_starter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import Job, JobConfig, JobParent, RequestedParent

    from .requests import Setup

SAME = ("loraTargetModules", "loraLayersToTransform", "loraModulesToSave")
"""Settings that must be equal in both jobs, such as the layers that have an adapter."""


async def parent_of(setup: Setup, parent: RequestedParent, config: JobConfig) -> tuple[JobParent, Path]:
    """Return the parent for the request ``parent``, and the folder of its checkpoint.

    Raises NotFoundError if it does not exist, ConflictError if ``config`` requires another kind of adapter.
    """
    job = await setup.store.read(Store.get, parent["jobId"])
    if job is None:
        raise NotFoundError(f"There is no job {parent['jobId']} to start from")
    step = parent.get("step")
    folder = adapter_folder(setup.data, job["id"], step)
    if not folder.is_dir():
        adapter = "final adapter" if step is None else f"checkpoint of step {step}"
        raise NotFoundError(f"The job {job['name']} has no {adapter} to start from")
    if wrong := await asyncio.to_thread(damage, folder):
        raise ConflictError(f"What the job {job['name']} has saved is damaged: {wrong}")
    check_fits(job, folder, config)
    shown_step = job["metrics"].get("step", 0) if step is None else step
    return {"jobId": job["id"], "step": shown_step, "name": job["name"]}, folder


def copy_parent(data: Path, job_id: str, folder: Path) -> None:
    """Copy a new job's starting point into its own folder, since the other job may be deleted."""

    def copy(target: Path) -> None:
        for path in folder.iterdir():
            if path.is_file() and not path.is_symlink() and path.name not in (STATE, MANIFEST, CARD):
                shutil.copyfile(path, target / path.name)

    write_atomically(parent_folder(data, job_id), copy)


def check_fits(job: Job, folder: Path, config: JobConfig) -> None:
    """Raise ConflictError, with all that differ, unless ``config`` has weights like those in ``folder``."""
    model, other = config["model"], job["config"]["model"]
    differing: dict[str, tuple[object, object]] = {}
    if model != other and not (is_starter(model) and is_starter(other)):
        differing["model"] = model, other
    full, is_full = bool(config.get("fullFineTuning")), kind_of(folder) == "model"
    if full != is_full:
        differing["fullFineTuning"] = full, is_full
    elif not full:
        differing |= _differing_adapter(job, folder, config)
    if differing:
        texts = (
            f"{by_field()[field].key} is {trained} there, {requested} here"
            for field, (requested, trained) in differing.items()
        )
        raise ConflictError(
            f"The job {job['name']} has different weights from this config: {'; '.join(texts)}"
        )


def _differing_adapter(job: Job, folder: Path, config: JobConfig) -> dict[str, tuple[object, object]]:
    """Return the settings of an adapter that differ, each as in ``config`` and as trained by ``job``."""

    def value(field: str, of: Mapping[str, object] = config) -> object:
        setting = of.get(field)
        return by_field()[field].default if setting is None else setting

    try:
        adapter = strict_json.parse(read_inside(folder, "adapter_config.json"))
    except (OSError, ValueError):
        adapter = None
    if not isinstance(adapter, dict):
        raise ConflictError(f"The adapter_config.json of the job {job['name']} cannot be read")
    default = by_field()["loraR"].default
    rank, alpha = config.get("loraR") or (default if isinstance(default, int) else 0), config.get("loraAlpha")
    both: dict[str, tuple[object, object]] = {
        "loraR": (rank, adapter.get("r")),
        "loraAlpha": (2 * rank if alpha is None else alpha, adapter.get("lora_alpha")),
        "useRslora": (bool(value("useRslora")), bool(adapter.get("use_rslora"))),
        "useDora": (bool(value("useDora")), bool(adapter.get("use_dora"))),
    }
    for field in SAME:
        requested, trained = (_members(value(field, side)) for side in (config, job["config"]))
        both[field] = requested or "the default", trained or "the default"
    differing = {field: pair for field, pair in both.items() if pair[0] != pair[1]}
    if config.get("initLoraWeights") in ("pissa", "olora"):
        differing["initLoraWeights"] = config["initLoraWeights"], "the default"
    return differing


def _members(value: object) -> list[object]:
    if value is None:
        return []
    return sorted(value) if isinstance(value, list) else [value]
