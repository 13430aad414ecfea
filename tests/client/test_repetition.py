"""A job that begins with another's adapter has its settings."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from arkor_dev.client.repetition import parent_of, with_adapter_of
from arkor_dev.contract.errors import BadRequestError

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend

PARENT: Any = {
    "name": "first",
    "config": {"model": "m", "loraR": 8, "loraTargetModules": ["q_proj", "v_proj"], "learningRate": 1e-3},
}
LAYERS = ["q_proj", "v_proj"]


def test_the_adapters_settings_are_the_parents_and_the_others_ones_own() -> None:
    config = {"loraR": 64, "loraAlpha": 7, "useDora": True, "initLoraWeights": "pissa", "learningRate": 2e-4}
    assert with_adapter_of(PARENT, config, []) == {
        "model": "m", "loraR": 8, "loraTargetModules": LAYERS, "learningRate": 2e-4,
    }  # fmt: skip


def test_changes_of_a_trainers_settings_are_recorded() -> None:
    config = {"model": "m", "loraR": 64, "learningRate": 2e-4, "setByHand": ["learningRate"]}
    assert with_adapter_of(PARENT, config, ["learningRate"])["setByHand"] == [
        "learningRate", "loraR", "loraTargetModules",
    ]  # fmt: skip


def test_settings_of_this_run_that_do_not_fit_are_refused_in_one_message() -> None:
    config = {"model": "m", "loraR": 16, "loraAlpha": 16, "useDora": True}
    with pytest.raises(BadRequestError) as fault:
        with_adapter_of(PARENT, config, ["loraR", "loraAlpha", "useDora"])
    assert fault.value.text == (
        "The adapter of first does not fit these settings: lora.r is 8 there, 16 here; lora.use_dora is "
        "false there, true here. Leave them out: a run takes over those of its parent."
    )


@pytest.mark.parametrize(
    "same", [{"loraR": 8}, {"loraAlpha": 16}, {"loraTargetModules": ["v_proj", "q_proj"]}, {"useDora": False}]
)
def test_settings_of_this_run_that_are_the_parents_fit(same: dict[str, Any]) -> None:
    adopted = with_adapter_of(PARENT, {"model": "m", **same}, list(same))
    assert same.items() <= adopted.items()
    assert adopted["loraR"] == 8


class Listing:
    """A backend with a list of jobs; each is its id, its name and its status, the newest first."""

    def __init__(self, *jobs: tuple[str, str, str]) -> None:
        self._jobs = [
            {"id": job_id, "name": name, "status": status, "createdAt": f"2026-01-01T00:00:{59 - at:02}Z"}
            for at, (job_id, name, status) in enumerate(jobs)
        ]

    async def capabilities(self) -> SimpleNamespace:
        return SimpleNamespace(body=json.dumps({"features": ["parent"]}))

    async def list_jobs(self) -> SimpleNamespace:
        return SimpleNamespace(body=json.dumps({"jobs": self._jobs}))


JOBS = (
    ("j5", "calls #3", "failed"),
    ("j4", "desk", "completed"),
    ("j3", "calls #2", "completed"),
    ("j2", "calls", "completed"),
    ("j1", "old", "cancelled"),
)


@pytest.mark.parametrize(
    ("text", "job", "step"),
    [
        ("calls", "j3", None),
        ("calls:final", "j3", None),
        ("calls:20", "j2", 20),
        ("calls #3", "j5", None),
        ("latest", "j4", None),
        ("old", "j1", None),
        ("j2", "j2", None),
    ],
)
async def test_a_name_is_the_newest_of_its_jobs_with_a_final_adapter(
    text: str, job: str, step: int | None
) -> None:
    parent = await parent_of(cast("Backend", Listing(*JOBS)), text)
    assert (parent.job["id"], parent.step) == (job, step)


async def test_a_name_without_a_job_is_refused() -> None:
    with pytest.raises(BadRequestError, match="There is no job new"):
        await parent_of(cast("Backend", Listing(*JOBS)), "new")
