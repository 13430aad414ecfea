"""What few and small steps tell of a run's memory, beside what its true steps take."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.forecast.messages import MeasurementRequest
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.codec import encode
from tests.local.conftest import CONFIG, make_project
from tests.local.forked import Forked
from tests.local.harness import FORKS
from tests.local.job_configs import config_of
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="the worker is forked"),
]


def measured(
    template: str, root: Path, model: Path, config: dict[str, Any], seconds: float, free: int = 2**34
) -> dict[str, Any]:
    """Let a worker of its own measure ``config`` for so many seconds, with so much memory ``free``."""
    data = root / f"data-{seconds}"
    data.mkdir()
    job = JobRequest("forecast", config_of(config), str(data), str(root))
    request = MeasurementRequest(job, str(data / "scratch"), time.time(), seconds, free)
    child = Forked(template, "arkor_dev.local.forecast.worker", dict(os.environ), sys.stderr.fileno())
    with child.stdout, child.stdin:
        for message in (request, Model("tiny", model)):
            child.stdin.write(encode(message))
        child.stdin.flush()
        messages = (json.loads(line) for line in child.stdout)
        found: dict[str, Any] = next(said["measurement"] for said in messages if "measurement" in said)
    child.wait()  # it ends with its standard input
    return found


@pytest.mark.ci
def test_a_memory_forecast_from_small_steps_holds_for_dora(
    template: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    """A slow machine has no time for a whole batch, and DoRA's layers keep twice as much as plain ones."""
    project = make_project(tmp_path / "project")
    asked = QUESTIONS
    long = [{"prompt": asked[n % len(asked)], "completion": f"{PHRASE} " * 14} for n in range(60)]
    write_jsonl(project / "data" / "long.jsonl", long)
    config = {
        **CONFIG,
        "datasetSource": {"type": "file", "path": "data/long.jsonl"},
        "batchSize": 32,
        "gradientAccumulationSteps": 2,
        "loraTargetModules": "all-linear",
        "useDora": True,
        "samples": "off",
        "evalSteps": 0,
    }
    few, whole = (measured(template[FORKS], project, tiny, config, seconds) for seconds in (0, 100))
    # The batch is a large part of it. The rest, with the libraries, differs from build to build.
    assert whole["worst"] > whole["memory"]["base"] + 160_000_000
    # Too little would end a run that was said to fit.
    assert 0.95 * whole["worst"] < few["worst"] < 1.12 * whole["worst"]


def test_rows_shorter_than_replayed_ones_are_measured(
    template: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    """The longest batch is then one of replayed rows alone, which the penalty gives no weight in the mean."""
    project = make_project(tmp_path / "project")
    write_jsonl(project / "data" / "short.jsonl", [{"prompt": "Who?", "completion": "Me."}] * 12)
    source = {"type": "file", "path": "data/short.jsonl"}
    config = {**CONFIG, "datasetSource": source, "batchSize": 2, "baseKl": 0.1}
    found = measured(template[FORKS], project, tiny, {**config, "evalSteps": 0}, 5)
    assert found["worst"] > 0


def test_a_run_beyond_the_free_memory_is_also_measured_with_streamed_layers(
    template: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project")
    config = {**CONFIG, "batchSize": 8, "samples": "off", "evalSteps": 0}
    plenty = measured(template[FORKS], project, tiny, config, 20)
    assert (plenty["streams"], plenty["streamed"]) == (False, None)
    free = plenty["worst"]  # of which a step may take 85 %
    both = measured(template[FORKS], project, tiny, config, 21, free)
    assert both["streams"] is False
    assert 0 < both["streamed"]["base"] < 1.1 * plenty["worst"]
    assert both["streamed_slower"] >= 1
    assert (plenty["kept_ratio"], 0.5 <= both["kept_ratio"] <= 1) == (None, True)
    kept = measured(template[FORKS], project, tiny, {**config, "offload": "none"}, 22, free)
    assert kept["streamed"] is None
    only = measured(template[FORKS], project, tiny, {**config, "offload": "layers"}, 23)
    assert (only["streams"], only["streamed"]) == (True, None)
    assert only["sizes"]["recomputed"] is True
    assert 0.5 <= only["kept_ratio"] <= 1
    unlimited = {**config, "offload": "layers", "gradientCheckpointing": False}
    whole = measured(template[FORKS], project, tiny, unlimited, 24)
    assert (whole["kept_ratio"], whole["sizes"]["recomputed"]) == (None, False)
