"""A setting that no training obeys fails here: each is read by a real run, and what is planned is used."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract import settings
from arkor_dev.contract.settings.setting import MANAGED
from arkor_dev.data.methods import names
from arkor_dev.data.rows import Row
from arkor_dev.local.training import plan as plan_module
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.plan import AdapterPlan, OptimizerPlan, Plan
from arkor_dev.local.training.rows.split import split
from arkor_dev.local.training.schedule import Schedule
from tests.local.conftest import CONFIG
from tests.support.pretend_setting import PRETEND

if TYPE_CHECKING:
    from tests.local.harness import Backend


def unread(used: dict[str, Any]) -> list[str]:
    """The settings of the table that a run has not asked for, but those of the managed backend alone."""
    own = [setting for setting in settings.SETTINGS if setting.where != MANAGED]
    return [setting.key for setting in own if setting.field not in used]


OTHERS: tuple[dict[str, Any], ...] = (
    {"lrSchedulerType": "cosine_with_restarts"},
    {"lrSchedulerType": "polynomial"},
    {"lrSchedulerType": "wsd"},
    {"earlyStoppingPatience": 3},
    *({"method": name} for name in names()),
)
"""What makes a plan read the settings that have a meaning only beside others."""


def used_elsewhere() -> dict[str, Any]:
    """What is read of the settings that the run of the test gives no meaning."""
    found: dict[str, Any] = {}
    for config in OTHERS:
        asked = EffectiveSettings(config)
        Plan.of(asked, 90, 10)
        found |= asked.used
    asked = EffectiveSettings({"datasetSplit": 0.5})
    split([Row([], f"row {number}", text=f"{number}") for number in range(4)], asked)
    return found | asked.used


@pytest.mark.engine
def test_every_setting_is_read_by_the_training(shared: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    job = shared.submit({**CONFIG, "maxSteps": 2, "batchSize": 64, "evalSteps": 0})
    shared.wait_for(job, "end")
    metadata = shared.wait_for(job, "training.started").json["metadata"]
    used = metadata["settings"]
    assert unread({**used, **used_elsewhere()}) == []
    assert (used["batchSize"], used["seed"], used["loraR"]) == (metadata["trainRows"], 42, 8)
    told = shared.job(job)
    assert told["settings"] == used
    assert told["config"]["batchSize"] == 64
    assert "seed" not in told["config"]
    monkeypatch.setattr(settings, "SETTINGS", (*settings.SETTINGS, PRETEND))
    assert unread({**used, **used_elsewhere()}) == ["lora.pretend"]


def unused(names: list[str]) -> list[str]:
    """Return the plan's figures that no training code reads."""
    folder = Path(plan_module.__file__).parent
    owners = {"plan.py": ("self",), "schedule.py": ("self",)}
    used = {
        node.attr
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in owners.get(path.name, ("plan", "self.plan", "self.plan.schedule"))
    }
    return [name for name in names if name not in used]


def test_every_field_of_the_plan_is_used() -> None:
    names = [field.name for plan in (Plan, AdapterPlan, OptimizerPlan, Schedule) for field in fields(plan)]
    assert unused([*names, "pretend"]) == ["pretend"]
